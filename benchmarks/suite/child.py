"""One contender, in a process of its own: `python -m suite.child FACTORY OPTIONS CACHE FOLDER`.

Each line on standard input is the seconds of a round; each line on standard output is what it
gave, as JSON: `{"figures": {...}}`, or `{"error": "..."}`. The first line is about getting ready.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any, TextIO

import anyio

from .timing import Place


async def _serve(answers: TextIO, factory: str, options: dict[str, Any], place: Place) -> None:
    def answer(document: dict[str, Any]) -> None:
        answers.write(json.dumps(document) + "\n")
        answers.flush()

    module, _, name = factory.partition(":")
    try:
        make = getattr(importlib.import_module(f"suite.contenders.{module}"), name)
        async with make(place, **options) as round_:
            answer({"ready": True})
            # Rounds are asked for from a thread, so that what a host does between calls goes on.
            while line := await anyio.to_thread.run_sync(sys.stdin.readline):
                answer({"figures": dict(await round_(float(line)))})
    except Exception as error:
        traceback.print_exc()
        told: BaseException = error
        while isinstance(told, BaseExceptionGroup):
            told = told.exceptions[0]
        answer({"error": f"{type(told).__name__}: {told}"})
        raise SystemExit(1) from None


def main() -> None:
    """Runs the contender that the command line names."""
    factory, options, cache, folder = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a plugin prints is no answer
    anyio.run(_serve, answers, factory, json.loads(options), Place(Path(cache), Path(folder)))


if __name__ == "__main__":
    main()
