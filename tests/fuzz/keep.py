"""What went wrong, kept: the input of each kind of finding, made small, and how it ended."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from .engine import Finding, run_files, write_input
from .target import Target

_ATTEMPTS = 120
"""Processes that making one input smaller may take: each is half a second."""
_AT_ONCE = 16


def smaller(
    data: bytes, still: Callable[[list[bytes]], int | None], attempts: int = _ATTEMPTS
) -> bytes:
    """The input with pieces cut out, for as long as it is still wrong.

    `still` gets candidates and gives the number of the first that is, or none.
    """
    size = max(len(data) // 2, 1)
    while attempts > 0 and len(data) > 1:
        cuts = [data[:at] + data[at + size :] for at in range(0, len(data), size)]
        for start in range(0, len(cuts), _AT_ONCE):
            attempts -= 1
            found = still(cuts[start : start + _AT_ONCE])
            if found is not None:
                data = cuts[start + found]
                break
            if attempts <= 0:
                break
        else:
            if size == 1:
                break
            size = max(size // 2, 1)
    return data


def _still(
    target: type[Target], signature: str, folder: Path
) -> Callable[[list[bytes]], int | None]:
    def still(candidates: list[bytes]) -> int | None:
        paths = []
        for number, candidate in enumerate(candidates):
            paths.append(folder / f"candidate-{number}")
            paths[-1].write_bytes(candidate)
        for number, ended in enumerate(run_files(target, paths)):
            if isinstance(ended, Finding) and ended.signature == signature:
                return number
        return None

    return still


def keep(
    target: type[Target], seed: int, findings: Iterable[Finding], folder: Path, *, minimise: bool
) -> list[Path]:
    """Writes the first input of each kind of finding to the folder, and how it ended beside it."""
    kept: list[Path] = []
    counts: dict[str, list[Finding]] = {}
    for finding in findings:
        counts.setdefault(finding.signature, []).append(finding)
    for signature, alike in counts.items():
        first = alike[0]
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{target.name}-{seed}-{first.number}.bin"
        lines = [
            f"{signature}: {len(alike)} input(s), the first is {first.number} of seed {seed}",
            f"all: {[one.number for one in alike[:50]]}",
        ]
        if first.number >= 0 and write_input(target, seed, first.number, path):
            [alone] = run_files(target, [path])
            same = isinstance(alone, Finding) and alone.signature == signature
            lines.append(f"run alone: {'the same' if same else alone}")
            if same and minimise:
                with tempfile.TemporaryDirectory() as scratch:
                    made = smaller(path.read_bytes(), _still(target, signature, Path(scratch)))
                path.with_suffix(".small").write_bytes(made)
                lines.append(f"made small: {len(made)} bytes: {made[:200]!r}")
        path.with_suffix(".txt").write_text("\n".join([*lines, "", first.detail]))
        kept.append(path)
    return kept
