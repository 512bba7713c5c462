"""The host's side of `files`: what a guest's call of it does. On the guest's own thread: the system
answers at once, or as fast as its disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from orchestrator_plugin_sdk import pack, to_document

from ..calls import Call
from .payloads import answered, payload_bytes, payload_of


def _read(call: Call, path: str, offset: int, length: int) -> Any:
    def read() -> Any:
        data = call.reach.files.read(path, offset, length)
        return payload_of(data, call.reach.payload_encodings)

    return answered(read)


def _write(call: Call, path: str, offset: int, data: tuple[str, Any]) -> Any:
    return answered(lambda: call.reach.files.write(path, offset, payload_bytes(data)))


def _document(call: Call, value: Any) -> tuple[str, Any]:
    return payload_of(pack(to_document(value)), call.reach.payload_encodings)


FILES_HANDLERS: Final[Mapping[tuple[str, str], Callable[..., Any]]] = {
    ("files", "read"): _read,
    ("files", "write"): _write,
    ("files", "resize"): lambda call, path, size: answered(
        lambda: call.reach.files.resize(path, size)
    ),
    ("files", "sync"): lambda call, path: answered(lambda: call.reach.files.sync(path)),
    ("files", "stat"): lambda call, path: answered(
        lambda: _document(call, call.reach.files.stat(path))
    ),
    ("files", "list-folder"): lambda call, path: answered(
        lambda: _document(call, call.reach.files.list_folder(path))
    ),
    ("files", "make-folder"): lambda call, path: answered(
        lambda: call.reach.files.make_folder(path)
    ),
    ("files", "remove"): lambda call, path: answered(lambda: call.reach.files.remove(path)),
    ("files", "rename"): lambda call, source, target: answered(
        lambda: call.reach.files.rename(source, target)
    ),
}
"""By interface and function."""
