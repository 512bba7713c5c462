"""Worker processes: where plugins of the `process` tier run, and where components are compiled.

`main` and what confines it run in the worker; `spawn` starts one and talks to it. What both share
is the channel between them and how values cross it.
"""
