"""What the host tells the operator, by Python's `logging`."""

from __future__ import annotations

import logging
from typing import Final

LOGGER_NAME: Final = "orchestrator_plugins"
"""The logger of everything that the host tells."""


def warn(text: str) -> None:
    """Tells of something that the operator should look at, at the level `WARNING`."""
    logging.getLogger(LOGGER_NAME).warning("%s", text)
