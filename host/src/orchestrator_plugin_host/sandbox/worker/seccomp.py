"""A filter of system calls: what a worker has no use for fails with `EPERM`.

Numbers are those of Linux's `unistd` headers. A list of what is forbidden, rather than of what is
allowed, because a C library may begin to use another call tomorrow; what lets a process reach
other processes, files or the network, or make threads and processes, is on it. Calls that are newer
than the list do not exist for the worker, as on an older system.
"""

from __future__ import annotations

import ctypes
import os
import struct
from typing import Any, Final

_SET_MODE_FILTER: Final = 1
_ALL_THREADS: Final = 1
_ALLOW: Final = 0x7FFF0000
_ERRNO: Final = 0x00050000
_KILL: Final = 0x80000000
_EPERM: Final = 1
_ENOSYS: Final = 38
_LOAD: Final = 0x20
_JUMP_EQUAL: Final = 0x15
_JUMP_GREATER_EQUAL: Final = 0x35
_JUMP_SET: Final = 0x45
_RETURN: Final = 0x06
_OFFSET_NUMBER: Final = 0
_OFFSET_ARCH: Final = 4
_OFFSET_ARGUMENTS: Final = 16
_UNKNOWN: Final = 470
"""The first call that this list was written without, and with it all of x32's."""

MACHINES: Final = ("x86_64", "aarch64")
_ARCH: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_SECCOMP: Final = {"x86_64": 317, "aarch64": 277}
_TGKILL: Final = {"x86_64": 234, "aarch64": 131}
_CLONE3: Final = 435
_MEMFD_CREATE: Final = {"x86_64": 319, "aarch64": 279}

# name: (x86_64, aarch64); -1 where there is none.
_FORBIDDEN: Final = {
    "socket": (41, 198), "connect": (42, 203), "accept": (43, 202), "accept4": (288, 242),
    "bind": (49, 200), "listen": (50, 201), "sendmsg": (46, 211), "sendmmsg": (307, 269),
    "recvmsg": (47, 212), "recvmmsg": (299, 243),
    "socketpair": (53, 199), "pipe": (22, -1), "pipe2": (293, 59), "splice": (275, 76),
    "tee": (276, 77), "vmsplice": (278, 75),
    "clone": (56, 220), "fork": (57, -1), "vfork": (58, -1), "execve": (59, 221),
    "execveat": (322, 281),
    "kill": (62, 129), "tkill": (200, 130), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240), "pidfd_open": (434, 434), "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424), "ptrace": (101, 117), "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271), "process_madvise": (440, 440), "kcmp": (312, 272),
    "open": (2, -1), "openat": (257, 56), "openat2": (437, 437), "creat": (85, -1),
    "open_by_handle_at": (304, 265), "name_to_handle_at": (303, 264),
    "truncate": (76, 45), "rename": (82, -1), "renameat": (264, 38), "renameat2": (316, 276),
    "mkdir": (83, -1), "mkdirat": (258, 34), "rmdir": (84, -1), "link": (86, -1),
    "linkat": (265, 37), "unlink": (87, -1), "unlinkat": (263, 35), "symlink": (88, -1),
    "symlinkat": (266, 36), "mknod": (133, -1), "mknodat": (259, 33), "chmod": (90, -1),
    "fchmod": (91, 52), "fchmodat": (268, 53), "chown": (92, -1), "fchown": (93, 55),
    "lchown": (94, -1), "fchownat": (260, 54), "utimensat": (280, 88), "chdir": (80, 49),
    "fchdir": (81, 50), "chroot": (161, 51), "setxattr": (188, 5), "lsetxattr": (189, 6),
    "fsetxattr": (190, 7), "removexattr": (197, 14),
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "move_mount": (429, 429),
    "open_tree": (428, 428), "fsopen": (430, 430), "fsmount": (432, 432),
    "mount_setattr": (442, 442), "unshare": (272, 97), "setns": (308, 268),
    "setuid": (105, 146), "setgid": (106, 144), "setresuid": (117, 147), "setresgid": (119, 149),
    "setgroups": (116, 159), "capset": (126, 91), "personality": (135, 92),
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218),
    "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "reboot": (169, 142),
    "swapon": (167, 224), "swapoff": (168, 225), "syslog": (103, 116), "acct": (163, 89),
    "quotactl": (179, 60), "settimeofday": (164, 170), "clock_settime": (227, 112),
    "clock_adjtime": (305, 266), "adjtimex": (159, 171), "sethostname": (170, 161),
    "setdomainname": (171, 162), "inotify_init1": (294, 26), "fanotify_init": (300, 262),
    "shmget": (29, 194), "shmat": (30, 196), "msgget": (68, 186), "semget": (64, 190),
    "mq_open": (240, 180), "setpriority": (141, 140), "sched_setaffinity": (203, 122),
    "prlimit64": (302, 261), "setrlimit": (160, 164), "setsid": (112, 157), "setpgid": (109, 154),
    "sched_setscheduler": (144, 119), "sched_setparam": (142, 118), "sched_setattr": (314, 274),
    "ioprio_set": (251, 30), "migrate_pages": (256, 238), "move_pages": (279, 239),
    "process_mrelease": (448, 448), "memfd_secret": (447, 447),
    "semop": (65, 193), "semtimedop": (220, 192), "semctl": (66, 191), "msgsnd": (69, 189),
    "msgrcv": (70, 188), "msgctl": (71, 187), "shmctl": (31, 195), "mq_unlink": (241, 181),
    "inotify_init": (253, -1), "utime": (132, -1), "utimes": (235, -1), "futimesat": (261, -1),
    "fchmodat2": (452, 452), "setxattrat": (463, 463), "removexattrat": (466, 466),
    "lremovexattr": (198, 15), "fremovexattr": (199, 16), "file_setattr": (469, 469),
    "fspick": (433, 433), "fsconfig": (431, 431), "open_tree_attr": (467, 467),
    "quotactl_fd": (443, 443), "setreuid": (113, 145), "setregid": (114, 143),
    "setfsuid": (122, 151), "setfsgid": (123, 152),
    "stat": (4, -1), "lstat": (6, -1), "newfstatat": (262, 79), "statx": (332, 291),
    "access": (21, -1), "faccessat": (269, 48), "faccessat2": (439, 439), "readlink": (89, -1),
    "readlinkat": (267, 78), "statfs": (137, 43), "getcwd": (79, 17), "getxattr": (191, 8),
    "lgetxattr": (192, 9), "listxattr": (194, 11), "llistxattr": (195, 12),
    "getxattrat": (464, 464), "listxattrat": (465, 465), "file_getattr": (468, 468),
    "statmount": (457, 457), "listmount": (458, 458), "inotify_add_watch": (254, 27),
    "uselib": (134, -1), "sysfs": (139, -1), "sync": (162, 81), "syncfs": (306, 267),
    "timer_create": (222, 107), "modify_ldt": (154, -1), "io_setup": (206, 0),
    "map_shadow_stack": (453, 453),
}  # fmt: skip

_FCNTL: Final = {"x86_64": 72, "aarch64": 25}
_OWNERS: Final = (8, 10, 15)
"""F_SETOWN, F_SETSIG, F_SETOWN_EX: whom the kernel signals when a descriptor is ready, and by which
signal: any process of this user's, and any signal."""
_IOCTL: Final = {"x86_64": 16, "aarch64": 29}
_OF_DESCRIPTORS: Final = (0x5421, 0x5451)
"""FIONBIO and FIOCLEX, which Python's and Rust's libraries use. All others are of devices, or say
whom the kernel signals."""
_MMAP: Final = {"x86_64": 9, "aarch64": 222}
_NO_DATA: Final = 0x101
"""MAP_SHARED and MAP_GROWSDOWN: memory that `RLIMIT_DATA` does not count."""


def _argument(place: int) -> tuple[int, int, int, int]:
    """Loads the lower half of an argument: all that the kernel looks at in those asked for."""
    return (_LOAD, 0, 0, _OFFSET_ARGUMENTS + 8 * place)


def program(machine: str, process: int) -> bytes:
    """The filter for a machine, and for the process of this number, as instructions of the
    kernel's packet filter."""
    arch = {"x86_64": 0, "aarch64": 1}[machine]
    forbidden = sorted(numbers[arch] for numbers in _FORBIDDEN.values() if numbers[arch] >= 0)
    made: list[tuple[int, int, int, int]] = [
        (_LOAD, 0, 0, _OFFSET_ARCH),
        (_JUMP_EQUAL, 1, 0, _ARCH[machine]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _OFFSET_NUMBER),
        (_JUMP_GREATER_EQUAL, 0, 1, _UNKNOWN),
        (_RETURN, 0, 0, _ERRNO | _ENOSYS),
        # The C library then uses `clone`, which is forbidden.
        (_JUMP_EQUAL, 0, 1, _CLONE3),
        (_RETURN, 0, 0, _ERRNO | _ENOSYS),
        # Memory that `RLIMIT_DATA` does not count. wasmtime can do without, on systems without it.
        (_JUMP_EQUAL, 0, 1, _MEMFD_CREATE[machine]),
        (_RETURN, 0, 0, _ERRNO | _ENOSYS),
    ]
    for number in forbidden:
        made += [(_JUMP_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ERRNO | _EPERM)]
    made += [
        # A process may end itself by a signal, no other.
        (_JUMP_EQUAL, 0, 4, _TGKILL[machine]),
        _argument(0),
        (_JUMP_EQUAL, 1, 0, process),
        (_RETURN, 0, 0, _ERRNO | _EPERM),
        (_RETURN, 0, 0, _ALLOW),
        (_JUMP_EQUAL, 0, 4, _MMAP[machine]),
        _argument(3),
        (_JUMP_SET, 0, 1, _NO_DATA),
        (_RETURN, 0, 0, _ERRNO | _EPERM),
        (_RETURN, 0, 0, _ALLOW),
    ]
    made += _by_command(_FCNTL[machine], _OWNERS, _ERRNO | _EPERM, _ALLOW)
    made += _by_command(_IOCTL[machine], _OF_DESCRIPTORS, _ALLOW, _ERRNO | _EPERM)
    made.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("<HBBI", *one) for one in made)


def _by_command(
    number: int, commands: tuple[int, ...], named: int, others: int
) -> list[tuple[int, int, int, int]]:
    """What becomes of a call by its second argument: of those that are named, and of others."""
    made = [(_JUMP_EQUAL, 0, 2 + 2 * len(commands), number), _argument(1)]
    for command in commands:
        made += [(_JUMP_EQUAL, 0, 1, command), (_RETURN, 0, 0, named)]
    return [*made, (_RETURN, 0, 0, others)]


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def install(libc: Any, machine: str) -> bool:
    """Filters the system calls of this process's threads from now on, all of them at once. Whether
    it could. The process must have given up new privileges."""
    instructions = program(machine, os.getpid())
    held = ctypes.create_string_buffer(instructions)
    given = _Program(len(instructions) // 8, ctypes.addressof(held))
    done = libc.syscall(_SECCOMP[machine], _SET_MODE_FILTER, _ALL_THREADS, ctypes.byref(given))
    return bool(done == 0)
