"""The system calls that a bubblewrap sandbox has no business making, as a seccomp program. Docker brings its own.

A list of what is refused, not of what is allowed: bubblewrap already takes capabilities, namespaces and devices away;
this closes what the kernel offers to anybody (keyrings, BPF, io_uring, user namespaces, handles to files). Debuggers
and sanitizers trace their own processes, which the PID namespace keeps to the sandbox: `ptrace` stays.
"""

from __future__ import annotations

import contextlib
import os
import platform
import struct
from collections.abc import Iterator

_ALLOW, _KILL, _FAIL = 0x7FFF0000, 0x80000000, 0x00050000
_EPERM, _ENOSYS = 1, 38
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST, _SECOND = 0, 4, 16, 24  # offsets in struct seccomp_data, low halves of arguments
_NAMESPACES = 0x7E020000  # CLONE_NEW* of clone()
_TERMINAL_INPUT = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX: typing into the terminal of whoever started us
_X32 = 0x40000000
_CLONE3 = 435
# New in every architecture alike: io_uring, the new mount calls, quotas by descriptor.
_EVERYWHERE = (425, 426, 427, 428, 429, 430, 431, 432, 433, 442, 443)

# Per machine: its name in seccomp, clone, ioctl, and the refused ones in the order of the kernel's table: logs, roots,
# mounts, swap, reboot, names, ports, modules, quotas, clocks, kexec, keys, unshare, perf, fanotify, handles, setns,
# kcmp, bpf, userfaultfd.
_MACHINES = {
    "x86_64": (
        0xC000003E, 56, 16,
        (103, 155, 156, 161, 163, 164, 165, 166, 167, 168, 169, 170, 171, 172, 173, 174, 175, 176, 177, 178, 179, 180,
         212, 227, 246, 248, 249, 250, 272, 298, 300, 301, 303, 304, 308, 312, 313, 320, 321, 323),
    ),
    "aarch64": (
        0xC00000B7, 220, 29,
        (18, 39, 40, 41, 51, 60, 89, 97, 104, 105, 106, 112, 116, 142, 161, 162, 170, 217, 218, 219, 224, 225, 241, 262,
         263, 264, 265, 268, 272, 273, 280, 282, 294),
    ),
}  # fmt: skip


def program(machine: str = "") -> bytes:
    """The filter for a machine (this one by default), as the kernel takes it; empty where its numbers are not known."""
    known = _MACHINES.get(machine or platform.machine())
    if known is None:
        return b""
    architecture, clone, ioctl, refused = known
    refuse = _step(_RETURN, _FAIL | _EPERM)
    code = [_step(_LOAD, _ARCHITECTURE), _step(_EQUAL, architecture, yes=1), _step(_RETURN, _KILL)]
    code += [_step(_LOAD, _NUMBER), _step(_AT_LEAST, _X32, no=1), _step(_RETURN, _FAIL | _ENOSYS)]
    code += [_step(_EQUAL, _CLONE3, no=1), _step(_RETURN, _FAIL | _ENOSYS)]  # its flags cannot be seen: use clone
    for number in (*refused, *_EVERYWHERE):
        code += [_step(_EQUAL, number, no=1), refuse]
    code += [_step(_EQUAL, clone, no=4), _step(_LOAD, _FIRST), _step(_ANY_BIT, _NAMESPACES, no=1), refuse]
    code += [_step(_RETURN, _ALLOW)]
    code += [_step(_EQUAL, ioctl, no=4), _step(_LOAD, _SECOND)]
    code += [_step(_EQUAL, _TERMINAL_INPUT[0], yes=1), _step(_EQUAL, _TERMINAL_INPUT[1], no=1), refuse]
    return b"".join([*code, _step(_RETURN, _ALLOW)])


@contextlib.contextmanager
def passed_program() -> Iterator[int | None]:
    """A descriptor of the filter for `bwrap --seccomp`; None where there is none for this machine."""
    code = program()
    if not code:
        yield None
        return
    fd = os.memfd_create("seccomp")
    try:
        os.write(fd, code)
        os.lseek(fd, 0, os.SEEK_SET)
        yield fd
    finally:
        os.close(fd)


def _step(code: int, value: int, *, yes: int = 0, no: int = 0) -> bytes:
    """One instruction; `yes` and `no` are how many to leave out."""
    return struct.pack("=HBBI", code, yes, no, value)
