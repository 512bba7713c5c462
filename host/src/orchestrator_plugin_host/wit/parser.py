"""A reader of the part of WIT that the contract uses. Refuses the rest."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, TypeVar

from orchestrator_plugin_sdk.version import PACKAGE, PACKAGE_VERSION

from .types import (
    Contract,
    EnumType,
    FlagsType,
    Function,
    HandleType,
    Interface,
    ListType,
    OptionType,
    Primitive,
    RecordType,
    ResultType,
    TupleType,
    Type,
    VariantType,
    World,
)

T = TypeVar("T")


def full_name(interface: str) -> str:
    """The name of one of our interfaces as a component spells it."""
    return f"{PACKAGE}/{interface}@{PACKAGE_VERSION}"


_TOKEN = re.compile(
    r"\s+|//[^\n]*|/\*.*?\*/|(->|[A-Za-z0-9][A-Za-z0-9-]*|[{}()<>,:;=.@/_%*])", re.DOTALL
)
_PRIMITIVES = frozenset(
    ("bool", "s8", "s16", "s32", "s64", "u8", "u16", "u32", "u64", "f32", "f64", "char", "string")
)


class _Parser:
    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.tokens: list[str] = []
        position = 0
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                raise ValueError(f"{file}: unexpected character {text[position]!r}")
            if match[1]:
                self.tokens.append(match[1])
            position = match.end()
        self.tokens.append("")
        self.at = 0

    def next(self) -> str:
        token = self.peek()
        if not token:
            raise ValueError(f"{self.file}: ends too early")
        self.at += 1
        return token

    def name(self, taken: Collection[str] = ()) -> str:
        name = self.next()
        if not name[0].isalnum() or name in taken:
            raise ValueError(f"{self.file}: expected a new name, got {name!r}")
        return name

    def known(self, names: Mapping[str, T]) -> T:
        name = self.next()
        if name not in names:
            raise ValueError(f"{self.file}: unknown name {name!r}")
        return names[name]

    def peek(self) -> str:
        return self.tokens[self.at]

    def accept(self, token: str) -> bool:
        if self.peek() == token:
            self.at += 1
            return True
        return False

    def expect(self, token: str) -> None:
        got = self.next()
        if got != token:
            raise ValueError(f"{self.file}: expected {token!r}, got {got!r}")

    def until(self, end: str) -> Iterator[None]:
        """Yields for each item of a comma-separated list, to its closing token."""
        while not self.accept(end):
            yield
            if not self.accept(","):
                self.expect(end)
                return

    def skip_to(self, end: str) -> None:
        while self.next() != end:
            pass


class _Reader:
    """Two passes: interfaces and worlds as they stand, then names resolved."""

    def __init__(self) -> None:
        self.interfaces: dict[str, Interface] = {}
        self.world_items: dict[str, list[tuple[str, str]]] = {}

    def read(self, file: str, text: str) -> None:
        parser = _Parser(file, text)
        while parser.peek():
            word = parser.next()
            if word == "package":
                parser.skip_to(";")
            elif word == "interface":
                name = parser.name(self.interfaces)
                self.interfaces[name] = self._interface(parser, name)
            elif word == "world":
                name = parser.name(self.world_items)
                self.world_items[name] = self._world(parser)
            else:
                raise ValueError(f"{file}: unexpected {word!r}")

    def _world(self, parser: _Parser) -> list[tuple[str, str]]:
        parser.expect("{")
        items = []
        while not parser.accept("}"):
            word = parser.next()
            if word not in ("import", "export", "include"):
                raise ValueError(f"{parser.file}: unexpected {word!r}")
            items.append((word, parser.name()))
            parser.expect(";")
        return items

    def _interface(self, parser: _Parser, name: str) -> Interface:
        types: dict[str, Type] = {}
        resources: set[str] = set()
        functions: dict[str, Function] = {}
        parser.expect("{")
        while not parser.accept("}"):
            word = parser.next()
            if word == "use":
                source = parser.known(self.interfaces)
                parser.expect(".")
                parser.expect("{")
                for _ in parser.until("}"):
                    used = parser.peek()
                    types[used] = parser.known(source.types)
                parser.expect(";")
            elif word == "record":
                key = parser.name(types)
                types[key] = RecordType(tuple(self._named(parser, types, resources)))
            elif word == "variant":
                key = parser.name(types)
                types[key] = VariantType(tuple(self._cases(parser, types, resources)))
            elif word in ("enum", "flags"):
                made = EnumType if word == "enum" else FlagsType
                key = parser.name(types)
                parser.expect("{")
                types[key] = made(tuple(parser.name() for _ in parser.until("}")))
            elif word == "type":
                key = parser.name(types)
                parser.expect("=")
                types[key] = self._type(parser, types, resources)
                parser.expect(";")
            elif word == "resource":
                resource = parser.name(types)
                resources.add(resource)
                parser.expect("{")
                while not parser.accept("}"):
                    method = parser.next()
                    own = ("self", HandleType(resource, owned=False))
                    functions[f"[method]{resource}.{method}"] = self._function(
                        parser, types, resources, own
                    )
            else:
                functions[word] = self._function(parser, types, resources)
        return Interface(full_name(name), functions, types, frozenset(resources))

    def _function(self, parser: _Parser, types: Any, resources: Any, *first: Any) -> Function:
        parser.expect(":")
        parser.expect("func")
        parser.expect("(")
        params = [*first]
        for _ in parser.until(")"):
            key = parser.name()
            parser.expect(":")
            params.append((key, self._type(parser, types, resources)))
        result = self._type(parser, types, resources) if parser.accept("->") else None
        parser.expect(";")
        return Function(tuple(params), result)

    def _named(self, parser: _Parser, types: Any, resources: Any) -> Iterator[tuple[str, Type]]:
        parser.expect("{")
        for _ in parser.until("}"):
            key = parser.name()
            parser.expect(":")
            yield key, self._type(parser, types, resources)

    def _cases(
        self, parser: _Parser, types: Any, resources: Any
    ) -> Iterator[tuple[str, Type | None]]:
        parser.expect("{")
        for _ in parser.until("}"):
            key = parser.name()
            payload = None
            if parser.accept("("):
                payload = self._type(parser, types, resources)
                parser.expect(")")
            yield key, payload

    def _type(self, parser: _Parser, types: Mapping[str, Type], resources: set[str]) -> Type:
        word = parser.next()
        if word in _PRIMITIVES:
            return Primitive(word)
        if word in types:
            return types[word]
        if word in resources:
            return HandleType(word, owned=True)
        if word == "result" and parser.peek() != "<":
            return ResultType(None, None)
        if word not in ("list", "option", "result", "tuple", "borrow"):
            raise ValueError(f"{parser.file}: unknown type {word!r}")
        parser.expect("<")
        if word == "borrow":
            handle = parser.next()
            if handle not in resources:
                raise ValueError(f"{parser.file}: unknown resource {handle!r}")
            parser.expect(">")
            return HandleType(handle, owned=False)
        inner: list[Type | None] = [
            None if parser.accept("_") else self._type(parser, types, resources)
            for _ in parser.until(">")
        ]
        if word == "result" and 1 <= len(inner) <= 2:
            return ResultType(inner[0], inner[1] if len(inner) > 1 else None)
        present = tuple(one for one in inner if one is not None)
        if word == "tuple" and len(present) == len(inner):
            return TupleType(present)
        if word not in ("list", "option") or len(present) != 1 or len(inner) != 1:
            raise ValueError(f"{parser.file}: a {word} of what?")
        return ListType(present[0]) if word == "list" else OptionType(present[0])

    def world(self, name: str, within: tuple[str, ...] = ()) -> World:
        imports: dict[str, Interface] = {}
        exports: dict[str, Interface] = {}
        for word, target in self.world_items[name]:
            known: Collection[str] = self.world_items if word == "include" else self.interfaces
            if target not in known or target in (*within, name):
                raise ValueError(f"the world {name!r} can't {word} {target!r}")
            if word == "include":
                included = self.world(target, (*within, name))
                imports.update(included.imports)
                exports.update(included.exports)
            else:
                where = imports if word == "import" else exports
                where[full_name(target)] = self.interfaces[target]
        return World(name, imports, exports)


def parse(files: Mapping[str, str]) -> Contract:
    """The contract of some WIT files, by file name. Raises `ValueError` for what it can't read."""
    reader = _Reader()
    # `use` looks back: the file of the shared types goes first.
    for file in sorted(files, key=lambda name: (name != "types.wit", name)):
        reader.read(file, files[file])
    interfaces = {one.name: one for one in reader.interfaces.values()}
    return Contract(interfaces, {name: reader.world(name) for name in reader.world_items})
