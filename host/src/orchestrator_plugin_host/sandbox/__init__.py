"""Components in wasmtime: compiling, checking, instantiating, calling. Knows nothing of documents.

This package alone imports wasmtime.
"""
