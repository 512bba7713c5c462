"""What stands between a guest and the host inside the compiled component: two small adapters.

Before a component is compiled it is put into an outer one (`outer`), in which the guest's imports
and exports go through adapters of the host's own (`component`, `core`). They see to it that

- no list of bytes crosses to the host, where each byte would become a value of 32: `bytes` become
  `base64` on their way out, and `base64` that begins with a `=` becomes `bytes` on its way in;
- nothing comes out that is larger than the host has room for: it is refused before it is copied;
- what is large crosses in a slice of fuel of its own, which never begins on the event loop.

The outer component has the imports and the exports that the guest's has, of the same types.
"""

from typing import Final

ROOM_INTERFACE: Final = "orchestrator:host/room@1.0.0"
"""The interface that the adapters import of the host. No plugin may."""
ROOM_FUNCTION: Final = "bytes"
"""Its function: how many bytes may come out of the guest in one call."""

TOO_LARGE: Final = "too-large-for-the-host"
NO_MEMORY: Final = "no-memory-for-what-is-moved"
"""The functions of an adapter that trap: if more comes out of the guest than there is room for, or
the adapter's memory can't grow. A guest's functions have no names when they run."""

MEMORIES: Final = 2
"""Linear memories that adapters add to a component."""
CORE_INSTANCES: Final = 6
"""Core instances that they add: two each, and one of wasmtime's on either side of the guest."""


def guest_export(interface: str) -> str:
    """The name of the export that is the guest's own instance of an interface: nothing uses it, but
    its types are compared with the contract's, too."""
    return "guest-" + interface.partition("/")[2].partition("@")[0]


def drop_export(resource: str) -> str:
    """The name of the export that drops a resource, such as `drop-event-stream`."""
    return f"drop-{resource}"
