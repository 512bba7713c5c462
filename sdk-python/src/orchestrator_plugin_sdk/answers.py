"""What a plugin's method gave, on its way out: the same in a guest as natively.

The guest adapter and the host's native backend both go through `outgoing`, so that an answer that
can't be sent is the same error on either side of the boundary.
"""

from __future__ import annotations

from typing import Any

from .codec import pack, to_document
from .contract import Operation
from .errors import DocumentError, ErrorKind, PluginCallError
from .vectors import Vectors

_U32 = range(1 << 32)


def outgoing(operation: Operation, value: Any) -> Any:
    """The document of an answer (`bytes`), a scalar, or none: whatever `operation.form` says.

    Raises `PluginCallError` of the kind `internal` for what has no such form. Whether a document
    fits its schema is for the host to see.
    """
    if operation.form == "nothing":
        return None
    try:
        if operation.form == "scalar":
            return _scalar(operation.result, value)
        if operation.result is Vectors and not isinstance(value, Vectors):
            value = Vectors(value)
        return pack(to_document(value))
    except (DocumentError, TypeError, ValueError) as error:
        raise PluginCallError(
            ErrorKind.INTERNAL, f"the answer to {operation.method} can't be sent: {error}"
        ) from error


def _scalar(wanted: type[Any], value: Any) -> Any:
    if type(value) is not wanted:
        raise ValueError(f"expected {wanted.__name__}, got {type(value).__name__}")
    if wanted is int and value not in _U32:
        raise ValueError(f"expected 0 to {_U32[-1]}, got {value}")
    return value
