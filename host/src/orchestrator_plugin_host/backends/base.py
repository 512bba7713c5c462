"""What a handle asks of a backend."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Literal

from orchestrator_plugin_sdk import CallContext, DocumentError, pack, to_document
from orchestrator_plugin_sdk.contract import Operation

from ..calls import Call
from ..errors import PluginInputError
from ..settings import Tier

Isolation = Literal["native", "sandbox"]


def packed_arguments(operation: Operation, arguments: Sequence[Any], call: Call) -> bytes | None:
    """The document of a call as it crosses the boundary, or none for a call without one.

    Raises `PluginInputError` or `DocumentTooLargeError`.
    """
    document = dict(zip(operation.arguments, arguments, strict=True))
    if operation.with_context:
        document["context"] = CallContext(
            call.context.run_id, call.deadline_ms_left(), call.reach.secrets
        )
    elif not document:
        return None
    try:
        packed = pack(to_document(document))
    except DocumentError as error:
        raise PluginInputError(f"{operation.method} of plugin {call.plugin!r}: {error}") from None
    call.check_document_in(len(packed))
    return packed


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
