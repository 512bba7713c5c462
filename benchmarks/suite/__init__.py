"""The benchmark suite: what calls cost, each beside a peer in the same run.

`rows` says what is measured and the target of each; `measure` runs it; `report` makes a page of it.
A contender is one side of a row, in a process of its own (`child`): see `contenders`.
"""
