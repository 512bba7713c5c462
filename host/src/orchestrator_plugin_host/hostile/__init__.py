"""Hostile guests, and a harness that sees a host survive them.

`corpus/` has the cases, a folder each: what a guest tries, as WebAssembly text, and what should
come of it. `cases` reads them, `building` assembles their guests, `child` plays one in a process
that is free to die, `forking` makes such a process for each, and `runner` judges what is left of
it.
"""
