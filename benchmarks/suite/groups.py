"""The groups of rows, in the order of the page, and the words that several rows share."""

from __future__ import annotations

from typing import Final

CALLS: Final = "Calls"
ECHO: Final = "Echo through the C-API layer"
PYTHON: Final = "Plugins written in Python"
STARTING: Final = "Starting"
CROWDS: Final = "Many at once"
MEMORY: Final = "Memory"
ENDS: Final = "Loading, crashes, deadlines"
SEARCH: Final = "Searching 100,000 vectors"

ABOUT: Final = {
    ECHO: "A guest in hand-written WebAssembly returns the document that it was given. Ours is a "
    "call of its export with the document in the form that the host would choose, to that form and "
    "back included; the peer is `extism.Plugin.call`, of a guest that takes its input into its "
    "memory and its output out of it as Extism's libraries for guests do. A ratio below 1 is "
    "faster than the peer.",
    CALLS: "`await provider.generate(…)` with a request of 2 kB, of a plugin that answers at once. "
    "The peer is what an application would write around Extism: pydantic and MessagePack both "
    "ways, and the call in `anyio.to_thread`.",
    PYTHON: "The examples, built by componentize-py: interpreter, pure-Python MessagePack and JSON "
    "are part of the guest.",
    STARTING: "Processes from their start to their end, the bytecode of what they import being "
    "there; a component from its file to its first instance.",
    CROWDS: "One process and one event loop, with a task beside that wakes up every millisecond: a "
    "gap is how much later it does.",
    MEMORY: "Linux's proportional set size, so that what instances share counts once.",
    ENDS: "What the two tiers cost besides calls, and how long after its deadline of 300 ms a "
    "caller hears of it.",
    SEARCH: "Two stores among the examples, with vectors of 384 numbers: `flat-vectors`, a "
    "component in Zig that holds all of it in memory, and `sqlite-vectors`, native, on sqlite-vec. "
    "Both are exact, and found the same.",
}
"""What the page says of each group, in the order of the page."""

PLACES: Final = {"in-process": "in-process", "process": "process tier", "native": "native"}
"""What the page calls the places that a plugin runs in."""
