"""The interfaces of WASI that a component may import, by levels."""

import re
from collections.abc import Mapping
from typing import Final, Literal

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

WASI_NAME: Final = re.compile(r"(wasi:[a-z-]+/[a-z-]+)@0\.2\.[0-9]{1,3}")
"""The name of an interface of WASI 0.2, with its version."""
