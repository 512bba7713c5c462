"""What is measured, a module for each group of rows.

A contender is an async context manager, made of a `Place` and options, that yields a `Round`.
"""
