"""Vectors as packed float32, so that a million numbers cross a boundary as one run of bytes.

Both types take whatever people hold vectors in: a sequence of numbers, an `array.array`, a
`memoryview`, a NumPy array, anything with the buffer protocol; and give rows as `memoryview`s of
float32 that NumPy and `array` read without a copy.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, overload

VectorLike = Any
"""A `Vector`, a sequence of numbers, or anything one-dimensional with the buffer protocol."""

FROM_PLUGIN = "orchestrator_from_plugin"
"""The key of a core schema's metadata under which the function is that validates what crossed the
boundary, where a vector is `bin` alone."""

_BIG_ENDIAN = sys.byteorder == "big"
_FLOAT32 = ("f", "@f", "=f", ">f" if _BIG_ENDIAN else "<f")
"""The buffer formats that are this machine's float32."""
_LARGE_EXPONENT = bytes(byte & 0x7F == 0x7F for byte in range(256))
_LAST_BIT_OF_EXPONENT = bytes(byte >= 0x80 for byte in range(256))


def _pack(values: VectorLike) -> bytes:
    """`values` as float32, little-endian. Raises `ValueError` for what isn't a finite vector."""
    if isinstance(values, Vector):
        return values.data
    if isinstance(values, (str, bytes, bytearray)):
        raise ValueError(f"a vector can't be made of {type(values).__name__}")
    try:
        view = memoryview(values)
    except TypeError:
        packed = _from_numbers(values)
    else:
        if view.ndim != 1:
            raise ValueError(f"a vector has one dimension, this has {view.ndim}")
        if view.format in _FLOAT32:
            packed = array("f", view.tobytes())
        else:
            try:
                numbers = view.tolist()
            except NotImplementedError:  # a format that memoryview can't read, its owner may
                numbers = values
            packed = _from_numbers(numbers)
    if _BIG_ENDIAN:
        packed.byteswap()
    return _finite(packed.tobytes())


def _finite(data: bytes) -> bytes:
    """Float32, little-endian, as it is. Raises `ValueError` for NaN and infinity: the numbers all
    bits of whose exponent are set. They are looked for in all numbers at once, since a loop over
    millions of them would hold up everything else."""
    highest = data[3::4]  # the sign and seven bits of the exponent
    if 0x7F in highest or 0xFF in highest:
        next_bytes = data[2::4]  # the last bit of the exponent comes first
        large = int.from_bytes(highest.translate(_LARGE_EXPONENT), "little")
        if large & int.from_bytes(next_bytes.translate(_LAST_BIT_OF_EXPONENT), "little"):
            raise ValueError("a vector's numbers must be finite float32: no NaN, no infinity")
    return data


def _from_numbers(values: Iterable[float]) -> array[float]:
    try:
        return array("f", values)
    except (TypeError, NotImplementedError):
        raise ValueError("a vector must be a sequence of numbers") from None
    except OverflowError:
        raise ValueError("a vector's numbers must be finite float32: one is too large") from None


def _unpack(data: bytes) -> memoryview[float]:
    if _BIG_ENDIAN:
        swapped = array("f", data)
        swapped.byteswap()
        data = swapped.tobytes()
    return memoryview(data).cast("f")


class Vector(Sequence[float]):
    """One vector: float32 `[dims]`, immutable, every number finite.

    `data` is its wire form (little-endian), `view` a read-only `memoryview` of float32.

    >>> Vector([0.5, -1.0]).tolist()
    [0.5, -1.0]
    """

    __slots__ = ("data", "view")

    data: bytes
    view: memoryview[float]

    def __init__(self, values: VectorLike = ()) -> None:
        self.data = _pack(values)
        self.view = _unpack(self.data)

    @classmethod
    def from_bytes(cls, data: bytes) -> Vector:
        """A vector from its wire form. Raises `ValueError` for a ragged length or a number that
        is not finite."""
        if len(data) % 4:
            raise ValueError(f"float32 data has 4 bytes a number; got {len(data)} bytes")
        made = cls.__new__(cls)
        made.data = _finite(bytes(data))
        made.view = _unpack(made.data)
        return made

    def __len__(self) -> int:
        return len(self.view)

    @overload
    def __getitem__(self, index: int) -> float: ...
    @overload
    def __getitem__(self, index: slice) -> Vector: ...
    def __getitem__(self, index: int | slice) -> float | Vector:
        if isinstance(index, slice):
            return Vector(self.view[index].tolist())
        return float(self.view[index])

    def __iter__(self) -> Iterator[float]:
        return iter(self.view)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vector) and self.data == other.data

    def __hash__(self) -> int:
        return hash(self.data)

    def __repr__(self) -> str:
        shown = ", ".join(f"{number:.6g}" for number in self.view[:4].tolist())
        more = ", …" if len(self) > 4 else ""
        return f"Vector([{shown}{more}], dims={len(self)})"

    def tolist(self) -> list[float]:
        """The numbers as Python floats."""
        return list(self.view)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        def from_plugin(value: object) -> Vector:
            if isinstance(value, Vector):
                return value
            if isinstance(value, bytes):
                return cls.from_bytes(value)
            raise ValueError("expected a vector")

        def validate(value: object) -> Vector:
            if isinstance(value, (Vector, bytes, str, Mapping)) or value is None:
                return from_plugin(value)
            return cls(value)

        return core_schema.no_info_plain_validator_function(
            validate,
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda vector: vector.data
            ),
            metadata={"pydantic_js_functions": [_binary_schema], FROM_PLUGIN: from_plugin},
        )


class Vectors(Sequence[Vector]):
    """Several vectors of one size: float32 `[n, dims]`, immutable, every number finite.

    `data` is the wire form: the rows one after another, little-endian.

    >>> Vectors([[1.0, 0.0], [0.0, 1.0]]).dims
    2
    """

    __slots__ = ("data", "dims")

    data: bytes
    dims: int

    def __init__(self, rows: Iterable[VectorLike] = (), dims: int | None = None) -> None:
        """Packs `rows`. `dims` is needed only where there may be no row to tell it."""
        if isinstance(rows, Vectors):
            packed, sizes = [rows.data], {rows.dims}
        else:
            packed = [_pack(row) for row in rows]
            sizes = {len(row) // 4 for row in packed}
        if dims is not None:
            if dims < 0:
                raise ValueError(f"dims is 0 or more, got {dims}")
            sizes.add(dims)
        if len(sizes) > 1:
            raise ValueError(f"all vectors must have the same dims; got {sorted(sizes)}")
        self.dims = sizes.pop() if sizes else 0
        self.data = b"".join(packed)

    @classmethod
    def from_bytes(cls, data: bytes, dims: int) -> Vectors:
        """Vectors from their wire form. Raises `ValueError` when `data` isn't whole rows of
        `dims` finite numbers."""
        if dims < 0 or (len(data) % (4 * dims) if dims else data):
            raise ValueError(f"{len(data)} bytes are not whole rows of {dims} float32 numbers")
        made = cls.__new__(cls)
        made.dims = dims
        made.data = _finite(bytes(data))
        return made

    def __len__(self) -> int:
        return len(self.data) // (4 * self.dims) if self.dims else 0

    @overload
    def __getitem__(self, index: int) -> Vector: ...
    @overload
    def __getitem__(self, index: slice) -> Vectors: ...
    def __getitem__(self, index: int | slice) -> Vector | Vectors:
        if isinstance(index, slice):
            return Vectors([self[i] for i in range(*index.indices(len(self)))], self.dims)
        if index < 0:
            index += len(self)
        if not 0 <= index < len(self):
            raise IndexError("vector index out of range")
        size = 4 * self.dims
        return Vector.from_bytes(self.data[index * size : (index + 1) * size])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vectors) and (self.dims, self.data) == (other.dims, other.data)

    def __hash__(self) -> int:
        return hash((self.dims, self.data))

    def __repr__(self) -> str:
        return f"Vectors([{len(self)} × {self.dims} float32])"

    def tolist(self) -> list[list[float]]:
        """The rows as lists of Python floats."""
        return [row.tolist() for row in self]

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        def from_plugin(value: object) -> Vectors:
            if isinstance(value, Vectors):
                return value
            if not isinstance(value, dict):
                raise ValueError("expected vectors")
            if value.keys() != {"data", "dims"}:
                raise ValueError("expected the keys data and dims")
            data, dims = value["data"], value["dims"]
            if not isinstance(data, bytes) or type(dims) is not int:
                raise ValueError("expected data: bin and dims: int")
            return cls.from_bytes(data, dims)

        def validate(value: object) -> Vectors:
            if isinstance(value, (Vectors, dict, str, bytes)) or not isinstance(value, Iterable):
                return from_plugin(value)
            return cls(value)

        return core_schema.no_info_plain_validator_function(
            validate,
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda vectors: {"dims": vectors.dims, "data": vectors.data}
            ),
            metadata={"pydantic_js_functions": [_matrix_schema], FROM_PLUGIN: from_plugin},
        )


def _binary_schema(schema: Any, handler: Any) -> dict[str, Any]:
    return {
        "type": "string",
        "format": "binary",
        "description": "MessagePack bin: float32, little-endian, [dims]",
    }


def _matrix_schema(schema: Any, handler: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "dims": {"type": "integer", "minimum": 0},
            "data": {
                "type": "string",
                "format": "binary",
                "description": "MessagePack bin: float32, little-endian, [n, dims]",
            },
        },
        "required": ["dims", "data"],
        "additionalProperties": False,
    }
