"""Tracebacks without values: what reports errors may show the local variables of their frames."""

from __future__ import annotations

import traceback

from orchestrator_plugin_sdk.errors import PluginError


def forget_frames(error: BaseException) -> None:
    """Takes the frames from an error, and from all that are its causes and contexts. Where they
    were is told by notes, of errors that nobody expects, without what was in them."""
    waiting, seen = [error], {id(error)}
    while waiting:
        one = waiting.pop()
        if one.__traceback__ is not None:
            if isinstance(one, Exception) and not isinstance(one, PluginError):
                one.add_note("".join(traceback.format_tb(one.__traceback__)).rstrip())
            one.__traceback__ = None
        inner = one.exceptions if isinstance(one, BaseExceptionGroup) else ()
        for other in (one.__cause__, one.__context__, *inner):
            if other is not None and id(other) not in seen:
                seen.add(id(other))
                waiting.append(other)
