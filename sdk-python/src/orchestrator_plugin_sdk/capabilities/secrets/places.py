"""Where in a request the value of a secret may stand.

By default in the headers that are made for credentials, since no server takes what is there for the
words of a user: a key in a chat message would be told to whoever asks the model for it. Any other
place is named by the manifest, and by the operator's policy as well.
"""

from __future__ import annotations

import re
from typing import Final, Literal

SECRET_HEADERS: Final = (
    "authorization",
    "api-key",
    "ocp-apim-subscription-key",
    "private-token",
    "x-api-key",
    "x-auth-token",
    "x-goog-api-key",
    "x-subscription-token",
    "xi-api-key",
)
"""Headers that any secret may stand in."""

PlaceKind = Literal["headers", "query", "json"]
"""The fields of manifest and policy that name places: headers, parameters of the query, and values
of the JSON body by their pointers (RFC 6901)."""

_HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]{1,100}", re.ASCII)
_POINTER: Final = re.compile(r"(/([^/~]|~[01])*)+")
_MOST: Final = 200


def check_place(kind: PlaceKind, place: str) -> None:
    """Raises `ValueError` for what names no such place."""
    if kind == "headers" and not _HEADER.fullmatch(place):
        raise ValueError(f"expected the name of a header in lower case, got {place[:80]!r}")
    if kind == "query" and not 0 < len(place) <= _MOST:
        raise ValueError(f"expected the name of a parameter, at most {_MOST} characters")
    if kind == "json" and not (_POINTER.fullmatch(place) and len(place) <= _MOST):
        raise ValueError(f"expected a JSON pointer like /auth/key, got {place[:80]!r}")


def pointer_to(*keys: object) -> str:
    """The JSON pointer to a value: the keys of maps and the places in lists that lead to it."""
    return "".join(f"/{str(key).replace('~', '~0').replace('/', '~1')}" for key in keys)
