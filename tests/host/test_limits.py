"""The table of limits, and how a manifest lowers them."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from orchestrator_plugin_host import Limits, PluginRefusedError
from orchestrator_plugin_host.limits import UNITS, effective_limits
from orchestrator_plugin_sdk import ManifestLimits
from pydantic import ValidationError
from support.guests import manifest_of

NAMES = list(Limits.model_fields)
MAY_BE_ZERO = {
    "log_events",
    "log_bytes",
    "http_requests",
    "http_names",
    "http_up_bytes",
    "http_down_bytes",
}


def test_every_limit_has_a_unit() -> None:
    assert list(UNITS) == NAMES


def test_a_manifest_can_lower_only_what_is_a_limit() -> None:
    assert {field.name for field in fields(ManifestLimits)} < set(NAMES)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [-1, 0, 1.5, "1", True, None, float("inf")])
def test_a_limit_is_a_positive_integer(name: str, value: Any) -> None:
    if value == 0 and name in MAY_BE_ZERO:
        assert getattr(Limits(**{name: value}), name) == 0
        return
    with pytest.raises(ValidationError, match=name):
        Limits(**{name: value})


def test_limits_do_not_change_and_have_no_others() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Limits().fuel = 1
    with pytest.raises(ValidationError, match="extra"):
        Limits(fule=1)  # type: ignore[call-arg]


def test_without_wishes_the_operators_hold() -> None:
    limits = Limits(fuel=123)
    assert effective_limits(limits, manifest_of()) == limits


LOWERABLE = [field.name for field in fields(ManifestLimits)]


@pytest.mark.parametrize("name", LOWERABLE)
def test_a_manifest_lowers_one_limit_and_no_other(name: str) -> None:
    limits = effective_limits(Limits(), manifest_of(limits={name: 7}))
    assert limits == Limits(**{name: 7})


@pytest.mark.parametrize("name", LOWERABLE)
def test_a_manifest_may_ask_for_all_of_it_but_no_more(name: str) -> None:
    operator = Limits(**{name: 1000})
    assert effective_limits(operator, manifest_of(limits={name: 1000})) == operator
    with pytest.raises(PluginRefusedError) as caught:
        effective_limits(operator, manifest_of(limits={name: 1001}))
    message = str(caught.value)
    assert f"asks for limits.{name} = 1,001 {UNITS[name]} in its manifest" in message
    assert f"the operator gives 1,000: grant it with Limits({name}=1001)" in message
    assert f"or lower limits.{name} in the manifest" in message
