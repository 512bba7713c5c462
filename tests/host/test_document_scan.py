"""The structure of a document is what msgpack makes of it, and nothing is built to find it."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from orchestrator_plugin_host.document_scan import Structure, TooManyValuesError, scan
from orchestrator_plugin_sdk import DocumentError, pack, unpack
from sdk.strategies import PLAIN

PLENTY = 1_000_000


def counted(document: Any) -> Structure:
    """The structure of plain data."""
    values = entries = wide = 0
    waiting = [document]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            values, entries = values + 2 * len(one), entries + len(one)
            waiting.extend(one.values())
            texts = [key for key in one if len(key.encode()) >= 32]
        elif isinstance(one, list):
            values += len(one)
            waiting.extend(one)
            texts = []
        else:
            texts = [one] if isinstance(one, str) and len(one.encode()) >= 32 else []
        wide += sum(len(text.encode()) for text in texts if not text.isascii())
    return Structure(values, entries, wide)


@given(PLAIN)
@example({"k" * 40 + "é": "é" * 40, "ascii": "a" * 300})
@example(["é" * 70_000, "a" * 70_000, bytes(300), bytes(70_000)])
@example([[[]] * 20, {str(number): number for number in range(20)}])
@example([-(2**63), 2**64 - 1, 1.5, 200, -200, 70_000, -70_000, 2**40, -(2**40)])
def test_it_counts_what_is_there(document: Any) -> None:
    data = pack(document)
    found = counted(document)
    assert scan(data, found.values, wide=True) == found
    assert scan(data, PLENTY) == Structure(found.values, found.entries, 0)
    if found.values:
        with pytest.raises(TooManyValuesError):
            scan(data, found.values - 1)


TOKENS = (
    b"\x80 \x81 \x90 \x91 \x92 \xa1a \xa0 \xc0 \xc1 \xd9\x01b \xda\x00\x01c \xdb\x00\x00\x00\x01d "
    b"\xc4\x01e \x01 \xff \xdc\x00\x01 \xdd\x00\x00\x00\x02 \xde\x00\x01 \xdf\x00\x00\x00\x01 \xcb "
    b"\xd4\x05a \xd6\xff\x00\x00\x00\x00 \xc7\x01\x01\x01 \xdd\xff"
).split(b" ")
BYTES = st.binary(max_size=40) | st.lists(st.sampled_from(TOKENS), max_size=12).map(b"".join)


def refusal(read: Callable[[bytes], Any], data: bytes) -> str | None:
    """Why bytes are refused, if they are."""
    try:
        read(data)
    except DocumentError as error:
        return str(error)
    return None


@given(BYTES)
def test_what_it_passes_is_what_guests_read(data: bytes) -> None:
    """The SDK's decoder, which hooks into msgpack, and the scan accept the same bytes, but for
    text that is not UTF-8 and keys that are there twice, which the scan does not look at."""
    expected = refusal(unpack, data)
    if refusal(lambda data: scan(data, PLENTY), data):
        assert expected is not None
    elif expected is not None:
        assert "utf-8" in expected or "appear once" in expected


@given(PLAIN, st.data())
def test_what_it_passes_has_the_items_that_its_headers_say(document: Any, data: Any) -> None:
    packed = bytearray(pack(document))
    at = data.draw(st.integers(0, len(packed) - 1))
    packed[at] = data.draw(st.integers(0, 255))
    try:
        structure = scan(bytes(packed), PLENTY)
    except DocumentError:
        return
    items = 0

    def add(container: Any) -> Any:
        nonlocal items
        items += len(container)
        return container

    try:
        msgpack.unpackb(
            bytes(packed), object_pairs_hook=lambda pairs: add(list(pairs)), list_hook=add
        )
    except UnicodeDecodeError:
        return
    assert structure.values == items + structure.entries


def nested(depth: int, innermost: bytes) -> bytes:
    return b"\x91" * depth + innermost


REFUSED: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "cut off"),
    "two documents": (b"\xc0\xc0", "more behind it"),
    "a list that is cut off": (b"\x92\xc0", "cut off"),
    "a size that is cut off": (b"\xda\x00", "cut off"),
    "text that is cut off": (b"\xdb\xff\xff\xff\xff", "cut off"),
    "a number that is cut off": (b"\xcf\x00", "cut off"),
    "a key without a value": (b"\x81\xa1a", "cut off"),
    "a byte that begins nothing": (b"\xc1", "begins no value"),
    "a key that is a number": (b"\x81\x01\x01", "keys of a map are strings"),
    "a key that is binary": (b"\x81\xc4\x01a\x01", "keys of a map are strings"),
    "a timestamp": (b"\xd6\xff\x00\x00\x00\x00", "extension types are not used"),
    "an extension": (b"\x91\xc7\x01\x05a", "extension types are not used"),
    "65 levels": (nested(64, b"\x90"), "nest 64 deep"),
    "a million levels": (b"\x91" * 1_000_000, "nest 64 deep"),
    "a list that claims more than a limit": (b"\xdd\xff\xff\xff\xff", "more than 1,000,000"),
    "lists that each claim a million": (b"\xdd\x00\x0f\x42\x40" * 30, "more than 1,000,000"),
    "maps that each claim half a million": (
        b"\xdf\x00\x07\xa1\x20\xa1a" * 30,
        "more than 1,000,000",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_costs_no_memory(name: str) -> None:
    data, reason = REFUSED[name]
    tracemalloc.start()
    try:
        with pytest.raises(DocumentError, match=reason):
            scan(data, PLENTY)
        assert tracemalloc.get_traced_memory()[1] < 200_000
    finally:
        tracemalloc.stop()


def test_64_levels_are_allowed() -> None:
    assert scan(nested(63, b"\x90"), PLENTY).values == 63
    assert scan(nested(64, b"\xc0"), PLENTY).values == 64
