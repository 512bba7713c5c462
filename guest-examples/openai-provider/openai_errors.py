"""What an API says when it says no, as `PluginCallError`.

The shape is that of OpenAI, `{"error": {"message", "type", "code"}}`, and those that servers which
call themselves compatible have instead.
"""

from __future__ import annotations

from typing import Any

from orchestrator_plugin_sdk import ErrorKind, HttpResponse, PluginCallError, read_json
from orchestrator_plugin_sdk.capabilities.http import kind_of_status

MOST_OF_A_BODY = 64 * 1024
MOST_OF_A_MESSAGE = 1_000

# Errors without a status of their own, in a stream or under a status of 200; by `code` or `type`.
_KINDS = {
    "authentication_error": ErrorKind.UNAUTHENTICATED,
    "context_length_exceeded": ErrorKind.INVALID_REQUEST,
    "invalid_api_key": ErrorKind.UNAUTHENTICATED,
    "invalid_request_error": ErrorKind.INVALID_REQUEST,
    "model_not_found": ErrorKind.NOT_FOUND,
    "not_found_error": ErrorKind.NOT_FOUND,
    "permission_error": ErrorKind.PERMISSION_DENIED,
    "rate_limit_error": ErrorKind.RATE_LIMITED,
    "rate_limit_exceeded": ErrorKind.RATE_LIMITED,
}
_STATUSES = {402: ErrorKind.PERMISSION_DENIED, 409: ErrorKind.UNAVAILABLE}
"""402 wants money first; 409 is a conflict with another request, which passes."""
_OUT_OF_MONEY = frozenset({"insufficient_quota", "billing_hard_limit_reached"})
"""Their status is 429, too, but waiting does not help."""


async def error_of(response: HttpResponse, server: str) -> PluginCallError:
    """The error of a response whose status is not well. Reads no more of it than a message has."""
    body = await response.read(MOST_OF_A_BODY)
    try:
        document = read_json(body)
    except ValueError:  # a page of a proxy's, a text, or JSON that was cut
        document = response.text
    status = response.status
    if status < 400:
        return PluginCallError(
            ErrorKind.INVALID_REQUEST,
            f"{server} answered {status}, which is no answer to a chat: is base_url right?",
        )
    return _error(server, document, status, response.retry_after_ms)


def error_in(document: Any, server: str) -> PluginCallError | None:
    """The error that stands where an answer, or a piece of one, should; none if there is none."""
    if not isinstance(document, dict) or not document.get("error"):
        return None
    return _error(server, document, None, None)


def unusable(server: str, what: str) -> PluginCallError:
    """For an answer that is not what the API promises. Another try may go better."""
    return PluginCallError(ErrorKind.UNAVAILABLE, f"{server} {what}")


def _error(
    server: str, document: Any, status: int | None, retry_after_ms: int | None
) -> PluginCallError:
    message, marks = _said(document)
    if status is None:  # some write the status they would have had into the error
        status = next((mark for mark in marks if isinstance(mark, int) and 400 <= mark < 600), None)
    names = [mark for mark in marks if isinstance(mark, str)]
    if status is not None:
        kind = _STATUSES.get(status, kind_of_status(status))
        answered = f"{server} answered {status}"
    else:
        kind = next((_KINDS[name] for name in names if name in _KINDS), ErrorKind.UNAVAILABLE)
        answered = f"{server} answered with an error"
    retryable = kind in (ErrorKind.RATE_LIMITED, ErrorKind.UNAVAILABLE, ErrorKind.TIMEOUT)
    if _OUT_OF_MONEY.intersection(names):
        kind, retryable = ErrorKind.RATE_LIMITED, False
    if status == 501:  # it will not have learnt it a moment later
        retryable = False
    named = f" ({cut(names[0], 100)})" if names else ""
    said = f": {cut(message, MOST_OF_A_MESSAGE)}" if message else ""
    return PluginCallError(
        kind,
        f"{answered}{named}{said}",
        retryable=retryable,
        retry_after_ms=retry_after_ms if retryable else None,
    )


def _said(document: Any) -> tuple[str, list[Any]]:
    """The message of an error, and what it is called, the most special name first."""
    if isinstance(document, list) and document:
        document = document[0]
    if isinstance(document, dict):
        inner = document.get("error", document)
        if isinstance(inner, dict):
            message = inner.get("message", inner.get("detail", ""))
            marks = [inner.get(name) for name in ("code", "type", "status")]
        else:
            message, marks = inner, [document.get("code")]
    else:
        message, marks = document, []
    return message if isinstance(message, str) else repr(message), [m for m in marks if m]


def cut(text: str, most: int) -> str:
    """A text on one line, of at most so many characters."""
    text = " ".join(text[: most * 4].split())
    return text if len(text) <= most else f"{text[: most - 1]}…"
