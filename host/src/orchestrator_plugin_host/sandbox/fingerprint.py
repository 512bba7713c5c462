"""What compiled code depends on, besides the component."""

from __future__ import annotations

import hashlib
import json
import platform
from importlib.metadata import version
from pathlib import Path

from .config import FUEL_SLICE, SETTINGS


def processor_features() -> str:
    """What this machine's processor can do, on Linux: code is compiled for all of it, and a folder
    of compiled code may be shared by machines that differ."""
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8", "replace")
    except OSError:
        return ""
    lines = (line.partition(":") for line in text.splitlines())
    return next((what for name, _, what in lines if name.strip() in ("flags", "Features")), "")


def fingerprint() -> str:
    """Changes with anything that makes compiled code another: the wasmtime version, the settings,
    the machine."""
    facts = [
        version("wasmtime"),
        SETTINGS,
        platform.machine(),
        platform.system(),
        processor_features(),
        "without names, with adapters 3",
        FUEL_SLICE,
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
