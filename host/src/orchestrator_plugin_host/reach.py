"""What a call asks of what its plugin may reach. The capabilities implement it; a call that reaches
nothing has that of `no_reach`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from orchestrator_plugin_sdk.files import FileInfo
    from orchestrator_plugin_sdk.http import HttpHead, HttpRequest
    from orchestrator_plugin_sdk.payload import PayloadEncoding

    from .calls import Call


Answer = Callable[..., Awaitable[Any]]
"""Answers a function that guests import: gets the call, and what the guest passes."""


class CallHttp(Protocol):
    """The HTTP of one call: `HttpTransport` of the SDK."""

    def announce(self, document_bytes: int) -> None:
        """Told of a request before any of its document is read: counts it. Raises
        `HttpLimitError` or `DocumentTooLargeError`."""

    async def send(self, request: HttpRequest) -> HttpHead:
        """As `HttpTransport` says."""

    async def read(self, response: int, most: int) -> bytes | None:
        """As `HttpTransport` says."""

    async def close(self, response: int) -> None:
        """As `HttpTransport` says."""


class CallFiles(Protocol):
    """The files of one call: `FileAccess` of the SDK, and what a guest or a caller gets of them."""

    async def read(self, path: str, offset: int, length: int) -> bytes:
        """As `FileAccess` says, as do all the others."""

    async def write(self, path: str, offset: int, data: bytes) -> None:
        """As `FileAccess` says."""

    async def resize(self, path: str, size: int) -> None:
        """As `FileAccess` says."""

    async def sync(self, path: str) -> None:
        """As `FileAccess` says."""

    async def stat(self, path: str) -> FileInfo:
        """As `FileAccess` says."""

    async def list_folder(self, path: str) -> Sequence[FileInfo]:
        """As `FileAccess` says."""

    async def list_document(self, path: str) -> bytes:
        """`list_folder` as the document that a guest gets."""

    async def make_folder(self, path: str) -> None:
        """As `FileAccess` says."""

    async def remove(self, path: str) -> None:
        """As `FileAccess` says."""

    async def rename(self, source: str, target: str) -> None:
        """As `FileAccess` says."""

    async def host_paths(self, paths: Sequence[str]) -> Sequence[tuple[Path, int]]:
        """Where artifacts are on the host, and their sizes in bytes. Raises `PluginCallError`."""


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

    async def answer(self, interface: str, function: str, arguments: Sequence[Any]) -> Any:
        """What a function answers that a guest imports: of an interface of the contract, by its
        short name. Raises `PluginCallError` or `DocumentError` for what is refused, or what ends
        the call."""

    def scrub(self, document: Any) -> Any:
        """A document, or a text, without the values of secrets."""

    def close_at_once(self, error: BaseException | None) -> bool:
        """Ends what the call has open, however it ended, if nothing is to be awaited for that.
        Whether it did; else `close` it."""

    async def close(self, error: BaseException | None) -> None:
        """Ends what the call has open, however it ended."""


class Reach(Protocol):
    """What one loaded plugin may reach."""

    def open(self, call: Call) -> CallReach:
        """What one call of it may reach."""
