"""Keys and values of a plugin's own: `ctx.kv`."""

from .access import Kv, KvAccess, NoKv
from .requirement import KvRequirement

__all__ = ["Kv", "KvAccess", "KvRequirement", "NoKv"]
