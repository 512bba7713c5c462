"""From a core module to a component of one of our worlds.

Core modules name what they import and export as the component model says, and as the generators of
every toolchain do: a function `read` of the module `orchestrator:plugin/files@1.0.0`, an export
`orchestrator:plugin/lifecycle@1.0.0#init`. The component is made around the module by the
contract's own types; nothing of the module is changed or run.
"""

from __future__ import annotations

from .wrapper import componentize

__all__ = ["componentize"]
