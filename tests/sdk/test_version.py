"""Ranges of SDK versions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from orchestrator_plugin_sdk import SDK_VERSION, SdkVersionRange
from orchestrator_plugin_sdk.version import PACKAGE_VERSION


def test_the_sdk_version_is_the_major_of_the_wit_package() -> None:
    assert PACKAGE_VERSION.split(".")[0] == str(SDK_VERSION)


@pytest.mark.parametrize(
    ("wanted", "version", "included"),
    [
        (SdkVersionRange(1), 1, True),
        (SdkVersionRange(1), 100, True),
        (SdkVersionRange(2), 1, False),
        (SdkVersionRange(1, 1), 1, True),
        (SdkVersionRange(1, 1), 2, False),
        (SdkVersionRange(2, 4), 1, False),
        (SdkVersionRange(2, 4), 2, True),
        (SdkVersionRange(2, 4), 4, True),
        (SdkVersionRange(2, 4), 5, False),
    ],
)
def test_a_range_includes_both_its_ends(
    wanted: SdkVersionRange, version: int, included: bool
) -> None:
    assert wanted.includes(version) is included


@given(st.integers(), st.integers(), st.integers())
def test_a_range_is_what_python_calls_a_range(least: int, most: int, version: int) -> None:
    assert SdkVersionRange(least, most).includes(version) == (version in range(least, most + 1))


@pytest.mark.parametrize(
    ("wanted", "shown"),
    [
        (SdkVersionRange(2), ">= 2"),
        (SdkVersionRange(2, 2), "2"),
        (SdkVersionRange(2, 4), "2 to 4"),
    ],
)
def test_a_range_in_words(wanted: SdkVersionRange, shown: str) -> None:
    assert str(wanted) == shown
