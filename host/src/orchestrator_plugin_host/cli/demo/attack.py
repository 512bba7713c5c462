"""A plugin that looks for credentials, loaded natively and sandboxed, on a stage of its own.

Each time in a process of its own, whose environment and home are the stage's: `_play` is what that
process runs.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import anyio
from orchestrator_plugin_sdk.project import load_project

from ...errors import PluginError
from ...handles import LoadedProvider
from ...host import PluginHost
from ...settings import HostSettings
from .stage import Stage, staged

_SECONDS: Final = 120
_SIDES: Final = ("native", "in-process", "process")


@dataclass(frozen=True, slots=True)
class Played:
    """What one way of loading the plugin came to: what it answered, the places of the canaries that
    its server was sent, of so many, and what the audit says it was denied."""

    side: str
    answer: str
    lost: tuple[str, ...]
    canaries: int
    denied: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Attack:
    """All three."""

    played: tuple[Played, ...]

    @property
    def ok(self) -> bool:
        """Whether the plugin got all of it natively, nothing sandboxed, and answered the same."""
        native, *sandboxed = self.played
        return (
            len(native.lost) == native.canaries
            and not any(one.lost for one in sandboxed)
            and all(one.denied for one in sandboxed)
            and all(one.answer == native.answer for one in sandboxed)
        )

    def document(self) -> dict[str, Any]:
        """This as JSON."""
        return {"ok": self.ok, "played": [asdict(one) for one in self.played]}


def attack(source: Path, component: Path, cache: Path) -> Attack:
    """Plays all three. `source` is the plugin's project, `component` what was built of it."""
    played = []
    for side in _SIDES:
        with staged() as stage:
            played.append(_on(stage, side, source if side == "native" else component, cache))
    return Attack(tuple(played))


def _on(stage: Stage, side: str, plugin: Path, cache: Path) -> Played:
    asked = {
        "side": side,
        "plugin": str(plugin.resolve()),
        "cache": str(cache.resolve()),
        "config": stage.config(),
    }
    done = subprocess.run(  # noqa: S603  # this interpreter and this module
        [sys.executable, "-m", __name__],
        input=json.dumps(asked),
        env=stage.environment(),
        cwd=stage.home,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    if done.returncode:
        raise PluginError(
            f"the stage's process ended with {done.returncode}: {done.stderr[-2000:]}"
        )
    said = json.loads(done.stdout)
    lost = tuple(stage.lost())
    return Played(side, said["answer"], lost, len(stage.canaries), tuple(said["denied"]))


async def _play(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Loads the plugin, asks it something, and reads the audit. On the stage."""
    audit = Path("audit.jsonl")
    settings = HostSettings(cache_directory=Path(asked["cache"]), audit_file=audit)
    native = asked["side"] == "native"
    plugin = load_project(Path(asked["plugin"])) if native else Path(asked["plugin"])
    async with PluginHost(settings) as host:
        loaded = await host.load(
            plugin,
            asked["config"],
            expect=LoadedProvider,
            tier=None if native else asked["side"],
        )
        response = await loaded.generate({"messages": [{"role": "user", "content": "Well?"}]})
    return {"answer": response.text, "denied": _denied(audit)}


def _denied(audit: Path) -> list[str]:
    lines = [json.loads(line) for line in audit.read_text(encoding="utf-8").splitlines()]
    return [
        " ".join(str(line[key]) for key in ("kind", "method", "origin", "path") if key in line)
        for line in lines
        if not line["allowed"]
    ]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(anyio.run(_play, json.load(sys.stdin))))
