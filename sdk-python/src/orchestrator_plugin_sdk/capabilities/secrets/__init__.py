"""Secrets of plugins: references to them, `ctx.secret(NAME)`."""

from .places import SECRET_HEADERS, PlaceKind, check_place, pointer_to
from .requirement import ConfigField, SecretRequirement

__all__ = [
    "SECRET_HEADERS",
    "ConfigField",
    "PlaceKind",
    "SecretRequirement",
    "check_place",
    "pointer_to",
]
