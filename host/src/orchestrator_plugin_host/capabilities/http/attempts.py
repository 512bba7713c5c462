"""One request to one server: read from what a plugin wrote, built for the wire, redirected.

A plugin's request has references where secrets go; `wire_request` puts the values in, and nothing
else ever sees what it returns.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from orchestrator_plugin_sdk.capabilities.http import HttpRequest
from orchestrator_plugin_sdk.errors import ErrorKind, PluginCallError
from orchestrator_plugin_sdk.origins import METHODS

from ..secrets.bound import Place, Secrets
from ..secrets.scrubbing import Scrubber
from .decoding import ACCEPTED
from .messages import WireRequest
from .rules import DeniedError
from .targets import Target, TargetError, read_target, redirect_target

REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
"""The statuses that say where to go instead."""

_MAX_HEADERS: Final = 100
_MAX_PARAMETERS: Final = 1000
_OURS: Final = frozenset(
    (
        "accept-encoding", "connection", "content-length", "expect", "host", "keep-alive",
        "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
        "transfer-encoding", "upgrade",
    )
)  # fmt: skip
"""Headers that the host writes, or that are between it and the server alone."""
_CREDENTIALS: Final = frozenset({"authorization", "cookie"})
_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_TOKEN: Final = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")


@dataclass(slots=True)
class Attempt:
    """One request to one server: a redirect makes another. References stand for secrets, whose
    names are in `secrets` once they were checked, and in `json_secrets` those in its JSON; `places`
    says where each is. `shown` are those that servers on the way here may know, and so may put
    into a response."""

    method: str
    target: Target
    headers: list[tuple[str, str]]
    query: list[tuple[str, str]]
    body: bytes | None
    json: Any
    secrets: tuple[str, ...] = ()
    json_secrets: frozenset[str] = frozenset()
    places: frozenset[tuple[str, Place]] = frozenset()
    shown: frozenset[str] = frozenset()


def head_bytes(request: HttpRequest, enough: int) -> int:
    """Bytes of the names and values of a request's headers and query; or, if they are more than
    `enough`, some number above that. Looks at nothing else. Raises `PluginCallError`."""
    if len(request.headers) > _MAX_HEADERS:
        raise _invalid(f"a request has at most {_MAX_HEADERS} headers")
    if len(request.query) > _MAX_PARAMETERS:
        raise _invalid(f"a request has at most {_MAX_PARAMETERS:,} parameters of its query")
    pairs = (*request.headers, *request.query)
    if any(len(pair) != 2 for pair in pairs):
        raise _invalid("headers and query are pairs of a name and a value")
    characters = sum(len(name) + len(value) for name, value in pairs)
    if characters > enough:  # what is not ASCII has more bytes
        return characters
    return sum(len(text.encode("utf-8", "surrogatepass")) for pair in pairs for text in pair)


def asked_target(request: HttpRequest) -> Target:
    """Where a request goes. Raises `PluginCallError` for what is no request."""
    if request.method not in METHODS:  # what a denial repeats, an operator may copy into a policy
        raise _invalid(f"the method {request.method[:20]!r} is none of {', '.join(METHODS)}")
    return _readable(request.url)


def attempt_of(request: HttpRequest, target: Target) -> Attempt:
    """What a plugin asks for, whose `target` was read before. Raises `PluginCallError` for what is
    no request."""
    if request.body is not None and request.json is not None:
        raise _invalid("a request has a body or json, not both")
    return Attempt(
        request.method,
        target,
        [_header(name, value) for name, value in request.headers],
        [(name, value) for name, value in request.query],
        request.body,
        request.json,
    )


def wire_request(
    attempt: Attempt, secrets: Secrets, content: bytes | bytearray | None
) -> WireRequest:
    """The request with the values of its secrets, and this for a body. Raises
    `PluginCallError`."""
    target = attempt.target.with_query(
        [(name, secrets.into_text(value)) for name, value in attempt.query]
    )
    headers = [(name, secrets.into_text(value)) for name, value in attempt.headers]
    for name, value in headers:
        if not value.isascii():  # the plugin's part was looked at: the error may not show the rest
            raise _invalid(
                f"the header {name!r} has a secret that is not ASCII, and can't go there"
            )
    names = {name for name, _ in headers}
    if attempt.json is not None and "content-type" not in names:
        headers.append(("content-type", "application/json"))
    if "user-agent" not in names:
        headers.append(("user-agent", "orchestrator-plugins"))
    headers.append(("accept-encoding", ACCEPTED))
    if content is not None or attempt.method in _WITH_BODY:
        headers.append(("content-length", str(len(content or b""))))
    authority = str(attempt.target.origin).partition("://")[2]
    return WireRequest(
        attempt.method,
        target.selector.encode("ascii"),
        [("host", authority), *headers],
        content or b"",
    )


def redirected(
    before: Attempt, status: int, location: str, secrets: Secrets, scrubber: Scrubber
) -> Attempt:
    """The next attempt. Across origins, nothing goes along that lets anyone in: `scrubber` is that
    of the response that redirects.

    Raises `DeniedError`.
    """
    has_secret = scrubber.text(location) != location
    try:
        target = redirect_target(before.target, location)
    except TargetError as error:
        # What it repeats is cut, and a secret that is cut is not found any more.
        why = "its URL has a secret in it, and is none" if has_secret else str(error)
        raise DeniedError(
            "redirect to no URL",
            f"{before.target.origin} redirects to where no request may go: {why}",
        ) from None
    method, body, document = before.method, before.body, before.json
    if (status == 303 and method != "HEAD") or (status in (301, 302) and method == "POST"):
        method, body, document = "GET", None, None
    headers = before.headers
    if body is None and document is None:
        headers = [one for one in headers if not one[0].startswith("content-")]
    if target.origin != before.target.origin:
        headers = [
            (name, value)
            for name, value in headers
            if name not in _CREDENTIALS and not secrets.in_text(value)
        ]
        has_secret = has_secret or scrubber.text(str(target)) != str(target)
        if has_secret or (document is not None and before.json_secrets):
            # Not where to: a host is in lower case, where no secret is found any more.
            raise DeniedError(
                "secret across origins",
                f"{before.target.origin} redirects to another origin with a secret, which does "
                "not go along",
            )
    return Attempt(method, target, headers, [], body, document, shown=before.shown)


def _readable(url: str) -> Target:
    try:
        return read_target(url)
    except TargetError as error:
        raise _invalid(str(error)) from None


def _header(name: str, value: str) -> tuple[str, str]:
    low = name.lower()
    if not low or not set(low) <= _TOKEN:
        raise _invalid(f"{name[:50]!r} is no name of a header")
    if low in _OURS:
        raise _invalid(f"the header {low!r} is the host's to write")
    if not value.isascii() or _CONTROL.search(value) is not None:
        raise _invalid(f"the value of the header {low[:50]!r} is not ASCII text")
    return low, value.strip()


def _invalid(message: str) -> PluginCallError:
    return PluginCallError(ErrorKind.INVALID_REQUEST, message)
