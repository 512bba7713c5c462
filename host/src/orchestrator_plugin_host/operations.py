"""The operations of one loaded plugin as documents: prepared once, used by each of its calls.

::

    codec = codecs["generate"]
    arguments = codec.validate_arguments([request])           # on the caller's way in
    document = codec.encode(arguments, context)               # bytes for the plugin
    value = codec.decode(form, data)                          # or codec.decode_pieces(form, data)

A backend passes what the plugin answered as it came: the form of the payload, and the UTF-8 of its
text. Whatever they are, reading them takes less than 20 ms at a time and memory
in proportion to them, or raises an error that names the limit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, cast

import msgpack
from orchestrator_plugin_sdk.answers import outgoing
from orchestrator_plugin_sdk.codec import pack, to_document
from orchestrator_plugin_sdk.errors import DocumentError
from orchestrator_plugin_sdk.vectors import Vectors
from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from .document_scan import TooManyValuesError
from .document_types import serializer, validator
from .documents import invalid, unpack, unpack_pieces
from .errors import DocumentTooLargeError, PluginError, PluginInputError, PluginOutputError
from .limits import UNITS, Limits
from .payload_text import DocumentSizeError, document_of
from .pieces import Pieces, at_once

if TYPE_CHECKING:
    from orchestrator_plugin_sdk.contract import Kind, Operation

LARGE: Final = 512 * 1024
"""Bytes from which on a payload is read in turns with the event loop's other tasks."""


_UNWRITABLE: Final = (
    PydanticSerializationError,
    AttributeError,  # of another type's value
    TypeError,
    ValueError,
    OverflowError,
    RecursionError,
)


class OperationCodec:
    """One operation of one loaded plugin. Not changed once it is made, so calls share it."""

    __slots__ = (
        "_arguments",
        "_limits",
        "_operation",
        "_plugin",
        "_result",
        "_takes_document",
        "_written",
    )

    def __init__(self, plugin: str, operation: Operation, limits: Limits) -> None:
        self._plugin = plugin
        self._operation = operation
        self._limits = limits
        self._arguments = tuple(
            (name, validator(wanted, False), serializer(wanted))
            for name, wanted in operation.arguments.items()
        )
        self._takes_document = operation.with_context or bool(operation.arguments)
        self._result = None if operation.result is None else validator(operation.result, True)
        self._written = None if operation.result is None else serializer(operation.result)

    def validate_arguments(self, values: Sequence[Any]) -> list[Any]:
        """What a caller passed, in the order of the method's parameters, as SDK values.

        Raises `PluginInputError`.
        """
        made = []
        for (name, wanted, _), value in zip(self._arguments, values, strict=True):
            try:
                made.append(wanted.validate_python(value))
            except (ValidationError, RecursionError) as error:
                raise self._input_error(invalid(error, name)) from None
        return made

    def encode(
        self, arguments: Sequence[Any], context: Mapping[str, Any] | None = None
    ) -> bytes | None:
        """The document of a call: arguments as `validate_arguments` returned them, and the call's
        context as plain data, if the operation has one. `None` for a call without a document.

        Raises `PluginInputError` or `DocumentTooLargeError`.
        """
        if not self._takes_document:
            return None
        try:
            document = {
                name: wanted.to_python(value, warnings=False)
                for (name, _, wanted), value in zip(self._arguments, arguments, strict=True)
            }
            if context is not None:
                document["context"] = context
            packed: bytes = msgpack.packb(document)
        except _UNWRITABLE:
            packed = self._encode_slowly(arguments, context)
        if len(packed) > self._limits.document_in_bytes:
            raise self._too_large(
                "document_in_bytes", f"was to get a document of {len(packed):,} bytes"
            )
        return packed

    def _encode_slowly(self, arguments: Sequence[Any], context: Mapping[str, Any] | None) -> bytes:
        """The same document, made by the SDK: it says what can't be in one."""
        document = dict(zip(self._operation.arguments, arguments, strict=True))
        if context is not None:
            document["context"] = context
        try:
            return pack(to_document(document))
        except DocumentError as error:
            raise self._input_error(error) from None

    def decode(self, form: str, data: bytes | memoryview) -> Any:
        """What the plugin answered: a payload's form and its bytes, as a value of the operation's
        result, at once. For payloads of more than `LARGE` bytes there is `decode_pieces`.

        Raises `PluginOutputError` or `DocumentTooLargeError`.
        """
        if form == "base64" or len(data) > LARGE:
            return at_once(self.decode_pieces(form, data))
        if isinstance(data, bytes) and data.isascii():
            return self.read(data)
        try:
            document = str(data, "utf-8").encode("latin-1")
        except UnicodeError:
            raise PluginOutputError(f"{self._what()} is not a payload of the form latin1") from None
        return self.read(document)

    def read(self, document: bytes) -> Any:
        """A document of the plugin's as a value of the operation's result, at once. Raises as
        `decode` does."""
        try:
            plain = unpack(document, self._limits.document_out_bytes, self._limits.document_values)
        except DocumentError as error:
            raise self._fault(error) from None
        return self.accept(plain)

    # As across the boundary, for plugins that there is none to.

    def copied(self, document: bytes) -> list[Any]:
        """The arguments that are in a document of `encode`, as a plugin gets them."""
        plain = msgpack.unpackb(document)
        return [wanted.validate_python(plain[name]) for name, wanted, _ in self._arguments]

    def written(self, value: Any) -> bytes:
        """What a plugin's method returned, as the document of its answer.

        Raises `PluginCallError` for what can't be sent.
        """
        if self._written is not None and self._operation.result is not Vectors:
            try:
                return cast("bytes", msgpack.packb(self._written.to_python(value, warnings=False)))
            except _UNWRITABLE:
                return cast("bytes", outgoing(self._operation, value))  # which says what is wrong
        return cast("bytes", outgoing(self._operation, value))

    def decode_pieces(self, form: str, data: bytes | memoryview) -> Pieces[Any]:
        """`decode`, yielding between pieces of some milliseconds each. Does not keep `data` longer
        than it needs it, nor should the caller."""
        limits = self._limits
        try:
            document = yield from document_of(form, data, limits.document_out_bytes)
            del data
            yield
            plain = yield from unpack_pieces(
                document, limits.document_out_bytes, limits.document_values
            )
        except DocumentError as error:
            raise self._fault(error) from None
        del document
        yield
        return self.accept(plain)

    def _fault(self, error: DocumentError) -> PluginError:
        """The error of an answer that could not be read."""
        if isinstance(error, DocumentSizeError):
            counted = f", {error.counted}" if error.counted else ""
            return self._too_large(
                "document_out_bytes", f"returned a document of {error.size:,} bytes{counted}"
            )
        if isinstance(error, TooManyValuesError):
            return self._too_large(
                "document_values", "returned a document of more values than it may"
            )
        return PluginOutputError(f"{self._what()} {error}")

    def accept(self, plain: Any) -> Any:
        """Plain data, or a scalar, as a value of the operation's result. Raises
        `PluginOutputError`."""
        if self._result is None:
            return None
        try:
            return self._result.validate_python(plain)
        except (ValidationError, RecursionError) as error:
            raise PluginOutputError(str(invalid(error, self._what()))) from None

    def _what(self) -> str:
        return f"what plugin {self._plugin!r} answered to {self._operation.method}"

    def _input_error(self, error: DocumentError) -> PluginInputError:
        return PluginInputError(f"{self._operation.method} of plugin {self._plugin!r}: {error}")

    def _too_large(self, limit: str, what: str) -> DocumentTooLargeError:
        value = getattr(self._limits, limit)
        return DocumentTooLargeError(self._plugin, limit, value, UNITS[limit], what)


def codecs_of(plugin: str, kind: Kind, limits: Limits) -> Mapping[str, OperationCodec]:
    """The codecs of a plugin's operations, by the names of their methods."""
    return MappingProxyType(
        {
            operation.method: OperationCodec(plugin, operation, limits)
            for operation in kind.operations
        }
    )
