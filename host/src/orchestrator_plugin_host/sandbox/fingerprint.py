"""What compiled code depends on, besides the component."""

from __future__ import annotations

import hashlib
import json
import platform
from importlib.metadata import version

from .config import SETTINGS


def fingerprint() -> str:
    """Changes with anything that makes compiled code another: the wasmtime version, the settings,
    the machine."""
    facts = [
        version("wasmtime"),
        SETTINGS,
        platform.machine(),
        platform.system(),
        "without names",
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
