"""What the functions of the contract's interface `files` answer to a guest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from orchestrator_plugin_sdk.codec import pack, to_document

from ...payloads import received, sent

if TYPE_CHECKING:
    from ...calls import Call
    from ...payload_text import Payload
    from ..capability import Answer
    from .awaited import AwaitedFiles


async def _read(call: Call, files: AwaitedFiles, path: str, offset: int, length: int) -> Payload:
    data = await files.read(path, offset, length)
    return await sent(data, call.reach.payload_encodings)


async def _write(call: Call, files: AwaitedFiles, path: str, offset: int, data: Payload) -> None:
    await files.write(path, offset, await received(data, call.limits.document_out_bytes))


async def _stat(call: Call, files: AwaitedFiles, path: str) -> Payload:
    document = pack(to_document(await files.stat(path)))
    return await sent(document, call.reach.payload_encodings)


async def _list_folder(call: Call, files: AwaitedFiles, path: str) -> Payload:
    document = await files.list_document(path)
    return await sent(document, call.reach.payload_encodings)


def _as_passed(function: str) -> Answer:
    """A function of `AwaitedFiles` that takes what the guest passes, and returns nothing."""

    async def answer(call: Call, files: AwaitedFiles, *values: Any) -> None:
        await getattr(files, function)(*values)

    return answer


ANSWERS: Final[Mapping[str, Answer]] = {
    "read": _read,
    "write": _write,
    "stat": _stat,
    "list-folder": _list_folder,
    "resize": _as_passed("resize"),
    "sync": _as_passed("sync"),
    "make-folder": _as_passed("make_folder"),
    "remove": _as_passed("remove"),
    "rename": _as_passed("rename"),
}
"""By the names of the functions."""
