"""Every row of the benchmarks: what is measured, beside what, and the target."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from .groups import CALLS, ECHO, PLACES, PYTHON, STARTING
from .model import Figure, Row, Side
from .rows_at_scale import AT_SCALE

_NAMES: Final = "from orchestrator_plugin_host import HostSettings, LoadedProvider, PluginHost"
_ECHO_WHY: Final = {
    ("float32", 1_000): "It takes 6 µs more than 1 kB of text: base64 is written and read.",
    ("float32", 1_000_000): "To write base64 and read it takes 1.4 ns a byte, which is 1.4 ms. The "
    "rest is what moving 1.3 MB of text costs, most of it the system's for memory that the "
    "allocator gave back before.",
}
_COMPILE_WHY: Final = (
    "Nearly all of it is Cranelift, on both cores already. Without optimisation it takes a third "
    "less, for guests that are slower ever after."
)
_THREAD_WHY: Final = (
    "A call of such a guest is handed to a thread and back, which takes about 0.1 ms: one "
    "instruction may move 256 MiB, and is not interrupted."
)
_NATIVE_WHY: Final = (
    "Request and answer are checked and copied as for a sandboxed plugin: three validations, "
    "two dumps, packing and unpacking, 45 µs together."
)
_FRESH_WHY: Final = (
    "An instance that is new writes to about 550 pages of its memory in `init` and to 800 in a "
    "call, and the system copies each when it is first written to: some 2.5 µs for each on this "
    "machine, half of the time."
)
_EXTISM_TYPED: Final = Side("extism_peer:generate", "Extism, typed, in a thread")


def _echoes() -> Iterator[Row]:
    for kind in ("text", "float32"):
        for size, shown in (
            (16, "16 B"),
            (1_000, "1 kB"),
            (10_000, "10 kB"),
            (100_000, "100 kB"),
            (1_000_000, "1 MB"),
        ):
            what = "text" if kind == "text" else "packed float32"
            target = 0.9 if size <= 1_000 else 0.6 if kind == "text" else 2.0
            options = {"kind": kind, "size": size}
            yield Row(
                name=f"echo-{kind}-{size}",
                group=ECHO,
                title=f"{shown} of {what}",
                ours=Side("lowest_layer:echo", "C-API layer", options),
                peer=Side("extism_peer:echo", "Extism", options),
                figures=(Figure("seconds", target=target, why=_ECHO_WHY.get((kind, size))),),
            )
    for size, shown in ((1_000, "1 kB"), (10_000, "10 kB")):
        options = {"kind": "text", "size": size}
        yield Row(
            name=f"echo-bytes-{size}",
            group=ECHO,
            title=f"{shown} of text, a guest that reads `bytes` alone to one that reads all",
            ours=Side("lowest_layer:echo", "C-API layer", {**options, "forms": ["bytes"]}),
            peer=Side("lowest_layer:echo", "reads all forms", options),
            figures=(Figure("seconds"),),
        )


def _calls() -> Iterator[Row]:
    for name, options, target, how, why in (
        (
            "in-process",
            {},
            0.6,
            "its manifest asks for 32 MiB: it may run on the event loop.",
            None,
        ),
        (
            "in-process-default",
            {"says_memory": False},
            0.6,
            "its manifest does not say how much memory it needs: it runs in a thread.",
            _THREAD_WHY,
        ),
        ("process", {}, 1.5, "", None),
        ("native", {}, 0.35, "", _NATIVE_WHY),
    ):
        where = name.removesuffix("-default")
        limits = ", default limits" if name.endswith("-default") else ""
        yield Row(
            name=f"generate-{name}",
            group=CALLS,
            title=f"`generate`, {PLACES[where]}{limits}",
            ours=Side("calls:generate", PLACES[where], {"where": where, **options}),
            peer=_EXTISM_TYPED,
            figures=(Figure("seconds", target=target, why=why),),
            how=how,
        )
    yield Row(
        name="generate-large-process",
        group=CALLS,
        title="`generate`, an answer of 1 MB, process tier to in-process",
        ours=Side("calls:generate", "process tier", {"where": "process", "guest": "large"}),
        peer=Side("calls:generate", "in-process", {"where": "in-process", "guest": "large"}),
        figures=(Figure("seconds"),),
    )


def _python() -> Iterator[Row]:
    for where in ("in-process", "process"):
        target = 0.5 if where == "in-process" else None
        yield Row(
            name=f"health-check-{where}",
            group=PYTHON,
            title=f"`health_check`, {PLACES[where]}",
            ours=Side("python_guests:health_check", PLACES[where], {"where": where}),
            peer=_EXTISM_TYPED,
            figures=(
                Figure("seconds"),
                Figure("seconds", "to the baseline", "to_baseline", target),
            ),
        )
    yield Row(
        name="embed-in-process",
        group=PYTHON,
        title="10 short texts through `ngram-embedder`",
        ours=Side("python_guests:embed", "in-process", {"where": "in-process"}),
        peer=Side("lowest_layer:embed", "the export alone"),
        figures=(
            Figure("seconds", "the host's share", "host_share", 0.10, unit="%", why=_THREAD_WHY),
        ),
        how="the export alone is the guest and the boundary: its argument is packed before, and "
        "its answer left as it is.",
        seconds=0.3,
    )
    yield Row(
        name="event-in-process",
        group=PYTHON,
        title="an event of a stream, all in",
        ours=Side("crowds:event", "in-process", {"where": "in-process"}),
        peer=_EXTISM_TYPED,
        figures=(
            Figure("seconds"),
            Figure("seconds", "to the baseline", "to_baseline", 0.5),
        ),
        how="`openai-provider`, and a server on loopback that sends 400 tokens at once.",
        rounds=9,
    )
    for where, target in (("in-process", 0.35), ("process", 0.6)):
        for again in (False, True):
            after = ", right after another" if again else ""
            yield Row(
                name=f"interpreter-{where}{'-again' if again else ''}",
                group=PYTHON,
                title=f"a program in `code-interpreter`, {PLACES[where]}{after}",
                ours=Side(
                    "python_guests:interpreter", PLACES[where], {"where": where, "again": again}
                ),
                peer=Side("python_guests:python_process", "`python -c`"),
                figures=(Figure("seconds", target=target, why=_FRESH_WHY),),
                how="this program is `print(1 + 1)`, each time in an instance of its own."
                if where == "in-process" and not again
                else "",
                rounds=15,
            )


def _starting() -> Iterator[Row]:
    peer = Side(
        "starting:importing",
        "importing pydantic, anyio, msgpack, wasmtime",
        {"code": "import pydantic, anyio, msgpack, wasmtime"},
    )
    for name, code, how in (
        ("import", "import orchestrator_plugin_host", "nothing of it is loaded before it is used."),
        ("import-names", _NAMES, ""),
    ):
        yield Row(
            name=name,
            group=STARTING,
            title=f"`{code}`",
            ours=Side("starting:importing", "the host", {"code": code}),
            peer=peer,
            figures=(Figure("seconds", target=1.6),),
            how=how,
            rounds=15,
        )
    yield Row(
        name="first-answer",
        group=STARTING,
        title="a process to its first sandboxed answer of a Python guest",
        ours=Side("starting:first_answer", "the process"),
        peer=peer,
        figures=(
            Figure(
                "seconds",
                target=3.0,
                why="A program of the dependencies alone, which makes one pydantic model, runs an "
                "empty function on asyncio, and reads and hashes the component of 19 MB and its "
                "code of 38 MB, takes 3.6 times what importing them takes, and 2.5 times without "
                "reading and hashing. The rest is the host's.",
            ),
        ),
        how="the component is in the cache.",
        rounds=9,
    )
    yield Row(
        name="compile",
        group=STARTING,
        title="the first compilation of a Python guest",
        ours=Side("starting:compiling", "`host.load`", {"plugin": "ngram-embedder"}),
        peer=Side(
            "starting:compiling_with_epochs",
            "wasmtime, with epochs",
            {"plugin": "ngram-embedder"},
        ),
        figures=(
            Figure("seconds"),
            Figure("seconds", "to the baseline", "to_baseline", 0.6, why=_COMPILE_WHY),
        ),
        how="the peer compiles the same component with epochs besides fuel, and nothing around it.",
        rounds=3,
    )


ROWS: Final = (
    *_echoes(),
    *_calls(),
    *_python(),
    *_starting(),
    *AT_SCALE,
)
"""In the order of the page."""


def rows_named(names: list[str]) -> tuple[Row, ...]:
    """The rows of these names, or whose names begin so. Raises `ValueError` for a name of none."""
    for name in names:
        if not any(row.name.startswith(name) for row in ROWS):
            known = ", ".join(row.name for row in ROWS)
            raise ValueError(f"there is no row {name!r}: there are {known}")
    return tuple(row for row in ROWS if not names or row.name.startswith(tuple(names)))
