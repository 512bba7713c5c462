"""What a call reaches that is given nothing to reach."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NoReturn

from orchestrator_plugin_sdk.errors import ErrorKind, PluginCallError
from orchestrator_plugin_sdk.http import NoHttp

if TYPE_CHECKING:
    from orchestrator_plugin_sdk.payload import PayloadEncoding

    from .calls import Call
    from .reach import CallFiles, CallHttp, CallReach, Reach

_BYTES: Final[tuple[PayloadEncoding, ...]] = ("bytes",)


class _NoFiles:
    async def _none(self, *arguments: object) -> NoReturn:
        raise PluginCallError(ErrorKind.PERMISSION_DENIED, "there are no files here")

    read = write = resize = sync = stat = list_folder = list_document = _none
    make_folder = remove = rename = host_paths = _none


class _NoRequests(NoHttp):
    def announce(self, document_bytes: int) -> None:
        return


class _Nothing:
    """Reaches nothing, whoever asks."""

    http: CallHttp = _NoRequests()
    files: CallFiles = _NoFiles()
    payload_encodings: Collection[PayloadEncoding] = _BYTES
    secrets: Mapping[str, str] = MappingProxyType({})

    def open(self, call: Call) -> CallReach:
        return self

    async def answer(self, interface: str, function: str, arguments: Sequence[Any]) -> Any:
        raise PluginCallError(ErrorKind.PERMISSION_DENIED, f"there is no {interface} here")

    def scrub(self, document: Any) -> Any:
        return document

    def close_at_once(self, error: BaseException | None) -> bool:
        return True

    async def close(self, error: BaseException | None) -> None:
        return


NO_REACH: Final[Reach] = _Nothing()
"""Reaches nothing."""
