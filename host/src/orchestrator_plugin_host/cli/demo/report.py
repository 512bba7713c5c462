"""The demo's results, for people."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator_plugin_sdk.visible import visible
from rich import box
from rich.console import Group, RenderableType
from rich.constrain import Constrain
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from .attack import Attack
from .comparison import Compared
from .limits import Tried

_WIDTH = 100


def opening() -> RenderableType:
    """What is about to be seen."""
    return Group(
        Text("Plugins, natively and sandboxed", style="bold"),
        Text("The same source, once as Python in this process, once as a WebAssembly component."),
    )


def comparison(one: Compared) -> RenderableType:
    """A plugin's answers, side by side."""
    title = Text.assemble(
        (one.example.name, "bold"), (f"  {one.type.replace('_', ' ')}  {one.how}", "dim")
    )
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="dim", expand=True)
    table.add_column("", width=1)
    table.add_column("call", no_wrap=True, style="cyan")
    for side in ("native", "sandboxed"):
        table.add_column(side, ratio=1, overflow="fold")
        table.add_column("ms", justify="right", no_wrap=True, min_width=5, style="dim")
    for call, native in one.native.items():
        sandboxed = one.sandboxed[call]
        table.add_row(
            _mark(one.agrees(call)),
            call,
            Text(visible(native.shown, lines=True)),
            f"{native.milliseconds:.1f}",
            Text(visible(sandboxed.shown, lines=True)),
            f"{sandboxed.milliseconds:.1f}",
        )
    verdict = (
        Text("the same, natively and sandboxed", style="green")
        if one.agree
        else Text("native and sandboxed do not agree", style="bold red")
    )
    return Group("", title, Constrain(table, _WIDTH), verdict)


def trials_opening() -> RenderableType:
    """What the trials are."""
    return Group(
        "",
        Text("Limits, hit and survived", style="bold"),
        Text("Each plugin goes too far, is stopped, and answers the next call.", style="dim"),
    )


def trial(one: Tried) -> RenderableType:
    """How a trial went."""
    lines = [
        Text.assemble((one.trial.about, "bold"), (f"  {one.trial.plugin}", "dim")),
        Text(one.trial.story),
    ]
    if one.error is None:
        lines.append(Text(f"ended without an error after {one.milliseconds:.0f} ms", style="red"))
    else:
        style = "yellow" if one.hit else "bold red"
        name = type(one.error).__name__
        lines.append(Text.assemble((name, style), f" after {one.milliseconds:.0f} ms"))
        lines.append(Text(visible(str(one.error), lines=True), style="dim"))
    if not one.hit:
        lines.append(Text(f"expected was {one.trial.expected.__name__}", style="red"))
    good = one.trial.good[0].command
    lines.append(
        Text.assemble(
            f"then {good} answers ",
            (visible(one.after.strip(), lines=True), "green" if one.survived else "bold red"),
            f" in {one.after_milliseconds:.0f} ms",
        )
    )
    table = Table.grid(padding=(0, 2))
    table.add_row(_mark(one.ok), Group(*lines))
    return Padding(Constrain(table, _WIDTH), (1, 0, 0, 0), expand=False)


def attack_opening() -> RenderableType:
    """What the attack is."""
    return Group(
        "",
        Text("A taken-over package", style="bold"),
        Text(
            "A provider that works, and besides looks for credentials in the environment, at home "
            "and at a cloud's metadata service, and sends them to a server of its own. All of "
            "these are stand-ins on this machine, stocked with canaries.",
            style="dim",
        ),
    )


def attacked(one: Attack) -> RenderableType:
    """What the plugin got, natively and sandboxed."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="dim", expand=True)
    table.add_column("", no_wrap=True, style="cyan")
    table.add_column("its answer", ratio=2, overflow="fold")
    table.add_column("its server got", ratio=3, overflow="fold")
    table.add_column("denied, by the audit", ratio=3, overflow="fold")
    for played in one.played:
        found = f"{len(played.lost)} of {played.canaries} credentials"
        style = "red" if played.lost else "green"
        table.add_row(
            played.side,
            Text(visible(played.answer)),
            Text("\n".join([found, *played.lost]), style=style),
            Text(visible("\n".join(played.denied), lines=True) or "nothing"),
        )
    verdict = (
        Text("the same answers, and nothing lost in the sandbox", style="green")
        if one.ok
        else Text("this did not go as it should", style="bold red")
    )
    return Group(Constrain(table, _WIDTH), verdict)


def summary(
    compared: Sequence[Compared], tried: Sequence[Tried], attack: Attack, took_ms: float
) -> RenderableType:
    """All of it in a sentence."""
    agree = sum(one.agree for one in compared)
    ok = sum(one.ok for one in tried)
    all_well = agree == len(compared) and ok == len(tried) and attack.ok
    native, *sandboxed = (len(one.lost) for one in attack.played)
    return Text.assemble(
        "\n",
        _mark(all_well),
        f"  {agree} of {len(compared)} plugins agree, ",
        f"{ok} of {len(tried)} bad calls stopped and survived, ",
        f"{native} credentials lost natively and {sum(sandboxed)} in the sandbox, ",
        f"{took_ms / 1000:.1f} s",
    )


def _mark(good: bool) -> Text:
    return Text("✓", style="green") if good else Text("✗", style="bold red")
