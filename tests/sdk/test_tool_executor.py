"""Tool policies: which command is allowed, and why another is not."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st
from orchestrator_plugin_sdk import ToolPolicy
from sdk.strategies import values_of
from support.tool_policies import cases

CASES = cases()
PIECE = 4096
"""The most characters of a command that are looked at between two turns of others."""

# What patterns are made of, and little else: most of what is drawn nearly matches.
PATTERNS = st.text("aab-b*?[]!^\\\n/&é🦊", max_size=12)
COMMANDS = st.text("aab-b[]!^\\\n/&é🦊", max_size=12)


def policy(*allowed: str, denied: tuple[str, ...] = ()) -> ToolPolicy:
    return ToolPolicy(True, allowed, denied)


@pytest.mark.parametrize("name", CASES)
def test_a_command_under_a_policy(name: str) -> None:
    one, command, allowed = CASES[name]
    assert one.allows(command) is allowed
    assert (one.denial(command) is None) is allowed


def test_there_are_cases_of_each_outcome() -> None:
    assert {allowed for _, _, allowed in CASES.values()} == {True, False}
    assert len(CASES) >= 100


@given(values_of(ToolPolicy), st.text())
def test_any_policy_decides_any_command(one: ToolPolicy, command: str) -> None:
    allowed = one.allows(command)
    assert allowed in (True, False)
    assert not (allowed and not one.enabled)
    assert not (allowed and not one.allowed_commands)


@given(PATTERNS, COMMANDS)
def test_patterns_are_those_of_fnmatch(pattern: str, command: str) -> None:
    # Which takes quadratic time for some; there is another way to the same answers here.
    assert policy(pattern).allows(command) is fnmatchcase(command, pattern)


@given(st.lists(PATTERNS, max_size=4), st.lists(PATTERNS, max_size=3), COMMANDS)
def test_denied_commands_win(allowed: list[str], denied: list[str], command: str) -> None:
    expected = any(fnmatchcase(command, one) for one in allowed) and not any(
        fnmatchcase(command, one) for one in denied
    )
    assert policy(*allowed, denied=tuple(denied)).allows(command) is expected


@given(values_of(ToolPolicy), COMMANDS, st.text())
def test_a_further_denied_pattern_allows_nothing_more(
    one: ToolPolicy, command: str, further: str
) -> None:
    stricter = ToolPolicy(
        one.enabled, one.allowed_commands, (*one.denied_commands, further), one.allow_network
    )
    assert one.allows(command) or not stricter.allows(command)


@given(
    st.lists(st.sampled_from(["a", "*", "?", "[ab]", "[!b]"]), max_size=200).map("".join),
    st.integers(0, 3 * PIECE),
)
def test_work_comes_in_pieces_in_proportion_to_the_command(pattern: str, length: int) -> None:
    turns = sum(1 for _ in policy(pattern).deciding("a" * length))
    assert turns <= 2 + length / PIECE


def test_too_many_patterns() -> None:
    for enough in (policy(*["no"] * 999, "ls"), policy("*", denied=("no",) * 1000)):
        assert enough.allows("ls")
    for name, more in (
        ("allowed_commands", policy(*["ls"] * 1001)),
        ("denied_commands", policy("*", denied=("no",) * 1001)),
    ):
        assert more.denial("ls") == (
            f"{name} of the tool policy must have at most 1,000 patterns, and it has 1,001: "
            "remove some"
        )


@pytest.mark.parametrize(
    ("one", "command", "why"),
    [
        (ToolPolicy(), "ls", "enabled is false in the tool policy: set it to true"),
        (policy("a", "b*"), "ls", "no pattern in allowed_commands of the tool policy matches it"),
        (policy("*", denied=("a", "l?")), "ls", "denied_commands[1] of the tool policy matches it"),
        (policy("*"), "a" * 65_537, "at most 65,536 characters, and it has 65,537: pass the rest"),
        (
            policy("a", "b" * 1025),
            "a",
            "allowed_commands[1] of the tool policy must have at most 1,024 characters",
        ),
        (
            policy("*", denied=("b" * 1025,)),
            "a",
            "must have at most 1,024 characters, and it has 1,025: shorten it",
        ),
    ],
)
def test_why_a_command_is_denied(one: ToolPolicy, command: str, why: str) -> None:
    denial = one.denial(command)
    assert denial is not None
    assert why in denial
