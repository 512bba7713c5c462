"""One request to one server: read from what a plugin wrote, built for the wire, redirected.

A plugin's request has references where secrets go; `built` puts the values in, and nothing else
ever sees what it gives.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

import httpx
from orchestrator_plugin_sdk import ErrorKind, PluginCallError
from orchestrator_plugin_sdk.http import HttpRequest
from orchestrator_plugin_sdk.origins import METHODS

from .decoding import ACCEPTED
from .http_rules import DeniedError
from .secrets import Secrets
from .targets import Target, TargetError, read_target, redirect_target

REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
"""The statuses that say where to go instead."""

_MAX_HEADERS: Final = 100
_OURS: Final = frozenset(
    (
        "accept-encoding", "connection", "content-length", "expect", "host", "keep-alive",
        "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
        "transfer-encoding", "upgrade",
    )
)  # fmt: skip
"""Headers that the host writes, or that are between it and the server alone."""
_CREDENTIALS: Final = frozenset({"authorization", "cookie"})
_TOKEN: Final = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")


@dataclass(slots=True)
class Attempt:
    """One request to one server: a redirect makes another. References stand for secrets, whose
    names are in `secrets` once they were checked."""

    method: str
    target: Target
    headers: list[tuple[str, str]]
    query: list[tuple[str, str]]
    body: bytes | None
    json: Any
    secrets: tuple[str, ...] = ()


def attempt_of(request: HttpRequest) -> Attempt:
    """What a plugin asks for. Raises `PluginCallError` for what is no request."""
    if request.body is not None and request.json is not None:
        raise PluginCallError(ErrorKind.INVALID_REQUEST, "a request has a body or json, not both")
    if request.method not in METHODS:  # what a denial repeats, an operator may copy into a policy
        raise PluginCallError(
            ErrorKind.INVALID_REQUEST,
            f"the method {request.method[:20]!r} is none of {', '.join(METHODS)}",
        )
    return Attempt(
        request.method,
        _readable(request.url),
        _headers(request),
        [_pair(one) for one in request.query],
        request.body,
        request.json,
    )


def built(attempt: Attempt, secrets: Secrets) -> httpx.Request:
    """The request with the values of its secrets. Raises `PluginCallError`."""
    target = attempt.target.with_query(
        [(name, secrets.into_text(value)) for name, value in attempt.query]
    )
    headers = [(name, secrets.into_text(value)) for name, value in attempt.headers]
    for name, value in headers:
        if not value.isascii():  # the plugin's part was looked at: the error may not show the rest
            raise PluginCallError(
                ErrorKind.INVALID_REQUEST,
                f"the header {name!r} has a secret that is not ASCII, and can't go there",
            )
    content = attempt.body
    if attempt.json is not None:
        try:
            text = json.dumps(secrets.into_json(attempt.json), ensure_ascii=False, allow_nan=False)
            content = text.encode()
        except (ValueError, TypeError, RecursionError):
            content = None
        if content is None:  # outside, where no error that knows the secret is the context
            raise PluginCallError(ErrorKind.INVALID_REQUEST, "the request's json is no JSON")
        if not any(name == "content-type" for name, _ in headers):
            headers.append(("content-type", "application/json"))
    if not any(name == "user-agent" for name, _ in headers):
        headers.append(("user-agent", "orchestrator-plugins"))
    headers.append(("accept-encoding", ACCEPTED))
    origin = attempt.target.origin
    authority = str(origin).partition("://")[2]
    return httpx.Request(
        attempt.method,
        httpx.URL(scheme=origin.scheme, host=origin.host, port=origin.port, path="/"),
        headers=[("host", authority), *headers],
        content=content,
        # As it is: a URL of httpx would take `..` out, and has no room for a long query.
        extensions={"target": target.selector.encode("ascii")},
    )


def redirected(before: Attempt, status: int, location: str, secrets: Secrets) -> Attempt:
    """The next attempt. Across origins, nothing goes along that lets anyone in.

    Raises `DeniedError`.
    """
    has_secret = secrets.scrub(location) != location
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
        has_secret = has_secret or secrets.scrub(str(target)) != str(target)
        if has_secret or secrets.in_json(document):
            # Not where to: a host is in lower case, where no secret is found any more.
            raise DeniedError(
                "secret across origins",
                f"{before.target.origin} redirects to another origin with a secret, which does "
                "not go along",
            )
    return Attempt(method, target, headers, [], body, document)


def _readable(url: str) -> Target:
    try:
        return read_target(url)
    except TargetError as error:
        raise PluginCallError(ErrorKind.INVALID_REQUEST, str(error)) from None


def _pair(given: tuple[str, ...]) -> tuple[str, str]:
    if len(given) != 2:
        raise PluginCallError(
            ErrorKind.INVALID_REQUEST, "headers and query are pairs of a name and a value"
        )
    return given[0], given[1]


def _headers(request: HttpRequest) -> list[tuple[str, str]]:
    if len(request.headers) > _MAX_HEADERS:
        raise PluginCallError(ErrorKind.INVALID_REQUEST, "a request has at most 100 headers")
    made = []
    for name, value in map(_pair, request.headers):
        low = name.lower()
        if not low or not set(low) <= _TOKEN:
            raise PluginCallError(
                ErrorKind.INVALID_REQUEST, f"{name[:50]!r} is no name of a header"
            )
        if low in _OURS:
            raise PluginCallError(
                ErrorKind.INVALID_REQUEST, f"the header {low!r} is the host's to write"
            )
        if not value.isascii() or any(ord(one) < 32 and one != "\t" for one in value):
            raise PluginCallError(
                ErrorKind.INVALID_REQUEST, f"the value of the header {low!r} is not ASCII text"
            )
        made.append((low, value.strip()))
    return made
