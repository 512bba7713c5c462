"""What a handle asks of a backend."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from orchestrator_plugin_sdk.contract import Operation

    from ..calls import Call
    from ..operations import OperationCodec
    from ..settings import Tier

Isolation = Literal["native", "sandbox"]


def context_document(operation: Operation, call: Call) -> Mapping[str, Any] | None:
    """The `CallContext` of a call as plain data, or `None` for an operation without one."""
    if not operation.with_context:
        return None
    return {
        "run_id": call.context.run_id,
        "deadline_ms": call.deadline_ms_left(),
        "secrets": dict(call.reach.secrets),
    }


@asynccontextmanager
async def own_call(call: Call) -> AsyncIterator[Call]:
    """A call of the host's own, for as long as the context is open: what it has open ends with
    it."""
    try:
        yield call
    except BaseException as error:
        await call.end(error)
        raise
    await call.end(None)


class Backend(ABC):
    """A loaded plugin that can be called. A call's deadline and abort are the backend's to keep;
    what a backend returns has been validated."""

    isolation: Isolation
    tier: Tier | None = None
    codecs: Mapping[str, OperationCodec]
    """By the names of the plugin's methods."""

    @abstractmethod
    async def start(self, call: Call) -> None:
        """Makes the plugin ready: its `init` has run when this returns."""

    @abstractmethod
    async def call(self, operation: Operation, arguments: Sequence[Any], call: Call) -> Any:
        """Runs an operation that gives a value, or nothing."""

    @abstractmethod
    def stream(
        self, operation: Operation, arguments: Sequence[Any], call: Call
    ) -> AbstractAsyncContextManager[AsyncIterator[Any]]:
        """Begins an operation that gives a stream. Each step of the iterator runs in a scope of
        its own; leaving the context ends the stream."""

    @abstractmethod
    async def close(self, call: Call) -> None:
        """Shuts the plugin down. No call is under way."""
