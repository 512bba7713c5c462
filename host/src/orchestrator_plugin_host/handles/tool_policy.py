"""The tool policy, kept by the host: which commands reach a plugin, and what may come back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from orchestrator_plugin_sdk.errors import ErrorKind, PluginCallError

from ..errors import PluginOutputError
from ..pieces import Pieces, at_once, in_turns

if TYPE_CHECKING:
    from orchestrator_plugin_sdk.tool_executor import ToolPolicy, ToolRunResult

    from ..calls import Call

NO_NETWORK: Final = (
    "allow_network is false in the tool policy of this call: set it to true to let tools make "
    "requests"
)

_SMALL: Final = 4_096
"""Characters of patterns, and of the command for each of them, that are matched at once."""
_SHOWN: Final = 100
_PIECE: Final = 262_144
"""Characters that are measured at once."""
_MAX_UTF8: Final = 4
"""Bytes of a character, at most."""


async def denial(command: str, policy: ToolPolicy, call: Call) -> str | None:
    """Why a command may not run under a policy, or `None` if it may. What takes long leaves turns
    to others, and ends with the call: see `Call.scope`."""
    patterns = (*policy.allowed_commands, *policy.denied_commands)
    work = policy.deciding(command)
    if sum(map(len, patterns)) + len(patterns) * len(command) <= _SMALL:
        return at_once(work)
    with call.scope():
        return await in_turns(work)


async def require_allowed(command: str, policy: ToolPolicy, call: Call) -> None:
    """Raises `PluginCallError` (`permission-denied`) for a command that may not run."""
    why = await denial(command, policy, call)
    if why is not None:
        shown = repr(command if len(command) <= _SHOWN else f"{command[:_SHOWN]}…")
        raise PluginCallError(
            ErrorKind.PERMISSION_DENIED, f"the policy does not allow {shown}: {why}"
        )


async def check_output(result: ToolRunResult, policy: ToolPolicy, call: Call) -> None:
    """Raises `PluginOutputError` for a result with more output than the policy allows."""
    for name, text in (("stdout", result.stdout), ("stderr", result.stderr)):
        if len(text) * _MAX_UTF8 <= policy.max_output_bytes:
            continue
        if len(text) <= _PIECE:
            size = at_once(_utf8_bytes(text))
        else:
            with call.scope():
                size = await in_turns(_utf8_bytes(text))
        check_size(name, size, policy, call)


def check_size(name: str, size: int, policy: ToolPolicy, call: Call) -> None:
    """Raises `PluginOutputError` if a field of a result stands for more bytes than the policy
    allows."""
    if size > policy.max_output_bytes:
        raise PluginOutputError(
            f"plugin {call.plugin!r} returned {size:,} bytes of {name} from execute, and "
            f"max_output_bytes of the tool policy is {policy.max_output_bytes:,}: the plugin must "
            "cut its output and set truncated, or the policy must allow more"
        )


def _utf8_bytes(text: str) -> Pieces[int]:
    size = 0
    for begin in range(0, len(text), _PIECE):
        size += len(text[begin : begin + _PIECE].encode("utf-8", "surrogatepass"))
        yield
    return size
