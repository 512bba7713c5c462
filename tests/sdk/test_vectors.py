"""`Vector` and `Vectors`: what they are made of, what they give, what they refuse."""

from __future__ import annotations

import array
import ctypes
import math
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from orchestrator_plugin_sdk import Vector, Vectors
from sdk.strategies import FLOAT32, VECTORS

ONE_TWO = struct.pack("<2f", 1.0, 2.0)
MAXIMUM = 3.4028234663852886e38
NOT_FINITE = [math.nan, math.inf, -math.inf]


# --- one vector ----------------------------------------------------------------------------------


@given(st.lists(FLOAT32))
def test_a_vector_survives_the_way_there_and_back(numbers: list[float]) -> None:
    vector = Vector(numbers)
    assert vector.data == struct.pack(f"<{len(numbers)}f", *numbers)
    assert vector.tolist() == numbers
    assert list(vector) == numbers
    assert len(vector) == len(numbers)
    assert Vector.from_bytes(vector.data) == vector
    assert Vector(vector.view) == vector


@given(st.binary())
def test_any_bytes_are_a_vector_or_a_value_error(data: bytes) -> None:
    try:
        vector = Vector.from_bytes(data)
    except ValueError:
        return
    assert vector.data == data
    assert all(map(math.isfinite, vector))


@pytest.mark.parametrize(
    "values",
    [
        [1, 2],
        (1.0, 2.0),
        range(1, 3),
        iter([1.0, 2.0]),
        Vector([1, 2]),
        Vector([1, 2]).view,
        array.array("f", [1, 2]),
        array.array("d", [1, 2]),
        array.array("b", [1, 2]),
        array.array("Q", [1, 2]),
        memoryview(array.array("f", [1, 0, 2, 0]))[::2],
        memoryview(bytes([1, 2])),
        (ctypes.c_float * 2)(1, 2),
        (ctypes.c_double * 2)(1, 2),
        (ctypes.c_float.__ctype_be__ * 2)(1, 2),
        (ctypes.c_int16 * 2)(1, 2),
    ],
    ids=lambda values: type(values).__name__,
)
def test_whatever_holds_numbers_makes_a_vector(values: Any) -> None:
    assert Vector(values).data == ONE_TWO


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ("12", "can't be made of str"),
        (b"12", "can't be made of bytes"),
        (bytearray(b"1234"), "can't be made of bytearray"),
        (None, "sequence of numbers"),
        (1.0, "sequence of numbers"),
        ([1.0, "2"], "sequence of numbers"),
        ([1.0, None], "sequence of numbers"),
        ([[1.0]], "sequence of numbers"),
        ([1j], "sequence of numbers"),
        (memoryview(b"12").cast("c"), "sequence of numbers"),
        (memoryview((ctypes.c_double * 2)(1, 2)), "sequence of numbers"),
        (memoryview(bytes(16)).cast("f", (2, 2)), "one dimension, this has 2"),
        (memoryview(bytes(4)).cast("f", ()), "one dimension, this has 0"),
        ([10**400], "one is too large"),
        ([1e39], "must be finite"),
        ([MAXIMUM, math.inf], "must be finite"),
        ([math.inf, -math.inf], "must be finite"),
        (array.array("d", [1e300]), "must be finite"),
        *(([0.5, number], "must be finite") for number in NOT_FINITE),
        *((array.array("f", [0.5, number]), "must be finite") for number in NOT_FINITE),
    ],
)
def test_what_is_no_vector(values: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Vector(values)


@pytest.mark.parametrize("length", [1, 2, 3, 5])
def test_a_ragged_length_is_no_vector(length: int) -> None:
    with pytest.raises(ValueError, match=f"got {length} bytes"):
        Vector.from_bytes(b"\0" * length)


def test_the_largest_numbers_are_finite_however_many() -> None:
    assert Vector([MAXIMUM] * 1_000).tolist() == [MAXIMUM] * 1_000


def test_a_vector_is_a_sequence() -> None:
    vector = Vector([1, 2, 3, 4])
    assert (vector[0], vector[-1]) == (1.0, 4.0)
    assert vector[1:3] == Vector([2, 3])
    assert vector[::-2] == Vector([4, 2])
    assert vector[4:] == Vector()
    assert list(reversed(vector)) == [4.0, 3.0, 2.0, 1.0]
    assert vector.index(3) == 2
    assert 2.0 in vector
    with pytest.raises(IndexError):
        vector[4]


def test_equal_vectors_have_one_hash_and_differ_from_lists() -> None:
    assert len({Vector([1, 2]), Vector((1.0, 2.0)), Vector([2, 1])}) == 2
    assert Vector([1, 2]) != [1.0, 2.0]


def test_the_numbers_can_be_seen_but_not_changed() -> None:
    numbers = array.array("f", [1, 2])
    vector = Vector(numbers)
    numbers[0] = 9
    assert vector.tolist() == [1.0, 2.0]
    assert vector.view.format == "f"
    with pytest.raises(TypeError):
        vector.view[0] = 9.0


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([], "Vector([], dims=0)"),
        ([0.1], "Vector([0.1], dims=1)"),
        (range(6), "Vector([0, 1, 2, 3, …], dims=6)"),
    ],
)
def test_a_vector_shows_its_first_numbers(values: Any, shown: str) -> None:
    assert repr(Vector(values)) == shown


# --- several -------------------------------------------------------------------------------------


@given(VECTORS)
def test_vectors_survive_the_way_there_and_back(vectors: Vectors) -> None:
    again = Vectors.from_bytes(vectors.data, vectors.dims)
    assert again == vectors
    assert hash(again) == hash(vectors)
    assert Vectors(vectors.tolist(), vectors.dims) == vectors
    assert Vectors(list(vectors), vectors.dims) == vectors
    assert Vectors(vectors) == vectors
    assert len(vectors) * vectors.dims * 4 == len(vectors.data)


@given(st.binary(max_size=64), st.integers(-2, 5))
def test_any_bytes_are_vectors_or_a_value_error(data: bytes, dims: int) -> None:
    try:
        vectors = Vectors.from_bytes(data, dims)
    except ValueError:
        return
    assert (vectors.data, vectors.dims) == (data, dims)
    assert all(map(math.isfinite, (number for row in vectors for number in row)))


@pytest.mark.parametrize(
    ("rows", "dims", "says"),
    [
        ([[1.0], [1.0, 2.0]], None, r"the same dims; got \[1, 2\]"),
        ([[1.0]], 2, r"the same dims; got \[1, 2\]"),
        (Vectors([[1.0]]), 2, r"the same dims; got \[1, 2\]"),
        ([], -1, "dims is 0 or more, got -1"),
        ([[]], -1, "dims is 0 or more, got -1"),
        ([1.0], None, "sequence of numbers"),
        (["1"], None, "can't be made of str"),
        ([[math.nan]], None, "must be finite"),
    ],
)
def test_what_are_no_vectors(rows: Any, dims: int | None, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Vectors(rows, dims)


@pytest.mark.parametrize(
    ("data", "dims", "says"),
    [
        (b"1234", 0, "not whole rows of 0"),
        (b"1234", 2, "not whole rows of 2"),
        (b"123", 1, "not whole rows of 1"),
        (b"", -1, "not whole rows of -1"),
        (b"1234", -1, "not whole rows of -1"),
        (b"\x00\x00\x80\x7f", 1, "must be finite"),
    ],
)
def test_bytes_that_are_no_vectors(data: bytes, dims: int, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Vectors.from_bytes(data, dims)


def test_vectors_are_a_sequence_of_vectors() -> None:
    vectors = Vectors([[1, 2], [3, 4], [5, 6]])
    assert (vectors.dims, len(vectors)) == (2, 3)
    assert vectors[0] == Vector([1, 2])
    assert vectors[-1] == Vector([5, 6])
    assert vectors[1:] == Vectors([[3, 4], [5, 6]])
    assert vectors[3:] == Vectors(dims=2)
    assert list(vectors) == [Vector([1, 2]), Vector([3, 4]), Vector([5, 6])]
    assert repr(vectors) == "Vectors([3 × 2 float32])"
    for outside in (3, -4):
        with pytest.raises(IndexError):
            vectors[outside]


def test_no_rows_still_have_dims() -> None:
    assert Vectors().dims == 0
    assert Vectors(dims=3).dims == 3
    assert len(Vectors(dims=3)) == 0
    assert Vectors(dims=3) != Vectors(dims=4)
