"""What a host does on a system that does not let it confine its worker processes completely."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from ..errors import ConfinementError
from ..notices import warn
from .worker.measures import REMEDIES, missing


class Confinement:
    """Warns, once, of what does not hold for the workers of one host, or refuses them.
    Thread-safe."""

    def __init__(self, *, required: bool = False) -> None:
        """With `required`, nothing untrusted enters a worker that is not confined completely."""
        self._required = required
        self._lock = threading.Lock()
        self._warned = False

    def check(self, plugin: str, held: Iterable[str]) -> None:
        """Takes the measures that hold for a worker, before anything of `plugin` is in it.

        Raises `ConfinementError` if not all of them do, and they must.
        """
        lacks = missing(held)
        if not lacks:
            return
        faults = "; ".join(f"{name} (to have it, {REMEDIES[name]})" for name in lacks)
        if self._required:
            raise ConfinementError(
                f"plugin {plugin!r} was not run, since this system does not give its worker "
                f"process: {faults}. HostSettings(require_confinement=False) runs it without",
                lacks,
            )
        with self._lock:
            warned, self._warned = self._warned, True
        if not warned:
            warn(
                "worker processes are not confined completely, since this system does not give "
                f"them: {faults}. HostSettings(require_confinement=True) refuses to run plugins so"
            )
