"""What the build does so that an instance need not: a component begins as the build has left it.

Decoders of documents are made of types once, and Python makes code quicker that has run a few
times; both are in the component's memory then, and each instance begins with them. What was made
so far is also taken out of the garbage collector's sight: to look at it, an instance would have to
copy all of it.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable

from ..codec import pack, to_document, unpack
from ..context import CallContext
from ..contract import Operation
from ..log import LogEvent, log_document
from ..schema import decoder, from_document
from ._payloads import bytes_of, to_payload

_ROUNDS = 32
"""More than Python wants to have seen of a piece of code before it makes it quicker."""


def warm(operations: Iterable[Operation]) -> None:
    """Called by the build, once everything that a plugin imports is there."""
    context = CallContext("run", 30_000, {"name": "reference"})
    for operation in operations:
        for wanted in operation.arguments.values():
            decoder(wanted)
    sample = {
        "context": to_document(context),
        "texts": ["text", "tëxt", "x" * 300],
        "numbers": [0, 1, 200, 70_000, -1, -200, 1.5, True, False, None],
        "map": {"key": {"key": b"bytes", "list": [[], {}]}},
    }
    for _ in range(_ROUNDS):
        document = unpack(bytes_of(to_payload(pack(sample))))
        from_document(CallContext, document["context"], "context")
        log_document(LogEvent("message", fields={"field": 1}))
    gc.collect()
    gc.freeze()
