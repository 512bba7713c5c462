"""What a call asks of what its plugin may reach. The capabilities implement it; a call that reaches
nothing has `NO_REACH`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NoReturn, Protocol, TypeVar

from orchestrator_plugin_sdk import ErrorKind, PayloadEncoding, PluginCallError
from orchestrator_plugin_sdk.files import FileAccess, FileInfo, NoFiles
from orchestrator_plugin_sdk.http import HttpHead, HttpRequest, NoHttp

if TYPE_CHECKING:
    from .calls import Call


T = TypeVar("T")


class CallHttp(Protocol):
    """The HTTP of one call: `HttpTransport` of the SDK."""

    async def send(self, request: HttpRequest) -> HttpHead:
        """As `HttpTransport` says."""

    async def read(self, response: int, most: int) -> bytes | None:
        """As `HttpTransport` says."""

    async def close(self, response: int) -> None:
        """As `HttpTransport` says."""


class CallWorkers(Protocol):
    """Threads that something may be done on that takes long."""

    async def run(self, work: Callable[[Callable[[], None]], T]) -> T:
        """What `work` returns, on a thread. It is passed a function that raises if nobody waits
        any more."""


class CallFileAccess(FileAccess, Protocol):
    """The files of one call, awaited: on threads of the plugin's own."""

    async def list_document(self, path: str) -> bytes:
        """`list_folder` as the document that a guest gets."""


class CallFiles(Protocol):
    """The files of one call: `FileAccess` of the SDK, without waiting. What takes long calls
    `go_on` between its pieces."""

    @property
    def workers(self) -> CallWorkers:
        """The threads to use them on."""

    @property
    def awaited(self) -> CallFileAccess:
        """The same, for whoever awaits them."""

    def read(self, path: str, offset: int, length: int) -> bytes:
        """As `FileAccess` says, as do all the others."""

    def write(self, path: str, offset: int, data: bytes) -> None:
        """As `FileAccess` says."""

    def resize(self, path: str, size: int) -> None:
        """As `FileAccess` says."""

    def sync(self, path: str, go_on: Callable[[], None] = ...) -> None:
        """As `FileAccess` says."""

    def stat(self, path: str) -> FileInfo:
        """As `FileAccess` says."""

    def list_folder(self, path: str, go_on: Callable[[], None] = ...) -> Sequence[FileInfo]:
        """As `FileAccess` says."""

    def make_folder(self, path: str) -> None:
        """As `FileAccess` says."""

    def remove(self, path: str) -> None:
        """As `FileAccess` says."""

    def rename(self, source: str, target: str, go_on: Callable[[], None] = ...) -> None:
        """As `FileAccess` says."""

    def host_path(self, path: str) -> tuple[Path, int]:
        """Where an artifact is on the host, and its size in bytes. Raises `PluginCallError`."""


class CallReach(Protocol):
    """What one call may reach besides the guest's own memory."""

    @property
    def http(self) -> CallHttp:
        """Its requests."""

    @property
    def files(self) -> CallFiles:
        """Its files."""

    @property
    def payload_encodings(self) -> Collection[PayloadEncoding]:
        """The forms of a payload that the plugin reads."""

    @property
    def secrets(self) -> Mapping[str, str]:
        """References to its secrets, by their names."""

    def scrub(self, document: Any) -> Any:
        """A document, or a text, without the values of secrets."""

    def beginning(self, text: str, length: int) -> str:
        """At most the first `length` characters of a text, without the values of secrets, however
        long the text is."""

    async def close(self, error: BaseException | None) -> None:
        """Ends what the call has open, however it ended."""


class Reach(Protocol):
    """What one loaded plugin may reach."""

    def open(self, call: Call) -> CallReach:
        """What one call of it may reach."""


_BYTES: Final[tuple[PayloadEncoding, ...]] = ("bytes",)


class _Here:
    async def run(self, work: Callable[[Callable[[], None]], T]) -> T:
        return work(lambda: None)


class _NoFileAccess(NoFiles):
    async def list_document(self, path: str) -> bytes:
        raise self._none()


class _NoFiles:
    workers = _Here()
    awaited: CallFileAccess = _NoFileAccess()

    def _none(self, *arguments: object) -> NoReturn:
        raise PluginCallError(ErrorKind.PERMISSION_DENIED, "there are no files here")

    read = write = resize = sync = stat = list_folder = make_folder = remove = rename = _none
    host_path = _none


class _Nothing:
    """Reaches nothing, whoever asks."""

    http: CallHttp = NoHttp()
    files: CallFiles = _NoFiles()
    payload_encodings: Collection[PayloadEncoding] = _BYTES
    secrets: Mapping[str, str] = MappingProxyType({})

    def open(self, call: Call) -> CallReach:
        return self

    def scrub(self, document: Any) -> Any:
        return document

    def beginning(self, text: str, length: int) -> str:
        return text[:length]

    async def close(self, error: BaseException | None) -> None:
        return


NO_REACH: Final[Reach] = _Nothing()
"""Reaches nothing."""
