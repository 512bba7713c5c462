"""What the operator lets plugins reach, besides the host's own interfaces."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

WasiLevel = Literal["none", "core", "core+filesystem"]

_CORE: Final = frozenset(
    {
        "wasi:cli/environment",
        "wasi:cli/exit",
        "wasi:cli/stderr",
        "wasi:cli/stdin",
        "wasi:cli/stdout",
        "wasi:cli/terminal-input",
        "wasi:cli/terminal-output",
        "wasi:cli/terminal-stderr",
        "wasi:cli/terminal-stdin",
        "wasi:cli/terminal-stdout",
        "wasi:clocks/monotonic-clock",
        "wasi:clocks/wall-clock",
        "wasi:io/error",
        "wasi:io/poll",
        "wasi:io/streams",
        "wasi:random/insecure",
        "wasi:random/insecure-seed",
        "wasi:random/random",
    }
)
_FILESYSTEM: Final = frozenset({"wasi:filesystem/preopens", "wasi:filesystem/types"})
WASI_INTERFACES: Final[Mapping[WasiLevel, frozenset[str]]] = {
    "none": frozenset(),
    "core": _CORE,
    "core+filesystem": _CORE | _FILESYSTEM,
}
"""The interfaces of each level. None has sockets or HTTP."""

_WASI_NAME: Final = re.compile(r"(wasi:[a-z-]+/[a-z-]+)@0\.2\.[0-9]{1,3}")


class Policy(BaseModel):
    """What the operator grants to plugins. The default grants nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    wasi: WasiLevel = "none"
    """WASI 0.2 interfaces that a component may import.

    `core` is clocks, randomness, and standard streams that lead nowhere, with an empty environment
    and no arguments; `core+filesystem` adds the interfaces of files, with no folder granted. A
    guest can block in WASI, where fuel and epochs do not reach it: prefer the `process` tier.
    """

    def admits(self, name: str) -> bool:
        """Whether a component may import this interface of WASI."""
        found = _WASI_NAME.fullmatch(name)
        return found is not None and found[1] in WASI_INTERFACES[self.wasi]

    def level_of(self, name: str) -> WasiLevel | None:
        """The lowest level that has this interface of WASI; none if no level has."""
        for level in WASI_INTERFACES:
            if Policy(wasi=level).admits(name):
                return level
        return None
