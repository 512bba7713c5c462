"""What a call reaches that is given nothing to reach."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NoReturn

from orchestrator_plugin_sdk.errors import ErrorKind, PluginCallError

if TYPE_CHECKING:
    from orchestrator_plugin_sdk.payload import PayloadEncoding

    from .calls import Call
    from .reach import CallReach, Reach

_BYTES: Final[tuple[PayloadEncoding, ...]] = ("bytes",)


class _Refusing:
    """What a call has of a capability: every function of it refuses."""

    def __init__(self, capability: str) -> None:
        self._capability = capability

    def __getattr__(self, name: str) -> Callable[..., Any]:
        async def refuse(*arguments: object) -> NoReturn:
            raise PluginCallError(
                ErrorKind.PERMISSION_DENIED, f"there is no {self._capability} here"
            )

        return refuse


class _Nothing:
    """Reaches nothing, whoever asks."""

    payload_encodings: Collection[PayloadEncoding] = _BYTES
    secrets: Mapping[str, str] = MappingProxyType({})

    def open(self, call: Call) -> CallReach:
        return self

    def of(self, capability: str) -> Any:
        return _Refusing(capability)

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
