"""A component's bytes, read without running or compiling any of them.

That is the manifest it carries, the names it imports and exports, and how much is in it. An enemy
may have written the bytes: each length is checked before it is used, and nothing is copied.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from orchestrator_plugin_sdk.codec import pack, to_document, unpack
from orchestrator_plugin_sdk.errors import DocumentError
from orchestrator_plugin_sdk.naming import MANIFEST_SECTION

from .binary import COMPONENT, MAGIC, MODULE, Cursor, section, sized, unsigned
from .document_scan import scan
from .errors import InvalidComponentError

if TYPE_CHECKING:
    from orchestrator_plugin_sdk.manifest import PluginManifest

_MAX_NESTING: Final = 16
_MAX_SECTIONS: Final = 10_000
_MAX_CUSTOM: Final = 100
_MAX_ITEMS: Final = 1_000
_MAX_NAME_BYTES: Final = 1 << 20
_MAX_MANIFEST_BYTES: Final = 64 * 1024
_MAX_MANIFEST_VALUES: Final = 5_000
"""What is read of a component at most, so that reading it takes less than 20 ms whatever it is:
components in components; sections, at all levels; custom sections; imports and exports together;
bytes of names, at all levels; bytes and values of the manifest. A Python guest has 600 sections and
ten imports and exports."""
_MAX_SHOWN: Final = 200
"""Characters of a name that an error repeats."""
_SORTS = ("core", "func", "value", "type", "component", "instance")


@dataclass(slots=True)
class Contents:
    """How many of each thing a component defines, in all its modules together."""

    sections: int = field(default=0, compare=False)
    modules: int = 0
    functions: int = 0
    memories: int = 0
    data_segments: int = 0


@dataclass(frozen=True)
class ComponentFile:
    """A component: its bytes, the SHA-256 `digest` of them, and what they say.

    `imports` and `exports` are names with their sort (`instance`, `func`, …); the bodies of custom
    sections are views of `data`.
    """

    data: bytes
    digest: str
    imports: tuple[tuple[str, str], ...]
    exports: tuple[tuple[str, str], ...]
    custom_sections: tuple[tuple[str, memoryview], ...]
    contents: Contents

    @cached_property
    def manifest_document(self) -> Any:
        """The manifest's document, not validated yet. Raises `InvalidComponentError`."""
        found = [body for name, body in self.custom_sections if name == MANIFEST_SECTION]
        if len(found) != 1:
            raise InvalidComponentError(
                f"the component has {len(found) or 'no'} manifest section(s) named "
                f"{MANIFEST_SECTION!r}, it must have one: build it with "
                "`orchestrator-plugin build`, or add a manifest to a finished component with "
                "`orchestrator-plugin build DIR --component FILE`"
            )
        if len(found[0]) > _MAX_MANIFEST_BYTES:
            raise InvalidComponentError(
                f"the component's manifest has {len(found[0]):,} bytes, "
                f"it may have {_MAX_MANIFEST_BYTES:,}"
            )
        body = bytes(found[0])
        try:
            scan(body, _MAX_MANIFEST_VALUES)
            return unpack(body)
        except DocumentError as error:
            raise InvalidComponentError(f"the component's manifest {error}") from None


class _Reader:
    """Reads a component in one pass, and counts what it reads."""

    def __init__(self) -> None:
        self.contents = Contents()
        self.imports: list[tuple[str, str]] = []
        self.exports: list[tuple[str, str]] = []
        self.custom: list[tuple[str, memoryview]] = []
        self._items = 0
        self._name_bytes = 0

    def component(self, body: Cursor, depth: int) -> None:
        """Reads a component, at some depth within the file. Of those within, and of modules, it
        counts what they define."""
        contents = self.contents
        for kind, content in self._sections(body, depth):
            if kind == 0:
                name = self._name(content)
                if depth == 0:
                    if len(self.custom) == _MAX_CUSTOM:
                        raise _too_many(_MAX_CUSTOM, "custom sections")
                    self.custom.append((name, content.view()))
            elif kind in (1, 4):
                header = content.take(8).rest()
                if header[4:] == COMPONENT:
                    self.component(content, depth + 1)
                else:
                    contents.modules += header[4:] == MODULE
                    self._module(content, depth + 1)
            elif depth == 0:
                if kind == 10:
                    self._list(content, self._import)
                elif kind == 11:
                    self._list(content, self._export)
                elif kind > 12:
                    raise InvalidComponentError(
                        f"the component has a section of unknown kind {kind}"
                    )

    def _module(self, body: Cursor, depth: int) -> None:
        contents = self.contents
        for kind, content in self._sections(body, depth):
            if kind == 0:
                self._name(content)  # that it can be read: `without_names` reads it later
            elif kind == 3:
                contents.functions += content.unsigned()
            elif kind == 5:
                contents.memories += content.unsigned()
            elif kind == 11:
                contents.data_segments += content.unsigned()

    def _sections(self, body: Cursor, depth: int) -> Iterator[tuple[int, Cursor]]:
        if depth > _MAX_NESTING:
            raise InvalidComponentError(f"the component nests deeper than {_MAX_NESTING} levels")
        for kind, content in body.sections():
            self.contents.sections += 1
            if self.contents.sections > _MAX_SECTIONS:
                raise _too_many(_MAX_SECTIONS, "sections")
            yield kind, content

    def _name(self, body: Cursor) -> str:
        before = body.at
        name = body.name()
        self._name_bytes += body.at - before
        if self._name_bytes > _MAX_NAME_BYTES:
            raise _too_many(_MAX_NAME_BYTES, "bytes of names")
        return name

    def _list(self, body: Cursor, read: Callable[[Cursor], None]) -> None:
        count = body.unsigned()
        self._items += count
        if self._items > _MAX_ITEMS:
            raise _too_many(_MAX_ITEMS, "imports and exports")
        for _ in range(count):
            read(body)

    def _extern_name(self, body: Cursor) -> str:
        kind = body.byte()
        name = self._name(body)
        if kind > 1:
            raise InvalidComponentError(
                f"the component names {name[:_MAX_SHOWN]!r} in a way that this host does not read"
            )
        return name

    def _import(self, body: Cursor) -> None:
        self.imports.append((self._extern_name(body), _described(body)))

    def _export(self, body: Cursor) -> None:
        name = self._extern_name(body)
        sort = body.byte()
        if sort >= len(_SORTS):
            raise InvalidComponentError("the component exports an unknown kind of thing")
        if sort == 0:
            body.byte()
        body.unsigned()
        if body.byte():
            _described(body)
        self.exports.append((name, _SORTS[sort]))


def _described(body: Cursor) -> str:
    """Reads an external description. Returns its sort."""
    sort = body.byte()
    if sort >= len(_SORTS) or _SORTS[sort] == "value":
        raise InvalidComponentError("the component imports or exports an unknown kind of thing")
    if sort == 0:
        body.byte()
        body.unsigned()
    elif sort != 3 or body.byte() == 0:
        body.unsigned()
    return _SORTS[sort]


def _too_many(most: int, what: str) -> InvalidComponentError:
    return InvalidComponentError(f"the component has more than {most:,} {what}")


def read_component(data: bytes) -> ComponentFile:
    """Reads a component's bytes.

    Holds the interpreter's lock for less than 20 ms, whatever the bytes are; hashing them takes
    longer, without it. Raises `InvalidComponentError` for what isn't one: another format, WAT text,
    a core module, a truncated or malformed file, or more parts than any component has.
    """
    if data[:4] != MAGIC:
        hint = ""
        if data[:1024].lstrip()[:1] == b"(":
            hint = ": this looks like WebAssembly text; assemble it first"
        elif not data:
            hint = ": it is empty"
        raise InvalidComponentError(f"the file is not WebAssembly{hint}")
    if data[4:8] == MODULE:
        raise InvalidComponentError(
            "the file is a core WebAssembly module, not a component: "
            "make a component of it with your toolchain"
        )
    if data[4:8] != COMPONENT:
        raise InvalidComponentError(
            f"the file is of an unknown WebAssembly version ({data[4:8].hex() or 'none'})"
        )
    reader = _Reader()
    reader.component(Cursor(data, 8, len(data)), 0)
    return ComponentFile(
        data,
        hashlib.sha256(data).hexdigest(),
        tuple(reader.imports),
        tuple(reader.exports),
        tuple(reader.custom),
        reader.contents,
    )


def with_manifest(data: bytes, manifest: PluginManifest) -> bytes:
    """A component with this manifest in it, in place of any it had.

    Raises `InvalidComponentError` for what isn't a component, or a manifest that is too large.
    """
    read_component(data)
    view, cursor = memoryview(data), Cursor(data, 8, len(data))
    kept, begin = [view[:8]], 8
    while cursor.at < cursor.end:
        start = cursor.at
        kind, body = cursor.section()
        if kind == 0 and body.name() == MANIFEST_SECTION:
            kept.append(view[begin:start])
            begin = cursor.at
    name = MANIFEST_SECTION.encode()
    document = pack(to_document(manifest))
    if len(document) > _MAX_MANIFEST_BYTES:
        raise InvalidComponentError(
            f"the manifest has {len(document):,} bytes, it may have {_MAX_MANIFEST_BYTES:,}"
        )
    return b"".join([*kept, view[begin:], section(0, sized(name) + document)])


def without_names(data: bytes) -> bytes:
    """A component whose modules do not say what their functions are called.

    The names serve backtraces alone, and writing one out costs time that the guest can choose: a
    C++ name of 300 letters may stand for one of gigabytes. Copies the component once, which takes
    some milliseconds for each 16 MiB: it is for the process that compiles it.
    """
    pieces = _without_names(memoryview(data), Cursor(data, 0, len(data)), 0)
    return data if pieces is None else b"".join(pieces)


def _without_names(data: memoryview, body: Cursor, depth: int) -> list[memoryview | bytes] | None:
    """What is left of a module or component, in pieces; `None` if that is all of it."""
    if depth > _MAX_NESTING:
        raise InvalidComponentError(f"the component nests deeper than {_MAX_NESTING} levels")
    begin = body.at
    is_component = body.take(8).rest()[4:] == COMPONENT
    pieces: list[memoryview | bytes] = []
    while body.at < body.end:
        start = body.at
        kind, content = body.section()
        inner: list[memoryview | bytes] | None = None
        if is_component and kind in (1, 4):
            inner = _without_names(data, content, depth + 1)
        elif kind == 0 and content.name() in ("name", "component-name"):
            inner = []
        if inner is None:
            continue
        pieces.append(data[begin:start])
        begin = body.at
        if kind:
            pieces += [bytes([kind]), unsigned(sum(map(len, inner))), *inner]
    return [*pieces, data[begin : body.end]] if pieces else None
