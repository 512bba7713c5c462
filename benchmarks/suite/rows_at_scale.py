"""The rows of many guests at once, of memory, of ends, and of searching."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from .groups import CROWDS, ENDS, MEMORY, PLACES, SEARCH
from .model import Figure, Row, Side

_STREAMS_WHY: Final = (
    "The server sends its tokens to all 100 at the same moments, and an event costs 0.17 ms. No "
    "pass of the event loop computed for more than 12 ms; the threads that guests compute in "
    "want the interpreter's lock at the same time."
)


def _crowds() -> Iterator[Row]:
    streams = {"count": 100, "tokens": 60, "gap_ms": 50}
    yield Row(
        name="streams",
        group=CROWDS,
        title="100 streams at once through `openai-provider`",
        ours=Side("crowds:streams", "in-process", {"where": "in-process", **streams}),
        peer=Side("crowds:plain_streams", "httpx alone", streams),
        figures=(
            Figure("to_ideal", "wall time to the ideal", "alone", 1.2),
            Figure("gap", "worst gap", "alone", 0.020, worst=True, unit="s", why=_STREAMS_WHY),
            Figure("gap_p99", "gaps, p99", "alone", unit="s"),
            Figure("bytes", "memory a stream", "alone", 6e6, worst=True, unit="MB"),
        ),
        how="a server in a process of its own, 60 tokens, 50 ms apart: 3 s are ideal. The "
        "instances are there.",
        rounds=4,
        quick={"count": 20, "tokens": 10},
    )
    yield Row(
        name="waiting",
        group=CROWDS,
        title="1,000 guests that wait at once",
        ours=Side("crowds:waiting", "in-process", {"where": "in-process", "count": 1_000}),
        peer=None,
        figures=(
            Figure("to_ideal", "wall time to the ideal", "alone", 1.3),
            Figure("slowest_to_ideal", "the slowest, to the ideal", "alone", 1.3),
            Figure("gap", "worst gap", "alone", worst=True, unit="s"),
        ),
        how="each sleeps for a second, which is ideal. The instances are there.",
        rounds=5,
        quick={"count": 200},
    )
    yield Row(
        name="computing",
        group=CROWDS,
        title="4 guests that compute, on 2 cores",
        ours=Side("crowds:computing", "4 at once", {"where": "in-process", "count": 4}),
        peer=Side("crowds:computing", "1 alone", {"where": "in-process", "count": 1}),
        figures=(
            Figure("seconds", "throughput against one", "throughput", 1.7, at_least=True, factor=4),
            Figure("gap_p99", "gaps, p99", "alone", 0.005, unit="s"),
            Figure("gap", "worst gap", "alone", worst=True, unit="s"),
        ),
        rounds=5,
    )


def _memory() -> Iterator[Row]:
    for factory, title in (
        ("loaded_plugins", "plugins of the same Python component, an instance each"),
        ("open_streams", "instances of one Python plugin, all streaming"),
    ):
        for where in ("in-process", "process"):
            target = 150 if where == "in-process" else None
            name = "plugins" if factory == "loaded_plugins" else "instances"
            yield Row(
                name=f"memory-{name}-{where}",
                group=MEMORY,
                title=f"{title}, {PLACES[where]}",
                ours=Side(f"python_guests:{factory}", PLACES[where], {"where": where}),
                peer=None,
                figures=(
                    Figure("bytes", "in a GiB", "per_gib", target, at_least=True),
                    Figure("bytes", "each", "alone", unit="MB"),
                ),
                rounds=3,
                fresh=True,
                quick={"count": 6},
            )


def _ends() -> Iterator[Row]:
    for name, title, rounds in (
        ("load", "loading a small component from the cache", 11),
        ("after_a_crash", "a call that needs a new instance, after a crash", 7),
    ):
        yield Row(
            name=name.replace("_", "-"),
            group=ENDS,
            title=f"{title}, process tier to in-process",
            ours=Side(f"calls:{name}", "process tier", {"where": "process"}),
            peer=Side(f"calls:{name}", "in-process", {"where": "in-process"}),
            figures=(Figure("seconds"),),
            rounds=rounds,
        )
    for where, guest in (
        ("in-process", "spins"),
        ("in-process", "sleeps"),
        ("process", "spins"),
        ("process", "sleeps"),
        ("process", "blocks"),
    ):
        what = "blocks in WASI" if guest == "blocks" else guest
        yield Row(
            name=f"late-{guest}-{where}",
            group=ENDS,
            title=f"a guest that {what}, {PLACES[where]}",
            ours=Side("calls:late", PLACES[where], {"where": where, "guest": guest}),
            peer=None,
            figures=(
                Figure("overshoot", "the worst past the deadline", "alone", 0.05, worst=True,
                       unit="s"),
                Figure("overshoot", "the median", "alone", unit="s"),
            ),
            rounds=11,
        )  # fmt: skip


def _searching() -> Iterator[Row]:
    sizes = {"items": 100_000, "dims": 384}
    steps = {
        "best": "a query for the best",
        "best_10": "a query for the best 10",
        "best_10_of_a_third": "the best 10 of the third that a filter lets through",
        "best_10_of_a_hundred": "the best 10 of the hundred that a filter lets through",
        "upsert": "an upsert of 1,000",
        "load": "loading it again, from a file of 157 MB",
    }
    sqlite = Side("searching:searching", "sqlite", {"store": "sqlite-vectors-native", **sizes})
    for where in ("in-process", "process"):
        yield Row(
            name=f"search-{where}",
            group=SEARCH,
            title=f"`flat-vectors`, {PLACES[where]}, to `sqlite-vectors`",
            ours=Side(
                "searching:searching",
                PLACES[where],
                {"store": f"flat-vectors-{where}", **sizes},
            ),
            peer=sqlite,
            figures=tuple(Figure(key, title) for key, title in steps.items()),
            rounds=7,
            quick={"items": 5_000},
        )


AT_SCALE: Final = (*_crowds(), *_memory(), *_ends(), *_searching())
"""In the order of the page."""
