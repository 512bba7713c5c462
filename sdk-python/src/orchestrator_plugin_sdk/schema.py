"""Documents as SDK values, with every field checked against the types: the schema is the types.

Needs nothing but the standard library, so it runs in any guest. The host validates with pydantic,
by the same types.
"""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from .errors import DocumentError, Problem
from .vectors import Vector, Vectors
from .visible import quoted, shown_key

MAX_PROBLEMS = 100
"""How many faults of one document are listed: a hostile one could have millions."""

_Decode = Callable[[Any, str, list[Problem]], Any]


class _ListFullError(Exception):
    """There are `MAX_PROBLEMS` already."""


class _Problems(list[Problem]):
    """The faults found so far, as many as are listed."""

    def append(self, problem: Problem) -> None:
        super().append(problem)
        if len(self) == MAX_PROBLEMS:
            raise _ListFullError

    def extend(self, problems: Iterable[Problem]) -> None:
        for problem in problems:
            self.append(problem)


def from_document(wanted: Any, document: Any, what: str | None = None) -> Any:
    """Plain data as an SDK value of the type `wanted`, every field checked, nothing converted.

    Unknown keys are faults. Raises `DocumentError` that lists every fault, or the first
    `MAX_PROBLEMS`; `what` names the document in its message.
    """
    problems = _Problems()
    try:
        value = decoder(wanted)(document, "", problems)
    except _ListFullError:
        value = None
    if problems:
        name = what or (wanted.__name__ if isinstance(wanted, type) else "the document")
        raise DocumentError(f"{name} does not fit its schema", problems)
    return value


def decoder(wanted: Any) -> _Decode:
    """What reads documents as values of a type. Made once."""
    return _build_decoder(wanted)


@cache
def _build_decoder(wanted: Any) -> _Decode:
    origin = get_origin(wanted)
    if wanted is Any:
        return lambda value, path, problems: value
    if wanted is type(None):
        return _exactly("nil", lambda value: value is None)
    if wanted in _PLAIN:
        return _PLAIN[wanted]
    if origin is Literal:
        choices = get_args(wanted)
        shown = " or ".join(repr(choice) for choice in choices)
        return _exactly(shown, lambda value: isinstance(value, str) and value in choices)
    if origin in (Union, types.UnionType):
        return _union(get_args(wanted))
    if origin is tuple or origin in (Sequence, list):
        return _sequence(get_args(wanted)[0])
    if origin in (Mapping, dict):
        return _mapping(get_args(wanted)[1])
    if isinstance(wanted, type) and issubclass(wanted, Enum):
        return _enum(wanted)
    if is_dataclass(wanted):
        return _record(wanted)
    raise TypeError(f"no document schema for {wanted!r}")


def _describe(value: Any) -> str:
    """The value in a few words, however big it is."""
    if value is None:
        return "nil"
    if isinstance(value, bool | float) or (isinstance(value, int) and value.bit_length() <= 64):
        return repr(value)
    if isinstance(value, str) and len(value) <= 40:
        return quoted(value)
    names = {dict: "a map", list: "a list", str: "text", bytes: "bin", int: "a huge integer"}
    return names.get(type(value), f"a {type(value).__name__}")


def _exactly(expected: str, fits: Callable[[Any], bool]) -> _Decode:
    def decode(value: Any, path: str, problems: list[Problem]) -> Any:
        if not fits(value):
            problems.append(Problem(path, f"expected {expected}, got {_describe(value)}"))
        return value

    return decode


def _decode_float(value: Any, path: str, problems: list[Problem]) -> Any:
    if type(value) in (int, float):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if math.isfinite(number):
            return number
    problems.append(Problem(path, f"expected a finite number, got {_describe(value)}"))
    return value


def _decode_vector(value: Any, path: str, problems: list[Problem]) -> Any:
    if isinstance(value, bytes):
        try:
            return Vector.from_bytes(value)
        except ValueError as error:
            problems.append(Problem(path, str(error)))
            return value
    problems.append(Problem(path, f"expected bin of float32, got {_describe(value)}"))
    return value


def _decode_vectors(value: Any, path: str, problems: list[Problem]) -> Any:
    if isinstance(value, dict) and value.keys() == {"dims", "data"}:
        dims, data = value["dims"], value["data"]
        if type(dims) is int and isinstance(data, bytes):
            try:
                return Vectors.from_bytes(data, dims)
            except ValueError as error:
                problems.append(Problem(path, str(error)))
                return value
    problems.append(Problem(path, "expected a map of dims (int) and data (bin)"))
    return value


_PLAIN: Mapping[Any, _Decode] = types.MappingProxyType(
    {
        str: _exactly("text", lambda value: isinstance(value, str)),
        bool: _exactly("true or false", lambda value: isinstance(value, bool)),
        int: _exactly("an integer", lambda value: type(value) is int),
        bytes: _exactly("bin", lambda value: isinstance(value, bytes)),
        float: _decode_float,
        Vector: _decode_vector,
        Vectors: _decode_vectors,
    }
)


def _join(path: str, name: str) -> str:
    return f"{path}.{shown_key(name)}" if path else shown_key(name)


def _union(members: tuple[Any, ...]) -> _Decode:
    some = tuple(member for member in members if member is not type(None))
    one = decoder(some[0]) if len(some) == 1 else _choice(some)
    if some == members:
        return one
    return lambda value, path, problems: None if value is None else one(value, path, problems)


def _choice(members: tuple[Any, ...]) -> _Decode:
    """One of several: of dataclasses by their `type`, of anything else by what fits."""
    tagged = {
        get_args(get_type_hints(member)["type"])[0]: decoder(member)
        for member in members
        if is_dataclass(member)
    }
    others = [decoder(member) for member in members if not is_dataclass(member)]

    def decode(value: Any, path: str, problems: list[Problem]) -> Any:
        if tagged and isinstance(value, dict):
            tag = value.get("type")
            if isinstance(tag, str) and tag in tagged:
                return tagged[tag](value, path, problems)
            shown = " or ".join(map(repr, tagged))
            problems.append(Problem(_join(path, "type"), f"expected {shown}, got {_describe(tag)}"))
            return value
        closest: list[Problem] | None = None
        for attempt in others:
            found = _Problems()
            try:
                decoded = attempt(value, path, found)
            except _ListFullError:
                decoded = None
            if not found:
                return decoded
            # A fault inside a value says more than "not this type".
            if closest is None or any(problem.path != path for problem in found):
                closest = found
        problems.extend(closest or [Problem(path, f"expected a map, got {_describe(value)}")])
        return value

    return decode


def _sequence(member: Any) -> _Decode:
    def decode(value: Any, path: str, problems: list[Problem]) -> Any:
        if not isinstance(value, (list, tuple)):
            problems.append(Problem(path, f"expected a list, got {_describe(value)}"))
            return value
        one = decoder(member)
        return tuple(one(item, f"{path}[{i}]", problems) for i, item in enumerate(value))

    return decode


def _mapping(member: Any) -> _Decode:
    def decode(value: Any, path: str, problems: list[Problem]) -> Any:
        if not isinstance(value, dict):
            problems.append(Problem(path, f"expected a map, got {_describe(value)}"))
            return value
        one = decoder(member)
        made: dict[str, Any] = {}
        for key, item in value.items():
            if isinstance(key, str):
                made[key] = one(item, _join(path, key), problems)
            else:
                problems.append(Problem(path, f"keys are text, got {_describe(key)}"))
        return made

    return decode


def _enum(wanted: type[Enum]) -> _Decode:
    shown = " or ".join(repr(member.value) for member in wanted)

    def decode(value: Any, path: str, problems: list[Problem]) -> Any:
        try:
            return wanted(value)
        except ValueError:
            problems.append(Problem(path, f"expected {shown}, got {_describe(value)}"))
            return value

    return decode


def _record(wanted: Any) -> _Decode:
    hints = get_type_hints(wanted)
    required = {
        f.name for f in fields(wanted) if f.default is MISSING and f.default_factory is MISSING
    }

    def decode(value: Any, path: str, problems: list[Problem]) -> Any:
        if not isinstance(value, dict):
            problems.append(Problem(path, f"expected a map, got {_describe(value)}"))
            return value
        before = len(problems)
        made: dict[str, Any] = {}
        for key, item in value.items():
            if key in hints:
                made[key] = decoder(hints[key])(item, _join(path, key), problems)
            else:
                known = ", ".join(sorted(hints, key=lambda name: name not in required))
                problems.append(Problem(_join(path, str(key)), f"unknown key; known are {known}"))
        for name in sorted(required - made.keys()):
            problems.append(Problem(_join(path, name), "missing"))
        return wanted(**made) if len(problems) == before else value

    return decode
