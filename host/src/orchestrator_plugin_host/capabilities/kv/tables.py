"""The tables of TOML that ask for keys and values, and that grant them."""

from __future__ import annotations

from ..remedies import table
from .grant import KvGrant


def asking() -> str:
    """For `plugin.toml`."""
    return "[kv]"


def granting(plugin: str, grant: KvGrant) -> str:
    """For the policy."""
    return f"{table(plugin, 'kv')}\nbytes = {grant.bytes}\nkeys = {grant.keys}"
