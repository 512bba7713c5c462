"""The fixtures of the suites, and what they load: see `support.loading`."""

from support.loading import EXAMPLES, PROBES, Plugins, anyio_backend, host, methods, plugins, where

__all__ = [
    "EXAMPLES",
    "PROBES",
    "Plugins",
    "anyio_backend",
    "host",
    "methods",
    "plugins",
    "where",
]
