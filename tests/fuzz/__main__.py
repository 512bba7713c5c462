"""The command: `python -m fuzz TARGET [--inputs N] [--seed S]`, from the folder `tests`."""

from __future__ import annotations

import argparse
import json
import sys
import time
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from .engine import Finding, Tally, run, run_files
from .keep import keep
from .target import Target
from .targets import TARGETS, target_class


def table(target: type[Target], tally: Tally) -> str:
    """What became of the inputs: by stage, the deepest last, and by what ended them."""
    inputs = max(tally.inputs, 1)
    lines = [
        (
            f"{tally.inputs:,} inputs in {tally.seconds:.0f} s "
            f"({tally.inputs / max(tally.seconds, 0.001):,.0f}/s), "
            f"at most {tally.peak_mib} MiB and {tally.slowest_ms} ms an input, "
            f"{len(tally.findings)} finding(s)"
        )
    ]
    stages = tally.stages()
    for stage in target.stages:
        lines.append(f"{stage:14} {stages[stage]:9,} {stages[stage] / inputs:7.2%}")
        endings = {how: n for (where, how), n in tally.outcomes.items() if where == stage}
        for how, count in sorted(endings.items(), key=lambda item: -item[1]):
            lines.append(f"    {how:34} {count:9,} {count / inputs:7.2%}")
    return "\n".join(lines)


def _progress(target: type[Target], tally: Tally) -> None:
    stages = tally.stages()
    shown = "  ".join(f"{stage} {stages[stage] / tally.inputs:.0%}" for stage in target.stages)
    print(
        f"\r{tally.inputs:,} inputs  {tally.inputs / max(tally.seconds, 0.001):,.0f}/s  {shown}  "
        f"findings {len(tally.findings)} ",
        end="",
        file=sys.stderr,
        flush=True,
    )


def fuzz(target: type[Target], seed: int, first: int, last: int) -> Tally:
    """Runs the inputs, until Ctrl-C, and shows how it goes: on a terminal often, elsewhere now and
    then."""
    tally, shown = Tally(), time.monotonic()
    every = 0.5 if sys.stderr.isatty() else 30.0
    with suppress(KeyboardInterrupt):  # what there is so far is worth seeing
        for tally in run(target, seed, first, last):
            if time.monotonic() - shown > every:
                shown = time.monotonic()
                _progress(target, tally)
    print(file=sys.stderr)
    return tally


def main() -> int:
    """Fuzzes, prints the table, keeps what was found. Exit code 1 if there was anything."""
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("target", choices=[*TARGETS])
    parser.add_argument("--inputs", type=int, default=10_000, metavar="N")
    parser.add_argument("--first", type=int, default=0, metavar="N", help="number of the first")
    parser.add_argument("--seed", type=int, default=1, metavar="S")
    parser.add_argument("--findings", type=Path, default=Path("build/fuzz"), metavar="DIR")
    parser.add_argument("--no-minimise", action="store_true", help="keep inputs as they are")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--replay", type=Path, nargs="+", metavar="FILE", help="run these inputs")
    given = parser.parse_args()
    target = target_class(given.target)
    if given.replay:
        ended = run_files(target, given.replay)
        for path, one in zip(given.replay, ended, strict=True):
            print(f"{path}: {one if isinstance(one, str) else one.signature}")
            if isinstance(one, Finding):
                print(one.detail)
        return int(any(isinstance(one, Finding) for one in ended))
    tally = fuzz(target, given.seed, given.first, given.first + given.inputs)
    if given.json:
        print(json.dumps(_document(target, given.seed, tally), indent=2))
    else:
        print(f"{target.name}, seed {given.seed}, wasmtime {version('wasmtime')}")
        print(table(target, tally))
    minimise = not given.no_minimise
    kept = keep(target, given.seed, tally.findings, given.findings, minimise=minimise)
    for path in kept:
        print(f"kept {path}: {path.with_suffix('.txt').read_text().splitlines()[0]}")
    return int(bool(kept))


def _document(target: type[Target], seed: int, tally: Tally) -> dict[str, object]:
    return {
        "target": target.name,
        "seed": seed,
        "inputs": tally.inputs,
        "seconds": tally.seconds,
        "peak_mib": tally.peak_mib,
        "slowest_ms": tally.slowest_ms,
        "outcomes": [[*where, count] for where, count in tally.outcomes.most_common()],
        "findings": [[one.number, one.signature, one.detail] for one in tally.findings],
    }


if __name__ == "__main__":
    sys.exit(main())
