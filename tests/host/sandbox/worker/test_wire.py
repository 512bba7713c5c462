"""Values on their way between a host and a worker: what arrives is of its type, or refused."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from orchestrator_plugin_host.sandbox.values import (
    TEXT_FORMS,
    Err,
    Ok,
    Resource,
    ValueMismatchError,
    is_payload,
)
from orchestrator_plugin_host.sandbox.worker.wire import reader, to_wire
from orchestrator_plugin_host.wit import (
    EnumType,
    HandleType,
    ListType,
    OptionType,
    Primitive,
    RecordType,
    ResultType,
    TupleType,
    Type,
    VariantType,
    read_contract,
)

TYPES = read_contract().interfaces["orchestrator:plugin/types@1.0.0"].types
FUNCTIONS = [
    function
    for world in read_contract().worlds.values()
    for interface in [*world.exports.values(), *world.imports.values()]
    for function in interface.functions.values()
]
USED: list[Type] = list(
    dict.fromkeys(
        one
        for function in FUNCTIONS
        for one in [*(kind for _, kind in function.params), function.result]
        if one is not None
    )
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def values(wanted: Type | None) -> st.SearchStrategy[Any]:
    """Values of a type, as `sandbox.values` has them."""
    if wanted is None:
        return st.none()
    if isinstance(wanted, Primitive):
        bits = {"u8": 8, "u32": 32, "u64": 64}
        if wanted.name in bits:
            return st.integers(0, (1 << bits[wanted.name]) - 1)
        return st.booleans() if wanted.name == "bool" else TEXT
    if isinstance(wanted, ListType):
        return st.binary()
    if isinstance(wanted, HandleType):
        return st.integers(0, (1 << 32) - 1).map(Resource)
    if isinstance(wanted, EnumType):
        return st.sampled_from(wanted.names)
    if isinstance(wanted, OptionType):
        return st.none() | values(wanted.some)
    if isinstance(wanted, ResultType):
        return values(wanted.ok).map(Ok) | values(wanted.err).map(Err)
    if isinstance(wanted, VariantType) and is_payload(wanted):
        return st.tuples(st.sampled_from(TEXT_FORMS), TEXT.map(str.encode))
    if isinstance(wanted, VariantType):
        return st.one_of([st.tuples(st.just(n), values(one)) for n, one in wanted.cases])
    assert isinstance(wanted, RecordType)
    return st.fixed_dictionaries({name: values(one) for name, one in wanted.fields})


def sent(value: Any) -> Any:
    """What arrives of a value."""
    return msgpack.unpackb(msgpack.packb(to_wire(value)), strict_map_key=True)


@given(st.data())
def test_every_value_of_the_contract_arrives(data: st.DataObject) -> None:
    wanted = data.draw(st.sampled_from(USED))
    value = data.draw(values(wanted))
    assert reader(wanted)(sent(value)) == value


DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.floats() | TEXT
    | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(st.data())
def test_whatever_else_arrives_is_refused_or_of_the_type(data: st.DataObject) -> None:
    wanted = data.draw(st.sampled_from(USED))
    other = data.draw(st.sampled_from(USED).flatmap(values).map(to_wire) | DOCUMENTS)
    try:
        value = reader(wanted)(other)
    except ValueMismatchError:
        return
    assert reader(wanted)(sent(value)) == value


PAYLOAD = TYPES["payload"]
WRONG: list[tuple[Type | None, Any]] = [
    (None, 0),
    (Primitive("bool"), 1),
    (Primitive("u32"), True),
    (Primitive("u32"), -1),
    (Primitive("u32"), 1 << 32),
    (Primitive("u64"), 1.0),
    (Primitive("string"), b"text"),
    (ListType(Primitive("u8")), "text"),
    (ListType(Primitive("u8")), [1, 2]),
    (PAYLOAD, ["json", "{}"]),
    (PAYLOAD, ["latin1"]),
    (PAYLOAD, ["latin1", b"", b""]),
    (PAYLOAD, [["latin1"], b""]),
    (PAYLOAD, {"latin1": b""}),
    (PAYLOAD, ["bytes", b""]),  # adapters make base64 of it
    (PAYLOAD, ["latin1", "text"]),  # a text is its UTF-8
    (ResultType(None, None), [1, None]),
    (ResultType(None, None), [True, 0]),
    (TYPES["error"], {"kind": "internal"}),
    (TYPES["error-kind"], "angry"),
    (HandleType("event-stream", owned=True), -1),
]


@pytest.mark.parametrize(("wanted", "document"), WRONG, ids=repr)
def test_what_is_refused(wanted: Type | None, document: Any) -> None:
    with pytest.raises(ValueMismatchError):
        reader(wanted)(document)


def test_types_that_never_cross() -> None:
    with pytest.raises(TypeError, match="no values of type"):
        reader(TupleType((Primitive("u8"),)))
