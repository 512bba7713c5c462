"""What confines a worker process, by name, and what a system lacks that does not allow it.

The worker says which of them hold (`confine`); the host says what follows from it (`confinement`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

NO_NETWORK: Final = "no network"
EMPTY_ROOT: Final = "an empty root"
UNPRIVILEGED: Final = "an unprivileged user"
NO_NEW_PRIVILEGES: Final = "no new privileges"
MEMORY: Final = "bounded memory"
NO_FILES: Final = "no files"
CALL_FILTER: Final = "a filter of system calls"

_NAMESPACES: Final = (
    "allow user namespaces (sysctl user.max_user_namespaces and "
    "kernel.apparmor_restrict_unprivileged_userns, the container's seccomp profile), or run the "
    "host as root with"
)

REMEDIES: Final = {
    NO_NETWORK: f"{_NAMESPACES} CAP_SYS_ADMIN",
    EMPTY_ROOT: f"mount /proc, and {_NAMESPACES} CAP_SYS_CHROOT",
    UNPRIVILEGED: "run the host as a user that is not root, or with CAP_SETUID and CAP_SETGID",
    NO_NEW_PRIVILEGES: "run the host on Linux",
    MEMORY: "run the host on Linux, with /proc mounted",
    NO_FILES: "run the host on Linux 5.13 or newer, with landlock among its lsm=",
    CALL_FILTER: "run the host on Linux for x86_64 or aarch64, with CONFIG_SECCOMP_FILTER",
}
"""Each measure that a worker takes where it can, and what mends a system on which it can't."""


def missing(held: Iterable[str]) -> tuple[str, ...]:
    """The measures that are not among those that hold."""
    holding = set(held)
    return tuple(name for name in REMEDIES if name not in holding)
