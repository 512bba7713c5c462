"""The table `[kv]` of a policy."""

from ...limits import MIB, Positive
from ..grant import Grant


class KvGrant(Grant):
    """Keys and values that a plugin may keep, if its manifest asks for them, too."""

    bytes: Positive = MIB
    """Bytes of all keys, in UTF-8, and values together."""
    keys: Positive = 1_000
    """How many there may be."""
