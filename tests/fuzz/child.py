"""The process that runs inputs, and may well end by one. Started by `engine`; speaks in lines.

    python -m fuzz.child run TARGET SEED FIRST LAST      inputs by number
    python -m fuzz.child files TARGET FILE …             inputs from files
    python -m fuzz.child make TARGET SEED INDEX FILE     writes an input, runs nothing

For each input it writes, on standard output, `make N`, `run N` and then `end N MS STAGE TAB ENDED`
or `bad N DOCUMENT`, where the document is JSON of what was raised.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from .target import Target, chance_of
from .targets import target_class


def say(line: str) -> None:
    """Writes a line at once: the next moment this process may be gone."""
    os.write(1, f"{line}\n".encode())


def _signature(error: BaseException) -> str:
    """What a fault is known by: its type, and the place in this project it came out of."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [one for one in frames if "orchestrator_plugin" in one.filename] or frames
    place = f"{Path(ours[-1].filename).name}:{ours[-1].name}" if ours else "?"
    return f"{type(error).__name__} in {place}"


def run_one(target: Target, number: int, make: Callable[[], bytes]) -> None:
    """Makes and runs one input, and says how it ended."""
    say(f"make {number}")
    data = make()
    say(f"run {number}")
    started = time.monotonic()
    try:
        outcome = target.run(data)
    except BaseException as error:
        detail = "".join(traceback.format_exception(error, limit=-12))[-6000:]
        say(f"bad {number} {json.dumps({'signature': _signature(error), 'detail': detail})}")
    else:
        took = round((time.monotonic() - started) * 1000)
        say(f"end {number} {took} {outcome.stage}\t{outcome.ended}")


def main(arguments: list[str]) -> None:
    """Does what the module's docstring says."""
    command, name, *rest = arguments
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=os.environ.get("FUZZ_SCRATCH")) as scratch:
        target = target_class(name)(Path(scratch))
        try:
            if command == "make":
                made = target.make(chance_of(name, int(rest[0]), int(rest[1])))
                Path(rest[2]).write_bytes(made)
            elif command == "files":
                for number, path in enumerate(rest):
                    run_one(target, number, Path(path).read_bytes)
            else:
                seed, first, last = map(int, rest)
                for number in range(first, last):
                    run_one(target, number, lambda n=number: target.make(chance_of(name, seed, n)))
        finally:
            target.close()


if __name__ == "__main__":
    main(sys.argv[1:])
