"""Values as they cross the channel: by the contract's types, and checked by them on arrival.

In Python a value is what the table of `sandbox.values` says. On the wire a variant is `[case,
value]`, a result `[is_ok, value]`, a record a map, a resource the number that the worker gave it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Final

from ...wit import (
    EnumType,
    HandleType,
    ListType,
    OptionType,
    Primitive,
    RecordType,
    ResultType,
    Type,
    VariantType,
)
from ..values import TEXT_FORMS, Err, Ok, Resource, ValueMismatchError, is_payload

_BITS: Final = {"u8": 8, "u32": 32, "u64": 64}


def to_wire(value: Any) -> Any:
    """A value of Python as a document. Of variants and results, Python's side is trusted."""
    if isinstance(value, Ok):
        return [True, to_wire(value.value)]
    if isinstance(value, Err):
        return [False, to_wire(value.value)]
    if isinstance(value, tuple):
        return [to_wire(one) for one in value]
    if isinstance(value, dict):
        return {name: to_wire(one) for name, one in value.items()}
    if isinstance(value, Resource):
        return int(value)
    return value


@cache
def reader(wanted: Type | None) -> Callable[[Any], Any]:
    """How to read a document as a value of this type. Raises `ValueMismatchError`."""
    if wanted is None:
        return _nothing
    if isinstance(wanted, Primitive):
        if wanted.name in _BITS:
            return _integer(_BITS[wanted.name])
        return _instance({"bool": bool, "string": str}[wanted.name])
    if isinstance(wanted, ListType) and wanted.element == Primitive("u8"):
        return _instance(bytes)
    if isinstance(wanted, HandleType):
        number = _integer(32)
        return lambda document: Resource(number(document))
    if isinstance(wanted, EnumType):
        return _one_of(frozenset(wanted.names))
    if isinstance(wanted, OptionType):
        some = reader(wanted.some)
        return lambda document: None if document is None else some(document)
    if isinstance(wanted, ResultType):
        return _result(reader(wanted.ok), reader(wanted.err))
    if isinstance(wanted, VariantType) and is_payload(wanted):
        return _payload
    if isinstance(wanted, VariantType):
        return _variant({name: reader(one) for name, one in wanted.cases})
    if isinstance(wanted, RecordType):
        return _record({name: reader(one) for name, one in wanted.fields})
    raise TypeError(f"no values of type {wanted}")


def _mismatch(what: str) -> ValueMismatchError:
    return ValueMismatchError(f"expected {what}")


def _nothing(document: Any) -> None:
    if document is not None:
        raise _mismatch("nothing")


def _instance(kind: type[Any]) -> Callable[[Any], Any]:
    def read(document: Any) -> Any:
        if type(document) is not kind:
            raise _mismatch(kind.__name__)
        return document

    return read


def _integer(bits: int) -> Callable[[Any], Any]:
    def read(document: Any) -> Any:
        if type(document) is not int or not 0 <= document < 1 << bits:
            raise _mismatch(f"an integer of {bits} bits")
        return document

    return read


def _one_of(names: frozenset[str]) -> Callable[[Any], Any]:
    def read(document: Any) -> Any:
        if type(document) is not str or document not in names:
            raise _mismatch(f"one of {sorted(names)}")
        return document

    return read


def _pair(document: Any) -> list[Any]:
    if type(document) is not list or len(document) != 2:
        raise _mismatch("a pair")
    return document


def _result(ok: Callable[[Any], Any], err: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def read(document: Any) -> Any:
        is_ok, value = _pair(document)
        if type(is_ok) is not bool:
            raise _mismatch("a result")
        return Ok(ok(value)) if is_ok else Err(err(value))

    return read


def _payload(document: Any) -> tuple[str, bytes]:
    form, data = _pair(document)
    if type(form) is not str or form not in TEXT_FORMS or type(data) is not bytes:
        raise _mismatch("a payload")
    return form, data


def _variant(cases: dict[str, Callable[[Any], Any]]) -> Callable[[Any], Any]:
    def read(document: Any) -> Any:
        name, value = _pair(document)
        if type(name) is not str or name not in cases:
            raise _mismatch(f"one of {sorted(cases)}")
        return name, cases[name](value)

    return read


def _record(fields: dict[str, Callable[[Any], Any]]) -> Callable[[Any], Any]:
    def read(document: Any) -> Any:
        if type(document) is not dict or document.keys() != fields.keys():
            raise _mismatch(f"a record of {', '.join(fields)}")
        return {name: read_one(document[name]) for name, read_one in fields.items()}

    return read
