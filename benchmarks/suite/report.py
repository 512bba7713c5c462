"""The page about performance, made of the results of a run: nothing in it is typed by hand."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from .groups import ABOUT
from .plots import bars, targets_plot
from .rows import ROWS
from .shown import Line, lines_of, side_title

_BUSY: Final = 0.05
"""The share of the cores from which on other work is told."""
_MARKS: Final = {True: "✓", False: "✗", None: ""}


def write_page(document: Mapping[str, Any], page: Path) -> None:
    """Writes the page, and its plots and the results beside it into a folder of its name."""
    folder = page.with_suffix("")
    text, images = page_text(document, folder.name), plots(document)
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.svg"):
        old.unlink()
    for name, plot in images.items():
        (folder / f"{name}.svg").write_text(plot, encoding="utf-8")
    (folder / "results.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    page.write_text(text, encoding="utf-8")


def page_text(document: Mapping[str, Any], folder: str) -> str:
    """The page, whose plots are in `folder`."""
    blocks = [
        "# Performance",
        _wrapped(
            "`python3 dev.py bench` measured all of this and wrote this page. Ours and its peer "
            "run in processes of their own, in turn, round by round; a ratio is of the two values "
            "of one round, and what counts is the median of the rounds. Machines differ, and so "
            "do the times; it is the ratios that tell something."
        ),
        _wrapped(_setting(document)),
        _wrapped(_baseline(document["baseline"])),
        *_targets(document, folder),
    ]
    for group in ABOUT:
        blocks.extend(_group(group, document, folder))
    return "\n\n".join(blocks) + "\n"


def plots(document: Mapping[str, Any]) -> dict[str, str]:
    """The plots of the page, by name."""
    found = {"targets": targets_plot(_lines(document))}
    for group in ABOUT:
        lines = [
            line
            for line in _lines(document, group)
            if line.value is not None and line.figure.compare == "to_peer"
        ]
        if len(lines) > 2:
            found[_slug(group)] = bars(f"{group}: ratio to the peer", lines)
    return found


def _lines(document: Mapping[str, Any], group: str | None = None) -> list[Line]:
    return [
        line
        for row in ROWS
        if group in (None, row.group)
        for line in lines_of(row, document["rows"])
    ]


def _setting(document: Mapping[str, Any]) -> str:
    machine, versions = document["machine"], document["versions"]
    packages = ", ".join(
        f"{name} {one}" for name, one in versions.items() if name != "python" and one
    )
    changed = " with changes" if document["changed"] else ""
    text = (
        f"On {document['measured_on']}, at commit {document['commit']}{changed}, on "
        f"{machine['processor']} with {machine['cores']} cores and "
        f"{machine['memory_bytes'] / 2**30:.0f} GiB of memory, {machine['system']}, "
        f"{versions['python']}, {packages}. {_idle(document)}"
    )
    if document["quick"]:
        text += " **This was a quick run, of a few short rounds: nothing to rely on.**"
    return text


def _baseline(baseline: Mapping[str, Any]) -> str:
    machine = baseline["machine"]
    if not machine:
        return "There is no baseline to compare with."
    return (
        "What is compared *to the baseline* is the ratio to the peer, divided by what that was at "
        f"commit {baseline['commit']}, where each call ran in a thread of its own, interrupted by "
        f"epochs: measured in the same way on {baseline['measured_on']}, on "
        f"{machine['processor']} with {machine['cores']} cores."
    )


def _idle(document: Mapping[str, Any]) -> str:
    share = document["others_share"]
    if share is None:
        return "Whether the machine was otherwise idle, its system does not say."
    if share < _BUSY:
        return "The machine was otherwise idle."
    return (
        f"**The machine was not idle**: other work had {share * 100:.0f} % of its cores, on "
        "average."
    )


def _targets(document: Mapping[str, Any], folder: str) -> Iterator[str]:
    lines = [line for line in _lines(document) if line.figure.target is not None]
    measured = [line for line in lines if line.met is not None]
    met = sum(bool(line.met) for line in measured)
    yield "## Targets"
    yield _wrapped(
        f"{met} of {len(lines)} targets are reached. "
        + ("" if len(measured) == len(lines) else f"{len(lines) - len(measured)} not measured. ")
        + "In the plot, a bar that ends left of the line reaches its target."
    )
    yield f"![How far each figure is from its target]({folder}/targets.svg)"
    missed = [line for line in measured if not line.met]
    if missed:
        yield "Missed:"
        yield "\n".join(
            textwrap.fill(
                f"- {line.title}: {line.reached}, the target is {line.target}. "
                f"{line.figure.why or ''}".rstrip(),
                110,
                subsequent_indent="  ",
                break_long_words=False,
                break_on_hyphens=False,
            )
            for line in missed
        )


def _group(group: str, document: Mapping[str, Any], folder: str) -> Iterator[str]:
    lines = _lines(document, group)
    yield f"## {group}"
    yield _wrapped(ABOUT[group])
    yield _table(lines)
    notes = dict.fromkeys(f"- {line.row.title}: {line.row.how}" for line in lines if line.row.how)
    failures = dict.fromkeys(
        f"- {line.row.title if line.whole else line.title} was not measured: {_plain(line.failure)}"
        for line in lines
        if line.failure is not None
    )
    if notes or failures:
        yield "\n".join(_wrapped(one, "  ") for one in [*notes, *failures])
    if _slug(group) in plots(document):
        yield f"![{group}: ratio to the peer]({folder}/{_slug(group)}.svg)"


def _table(lines: list[Line]) -> str:
    rows = [
        "| | ours | peer | | reached | middle half | target | |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for line in lines:
        if line.failure is not None:
            rows.append(f"| {line.title} | | | | not measured | | {line.target} | |")
            continue
        peer = side_title(line.row.peer) if line.peer else ""
        rows.append(
            f"| {line.title} | {line.ours} | {line.peer} | {peer} | **{line.reached}** "
            f"| {line.spread} | {line.target} | {_MARKS[line.met]} |"
        )
    return "\n".join(rows)


def _slug(group: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in group.lower()).strip("-")


def _plain(text: str | None) -> str:
    """Words of an error, as one line that is no markup."""
    return " ".join((text or "").split()).replace("|", "\\|").replace("<", "&lt;")


def _wrapped(text: str, indent: str = "") -> str:
    return textwrap.fill(
        text, 110, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
