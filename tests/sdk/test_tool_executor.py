"""Tool policies: which command is allowed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from orchestrator_plugin_sdk import ToolPolicy
from sdk.strategies import values_of


def test_nothing_is_allowed_unless_enabled() -> None:
    assert not ToolPolicy().allows("ls")
    assert ToolPolicy(enabled=True).allows("ls")


@pytest.mark.parametrize(
    ("allowed", "denied", "command", "may_run"),
    [
        (("*",), (), "ls", True),
        (("*",), (), "", True),
        ((), (), "ls", False),
        (("git *",), (), "git log", True),
        (("git *",), (), "git", False),
        (("git",), (), "git log", False),
        (("text.*",), (), "text.upper", True),
        (("text.*",), (), "textXupper", False),
        (("text.*",), (), "Text.upper", False),
        (("l?",), (), "ls", True),
        (("l[!s]",), (), "ls", False),
        (("a", "b"), (), "b", True),
        (("*",), ("rm *",), "rm -rf /", False),
        (("*",), ("rm *",), "rm\n-rf /", True),
        (("*",), ("rm*",), "rm\n-rf /", False),
        (("rm -i x",), ("rm *",), "rm -i x", False),
        (("*",), ("*",), "ls", False),
    ],
)
def test_a_command_under_a_policy(
    allowed: tuple[str, ...], denied: tuple[str, ...], command: str, may_run: bool
) -> None:
    policy = ToolPolicy(enabled=True, allowed_commands=allowed, denied_commands=denied)
    assert policy.allows(command) is may_run


@given(values_of(ToolPolicy), st.text())
def test_any_policy_decides_any_command(policy: ToolPolicy, command: str) -> None:
    allowed = policy.allows(command)
    assert allowed in (True, False)
    assert not (allowed and not policy.enabled)
    assert not (allowed and not policy.allowed_commands)
