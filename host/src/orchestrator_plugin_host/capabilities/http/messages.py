"""What goes over a connection: requests as they are sent, heads as they come, what goes wrong."""

from __future__ import annotations

from dataclasses import dataclass, field


class WireError(Exception):
    """An exchange with a server failed. Says how, and nothing that was sent or received.

    `connecting`: before anything was sent. `insecure`: the server's certificate. `unanswered`: a
    connection ended before a byte of a response.
    """

    def __init__(
        self,
        message: str,
        *,
        connecting: bool = False,
        insecure: bool = False,
        unanswered: bool = False,
    ) -> None:
        self.connecting = connecting
        self.insecure = insecure
        self.unanswered = unanswered
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class WireRequest:
    """A request as it is sent, secrets and all."""

    method: str
    target: bytes = field(repr=False)
    headers: list[tuple[str, str]] = field(repr=False)
    content: bytes | bytearray = field(repr=False)

    @property
    def size(self) -> int:
        """Bytes of it, about."""
        head = sum(len(name) + len(value) + 4 for name, value in self.headers)
        return len(self.method) + len(self.target) + head + len(self.content)


@dataclass(frozen=True, slots=True)
class WireHead:
    """The head of a response, as it was received."""

    status: int
    headers: list[tuple[bytes, bytes]]

    def value(self, name: bytes) -> str | None:
        """The value of a header; those of several, separated by commas."""
        found = [value for one, value in self.headers if one.lower() == name]
        if not found:
            return None
        joined = b", ".join(found)
        try:
            return joined.decode()
        except UnicodeDecodeError:
            return joined.decode("latin-1")
