"""One request to one server and the head of its response: decided, resolved, sent.

A request's name is resolved once, every address of it is checked, and the connection goes to a
checked one. No proxy, cookie, credential or setting of the environment has a part in it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from orchestrator_plugin_sdk.errors import ErrorKind, PluginCallError

from ...calls import Call
from ..pace import Pace
from ..secrets.frames import forget_frames
from .addresses import Address, is_loopback
from .attempts import Attempt, wire_request
from .budget import HttpBudget
from .decoding import DecodingError, decoder
from .json_body import BATCH, references, written
from .messages import WireError, WireHead, WireRequest
from .plugin import PluginHttp
from .resolving import addresses_of
from .responses import OpenResponse
from .rules import DeniedError
from .secret_uses import check_secret, in_head
from .targets import Target

if TYPE_CHECKING:
    from .wire import Wire

_IDEMPOTENT: Final = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})
_WITHOUT_BODY: Final = frozenset({204, 304})


class Exchanges:
    """Makes the exchanges of one call."""

    __slots__ = ("_budget", "_call", "_plugin")

    def __init__(self, plugin: PluginHttp, call: Call, budget: HttpBudget) -> None:
        self._plugin = plugin
        self._call = call
        self._budget = budget

    def facts(self, method: str, target: Target) -> dict[str, Any]:
        """What the audit is told of a request, whatever becomes of it."""
        return {"method": method, "origin": str(target.origin)}

    def _audited(self, facts: Mapping[str, Any], *, denied: str | None = None) -> None:
        shown = {name: value for name, value in facts.items() if name != "started"}
        self._plugin.audit.reached(self._call, "http", shown, denied=denied)

    def denied(self, method: str, target: Target, denied: DeniedError) -> PluginCallError:
        """Tells the audit that a request was denied; the error that tells the plugin."""
        self._audited(self.facts(method, target), denied=denied.reason)
        return PluginCallError(ErrorKind.PERMISSION_DENIED, str(denied))

    def check(self, method: str, target: Target) -> None:
        """Raises `PluginCallError` for a request that is not asked for and granted, or of a call
        without a network: from where it goes alone, before anything else of it is looked at."""
        try:
            self._check_network(method, target)
            self._plugin.rules.check(method, target.origin)
        except DeniedError as denied:
            failure = self.denied(method, target, denied)
        else:
            return
        raise failure

    def _check_network(self, method: str, target: Target) -> None:
        why = self._call.network_denial
        if why is not None:
            raise DeniedError(
                "no network in this call",
                f"plugin {self._plugin.plugin!r} may not {method} {target.origin}: {why}",
            )

    async def response(self, attempt: Attempt, until: float) -> OpenResponse:
        """The response to an attempt, of which the head has come. `until` is when its time is up,
        of `time.monotonic()`. Raises `PluginCallError`, `HttpLimitError` or `AuditError`."""
        await self._plugin.audit.room()
        pace = Pace(self._plugin.turns)
        try:
            networks = self._plugin.rules.check(attempt.method, attempt.target.origin)
            self._plugin.rules.check_overrides(attempt.headers, attempt.target.origin)
            await self._check_secrets(attempt, pace)
            self._budget.count_name(attempt.target.origin.host)
            async with self._budget.within(until):
                addresses = await self._addresses(attempt.target)
            self._plugin.rules.check_addresses(attempt.target.origin, addresses, networks)
            self._check_secret_is_safe(attempt, addresses)
        except DeniedError as denied:
            failure = self.denied(attempt.method, attempt.target, denied)
        else:
            try:
                return await self._exchanged(attempt, addresses, until, pace)
            except BaseException as error:
                forget_frames(error)  # which have what was sent, secrets and all
                raise
        raise failure

    async def _exchanged(
        self, attempt: Attempt, addresses: list[Address], until: float, pace: Pace
    ) -> OpenResponse:
        content = await self._content(attempt, pace)
        request = wire_request(attempt, self._plugin.secrets, content)
        self._budget.count_up(request.size)
        facts = self.facts(attempt.method, attempt.target)
        facts |= {"secrets": list(attempt.secrets), "up_bytes": request.size}
        facts["started"] = time.monotonic()
        wire: Wire | None = None
        try:
            async with self._budget.within(until):
                wire, head = await self._answered(attempt, request, addresses, pace)
            facts["status"] = head.status
            has_body = attempt.method != "HEAD" and head.status not in _WITHOUT_BODY
            made = decoder((head.value(b"content-encoding") if has_body else None) or "")
            response = OpenResponse(
                head,
                wire,
                self._plugin.connections,
                made,
                self._plugin.secrets.scrubber(attempt.shown),
                self._budget,
                pace,
                until,
                facts,
                self._audited,
            )
            wire = None  # the response's
        except DecodingError as error:
            failure = str(error)
            self._failed(facts, error)
        except BaseException as error:
            # It may have gone out, secrets and all, before it failed or was given up.
            self._failed(facts, error)
            raise
        else:
            return response
        finally:
            if wire is not None:
                await self._plugin.connections.back(wire)
        raise PluginCallError(
            ErrorKind.UNAVAILABLE, f"{attempt.target.origin}: {failure}", retryable=False
        )

    def _failed(self, facts: dict[str, Any], error: BaseException) -> None:
        facts["ms"] = round((time.monotonic() - facts["started"]) * 1000)
        facts["failed"] = (
            error.message if isinstance(error, PluginCallError) else type(error).__name__
        )
        self._audited(facts)

    # Secrets.

    async def _check_secrets(self, attempt: Attempt, pace: Pace) -> None:
        """Finds the secrets that go along, and raises `DeniedError` for one that may not."""
        secrets = self._plugin.secrets
        if not secrets.references:
            return
        used = in_head(attempt, secrets)
        self._budget.check_head(sum(secrets.size_of(name) for name, _ in used))
        in_json, batches = set(), 0
        places = set(used)
        for found in references(attempt.json, secrets.named):
            if found is None:
                batches += 1
                self._budget.check_up(batches * BATCH)  # a value has a byte at least
                await pace.step()
                continue
            name, pointer = found
            in_json.add(name)
            places.add((name, ("json", pointer)))
            check_secret(self._plugin.plugin, secrets, name, ("json", pointer), attempt.target)
        for name, place in used:
            check_secret(self._plugin.plugin, secrets, name, place, attempt.target)
        attempt.json_secrets = frozenset(in_json)
        attempt.places = frozenset(places)
        attempt.secrets = tuple(sorted({*in_json, *(name for name, _ in used)}))
        attempt.shown |= {*attempt.secrets, *secrets.known_at(attempt.target.origin)}

    def _check_secret_is_safe(self, attempt: Attempt, addresses: list[Address]) -> None:
        if (
            attempt.secrets
            and attempt.target.origin.scheme != "https"
            and not all(map(is_loopback, addresses))
        ):
            raise DeniedError(
                "secret without TLS",
                f"plugin {self._plugin.plugin!r} may not send the secret {attempt.secrets[0]!r} to "
                f"{attempt.target.origin} without TLS: use https",
            )

    async def _content(self, attempt: Attempt, pace: Pace) -> bytes | bytearray | None:
        if attempt.json is None:
            if attempt.body is not None:
                self._budget.check_up(len(attempt.body))
            return attempt.body
        made = bytearray()
        try:
            for piece in written(attempt.json, self._plugin.secrets.into_value):
                made += piece.encode()
                self._budget.check_up(len(made))
                await pace.step()
        except ValueError:
            pass
        else:
            return made
        # Outside, where no error that knows the secret is the context.
        raise PluginCallError(ErrorKind.INVALID_REQUEST, "the request's json is no JSON")

    # The network.

    async def _addresses(self, target: Target) -> list[Address]:
        origin = target.origin
        try:
            return await addresses_of(origin.host, origin.port, self._plugin.resolver)
        except (OSError, ValueError, UnicodeError):
            pass
        raise PluginCallError(ErrorKind.UNAVAILABLE, f"{origin.host} is not known")

    async def _answered(
        self, attempt: Attempt, request: WireRequest, addresses: list[Address], pace: Pace
    ) -> tuple[Wire, WireHead]:
        """The head of the response of the first address that there is a connection to."""
        failure = WireError("no connection")
        for address in addresses:
            self._plugin.rules.made(attempt.method, attempt.target.origin, address, attempt.places)
            try:
                return await self._sent(attempt, request, address, pace)
            except WireError as error:
                failure = error
            if not failure.connecting:
                break
        raise PluginCallError(
            ErrorKind.UNAVAILABLE,
            f"{attempt.target.origin}: {failure}",
            retryable=not failure.insecure,
        )

    async def _sent(
        self, attempt: Attempt, request: WireRequest, address: Address, pace: Pace
    ) -> tuple[Wire, WireHead]:
        """Sends it; once more if a connection that was kept turns out to be closed, and sending
        twice does no more than once would (RFC 9110, section 9.2.2)."""
        connections, origin = self._plugin.connections, attempt.target.origin
        wire = await connections.to(origin, address)
        try:
            return wire, await self._head(wire, request, pace)
        except WireError as error:
            if not (wire.used and error.unanswered and attempt.method in _IDEMPOTENT):
                raise
        wire = await connections.to(origin, address, fresh=True)
        return wire, await self._head(wire, request, pace)

    async def _head(self, wire: Wire, request: WireRequest, pace: Pace) -> WireHead:
        try:
            await wire.send(request)
            return await wire.head(pace, self._call.limits.http_head_bytes)
        except BaseException:
            await wire.close()
            raise
