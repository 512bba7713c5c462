"""What a call asks of what its plugin may reach. The capabilities implement it; a call that reaches
nothing has that of `no_reach`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from orchestrator_plugin_sdk.payload import PayloadEncoding

    from .calls import Call


class CallReach(Protocol):
    """What one call may reach besides the guest's own memory."""

    def of(self, capability: str) -> Any:
        """What the call has of a capability, by its name: the access that the SDK's `Http`, `Files`
        and so on are made of."""

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
