"""What adapters are built on: base64 in place, and the allocator that refuses what is too large."""

from __future__ import annotations

import base64
from typing import Any, get_args

import pytest
import wasmtime
from hypothesis import given
from hypothesis import strategies as st
from orchestrator_plugin_host.sandbox.adapters import NO_MEMORY, TOO_LARGE
from orchestrator_plugin_host.sandbox.adapters.tools import LARGE, Side, tools_text
from orchestrator_plugin_host.sandbox.config import FUEL_SLICE

ROOM = 3 << 20
FUEL = 1 << 40
MODULES = {side: wasmtime.wat2wasm(tools_text(side)) for side in get_args(Side)}


class Tools:
    """The module, with room for `ROOM` bytes."""

    def __init__(self, engine: wasmtime.Engine, room: int = ROOM, side: Side = "imports") -> None:
        self.store = wasmtime.Store(engine)
        self.store.set_fuel(FUEL)
        kind = wasmtime.FuncType([], [wasmtime.ValType.i32()])
        instance = wasmtime.Instance(
            self.store,
            wasmtime.Module(engine, MODULES[side]),
            [wasmtime.Func(self.store, kind, lambda: room)],
        )
        self._exports = instance.exports(self.store)

    def call(self, name: str, *arguments: int) -> Any:
        """Calls one of its functions."""
        function = self._exports[name]
        assert isinstance(function, wasmtime.Func)
        return function(self.store, *arguments)

    @property
    def memory(self) -> wasmtime.Memory:
        """Its memory."""
        found = self._exports["memory"]
        assert isinstance(found, wasmtime.Memory)
        return found

    def put(self, data: bytes) -> int:
        """Allocates memory for bytes, and puts them there."""
        at = int(self.call("realloc", 0, 0, 1, len(data)))
        self.memory.write(self.store, data, at)
        return at

    def at(self, address: int, size: int) -> bytes:
        """What is in the memory."""
        return bytes(self.memory.read(self.store, address, address + size))

    def fuel_of(self, name: str, *arguments: int) -> int:
        """What a call of a function uses up."""
        before = self.store.get_fuel()
        self.call(name, *arguments)
        return before - self.store.get_fuel()


@pytest.fixture(scope="module")
def engine() -> wasmtime.Engine:
    config = wasmtime.Config()
    config.consume_fuel = True
    return wasmtime.Engine(config)


@pytest.fixture(scope="module")
def shared(engine: wasmtime.Engine) -> Tools:
    """For tests that leave it as it was."""
    return Tools(engine)


# --- base64 --------------------------------------------------------------------------------------

SEVERAL = st.lists(st.binary(max_size=100), min_size=1, max_size=4)


@given(SEVERAL, st.data())
def test_bytes_become_base64_and_nothing_else_changes(
    shared: Tools, several: list[bytes], data: st.DataObject
) -> None:
    shared.call("post-return", 0)
    places = [shared.put(one) for one in several]
    chosen = data.draw(st.integers(0, len(several) - 1))
    size = len(several[chosen])
    at = shared.call("encode", places[chosen], size)
    wanted = base64.b64encode(several[chosen])
    assert shared.call("encoded-size", size) == len(wanted)
    assert shared.at(at, len(wanted)) == wanted
    after = shared.put(b"afterwards")
    assert shared.at(at, len(wanted)) == wanted
    assert shared.at(after, 10) == b"afterwards"
    for i, (place, one) in enumerate(zip(places, several, strict=True)):
        if i != chosen:
            assert shared.at(place, len(one)) == one


@given(SEVERAL, st.data())
def test_base64_becomes_bytes_and_nothing_else_changes(
    shared: Tools, several: list[bytes], data: st.DataObject
) -> None:
    shared.call("post-return", 0)
    written = [base64.b64encode(one) for one in several]
    places = [shared.put(one) for one in written]
    chosen = data.draw(st.integers(0, len(several) - 1))
    size = shared.call("decode", places[chosen], len(written[chosen]))
    assert shared.at(places[chosen], size) == several[chosen]
    for i, (place, one) in enumerate(zip(places, written, strict=True)):
        if i != chosen:
            assert shared.at(place, len(one)) == one


@pytest.mark.parametrize("size", [0, 1, 2, 3, 65_535, 65_536, 65_537, 1_000_000])
def test_as_many_bytes_as_a_memory_has_to_grow_for(engine: wasmtime.Engine, size: int) -> None:
    tools = Tools(engine)
    data = bytes(i * 7 & 255 for i in range(size))
    at = tools.call("encode", tools.put(data), size)
    letters = base64.b64encode(data)
    assert tools.at(at, len(letters)) == letters
    assert tools.call("decode", at, len(letters)) == size
    assert tools.at(at, size) == data


def test_bytes_are_encoded_where_they_are(engine: wasmtime.Engine) -> None:
    tools = Tools(engine)
    at = tools.put(bytes(900_000))
    assert tools.call("encode", at, 900_000) == at
    assert tools.memory.data_len(tools.store) < 1_200_000 + 2 * 65_536


# --- the allocator -------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 3), st.binary(max_size=3000)), max_size=20))
def test_what_grows_or_shrinks_keeps_its_content(
    shared: Tools, steps: list[tuple[int, bytes]]
) -> None:
    shared.call("post-return", 0)
    held: list[tuple[int, bytes]] = []
    for which, content in steps:
        if which < len(held):
            at, before = held[which]
            grown = shared.call("realloc", at, len(before), 1, len(content))
            kept = min(len(before), len(content))
            assert shared.at(grown, kept) == before[:kept]
            shared.memory.write(shared.store, content, grown)
            held[which] = (grown, content)
        else:
            held.append((shared.put(content), content))
        assert all(shared.at(at, len(one)) == one for at, one in held)


def test_memory_is_used_again(engine: wasmtime.Engine) -> None:
    tools = Tools(engine)
    first = tools.put(bytes(100_000))
    for release in (("enter",), ("post-return", 64)) * 20:
        tools.call(*release)
        assert tools.put(bytes(100_000)) == first


@pytest.mark.parametrize(
    "sizes",
    [[ROOM + 1], [ROOM // 2, ROOM // 2 + 1], [1 << 30], [0xFFFFFFFF], [5, 0xFFFFFFF0]],
    ids=str,
)
def test_what_there_is_no_room_for(engine: wasmtime.Engine, sizes: list[int]) -> None:
    tools = Tools(engine)
    *before, last = sizes
    for size in before:
        tools.call("realloc", 0, 0, 1, size)
    with pytest.raises(wasmtime.Trap) as caught:
        tools.call("realloc", 0, 0, 1, last)
    assert caught.value.frames[0].func_name == TOO_LARGE
    assert tools.memory.data_len(tools.store) < ROOM


@pytest.mark.parametrize(
    ("side", "steps", "refused"),
    [
        ("imports", [], True),
        ("imports", ["enter"], False),
        ("imports", ["enter", "leave"], True),
        ("exports", [], False),
        ("exports", ["enter"], True),
        ("exports", ["enter", "leave"], False),
    ],
)
def test_only_what_comes_out_of_the_guest_is_measured(
    engine: wasmtime.Engine, side: Side, steps: list[str], refused: bool
) -> None:
    tools = Tools(engine, side=side)
    for step in steps:
        tools.call(step)
    if refused:
        with pytest.raises(wasmtime.Trap):
            tools.call("realloc", 0, 0, 1, ROOM + 1)
    else:
        assert tools.call("realloc", 0, 0, 1, ROOM + 1)


def test_as_much_as_there_is_room_for(engine: wasmtime.Engine) -> None:
    assert Tools(engine).call("realloc", 0, 0, 1, ROOM)
    with pytest.raises(wasmtime.Trap):
        Tools(engine, room=0).call("realloc", 0, 0, 1, 1)


def test_a_string_of_another_encoding_may_grow_beyond_it_meanwhile(
    engine: wasmtime.Engine,
) -> None:
    tools = Tools(engine)
    at = tools.call("realloc", 0, 0, 1, ROOM)
    assert tools.call("realloc", at, ROOM, 1, 3 * ROOM) == at
    assert tools.call("realloc", at, 3 * ROOM, 1, ROOM) == at
    with pytest.raises(wasmtime.Trap):
        tools.call("realloc", 0, 0, 1, 1)


def test_a_memory_that_may_not_grow(engine: wasmtime.Engine) -> None:
    tools = Tools(engine)
    tools.store.set_limits(memory_size=200_000)
    tools.put(bytes(100_000))
    with pytest.raises(wasmtime.Trap) as caught:
        tools.call("realloc", 0, 0, 1, 200_000)
    assert caught.value.frames[0].func_name == NO_MEMORY


def test_what_is_large_has_a_slice_of_fuel_of_its_own(engine: wasmtime.Engine) -> None:
    tools = Tools(engine)
    assert tools.fuel_of("realloc", 0, 0, 1, LARGE) < 200
    assert FUEL_SLICE < tools.fuel_of("realloc", 0, 0, 1, LARGE + 1) < 1.1 * FUEL_SLICE
