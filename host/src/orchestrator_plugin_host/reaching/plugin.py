"""What one loaded plugin may reach, put together from its manifest and the operator's policy."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..capabilities.registry import NAMES, answers_of, capability

if TYPE_CHECKING:  # who loads no plugin that reaches anything does without all of it
    from orchestrator_plugin_sdk.payload import PayloadEncoding

    from ..audit import PluginAudit
    from ..calls import Call
    from ..capabilities.capability import OfCall, OfPlugin
    from ..capabilities.secrets.bound import Secrets


class PluginReach:
    """As `Reach` says, for as long as the plugin is loaded."""

    def __init__(
        self,
        payload_encodings: Collection[PayloadEncoding],
        secrets: Secrets,
        audit: PluginAudit,
        make: Callable[[str], OfPlugin],
    ) -> None:
        """`make` makes what the plugin has of a capability, by its name. That is done when it is
        first used: most plugins use none."""
        self.payload_encodings = payload_encodings
        self.secrets = secrets
        self.audit = audit
        self._make = make
        self._making = threading.Lock()
        self._made: dict[str, OfPlugin] = {}

    def of(self, name: str) -> OfPlugin:
        """What the plugin has of a capability. Thread-safe. Raises what refuses the plugin."""
        found = self._made.get(name)
        if found is None:
            with self._making:
                found = self._made.get(name)
                if found is None:
                    found = self._made[name] = self._make(name)
        return found

    def open(self, call: Call) -> CallReach:
        """As `Reach` says."""
        return CallReach(self, call)

    async def close(self) -> None:
        """Gives up what the plugin held."""
        failures = []
        while self._made:
            try:
                await self._made.popitem()[1].close()
            except Exception as error:  # the others are closed all the same
                failures.append(error)
        if failures:
            raise failures[0]


class CallReach:
    """As `reach.CallReach` says. What a call does not use is not made for it."""

    __slots__ = ("_call", "_opened", "_plugin", "payload_encodings", "secrets")

    def __init__(self, plugin: PluginReach, call: Call) -> None:
        self._plugin = plugin
        self._call = call
        self._opened: dict[str, OfCall] = {}
        self.payload_encodings: Collection[PayloadEncoding] = plugin.payload_encodings
        self.secrets: Mapping[str, str] = plugin.secrets.references

    def of(self, capability: str) -> Any:
        """As `reach.CallReach` says."""
        found = self._opened.get(capability)
        if found is None:
            found = self._opened[capability] = self._plugin.of(capability).open(self._call)
        return found

    async def answer(self, interface: str, function: str, arguments: Sequence[Any]) -> Any:
        """As `reach.CallReach` says."""
        return await answers_of(interface)[function](self._call, self.of(interface), *arguments)

    def scrub(self, document: Any) -> Any:
        """As `reach.CallReach` says."""
        return self._plugin.secrets.scrub(document)

    def close_at_once(self, error: BaseException | None) -> bool:
        """As `reach.CallReach` says."""
        failed = error is not None
        if not all(one.end_at_once(failed=failed) for one in self._opened.values()):
            return False
        self._tell(error)
        return True

    async def close(self, error: BaseException | None) -> None:
        """As `reach.CallReach` says. Waits for no server and for no disk."""
        failures = []
        for one in self._opened.values():
            try:
                await one.end(failed=error is not None)
            except Exception as failure:  # the audit's: the others are ended all the same
                failures.append(failure)
        self._tell(error)
        if failures:
            raise failures[0]

    def _tell(self, error: BaseException | None) -> None:
        if not self._plugin.audit.enabled:
            return
        times = self._call.times()
        totals: dict[str, int] = {}
        for name in NAMES:
            opened = self._opened.get(name)
            totals.update(dict.fromkeys(capability(name).totals, 0))
            totals.update({} if opened is None else opened.totals)
        self._plugin.audit.call(
            self._call,
            {
                "outcome": "ok" if error is None else type(error).__name__,
                **totals,
                "queue_ms": times.queue_ms,
                "plugin_ms": times.plugin_ms,
                "host_ms": times.host_ms,
            },
        )
