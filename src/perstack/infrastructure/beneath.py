"""Opens paths beneath a directory so that no link and no race leads out. Knows nothing of workspaces or policy.

Uses the kernel's own `openat2` where it exists; else walks component by component, holding each directory open, so a
directory that is swapped for a link under our feet changes nothing.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
from functools import cache

_OPENAT2 = 437  # the same number on every architecture
_RESOLVE_NO_MAGICLINKS = 0x02
_RESOLVE_NO_SYMLINKS = 0x04
_RESOLVE_BENEATH = 0x08
_MAX_LINKS = 40
_MAX_RETRIES = 100
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def open_beneath(root: int, path: str, flags: int, mode: int = 0o644, *, follow: bool = False) -> int:
    """Open `path`, relative to the directory descriptor `root`; the new descriptor.

    With `follow`, links are followed while they stay beneath the root; otherwise any link is an error.
    Raises: OSError: EXDEV or EPERM for a way out, ELOOP for a link that may not be followed, and the usual ones.
    """
    if _has_openat2():
        return _openat2(root, path, flags, mode, follow=follow)
    return _walk(root, path, flags, mode, follow=follow)


def _openat2(root: int, path: str, flags: int, mode: int, *, follow: bool) -> int:
    resolve = _RESOLVE_BENEATH | _RESOLVE_NO_MAGICLINKS | (0 if follow else _RESOLVE_NO_SYMLINKS)
    how = _OpenHow(flags | os.O_CLOEXEC, mode if flags & os.O_CREAT else 0, resolve)
    name = os.fsencode(path)
    if b"\0" in name:
        raise OSError(errno.EINVAL, "path with a null byte")
    for _ in range(_MAX_RETRIES):
        fd = _libc().syscall(_OPENAT2, root, name, ctypes.byref(how), ctypes.sizeof(how))
        if fd >= 0:
            return int(fd)
        code = ctypes.get_errno()
        # EAGAIN: something was renamed while a ".." was resolved, so the kernel could not be sure.
        if code not in {errno.EAGAIN, errno.EINTR}:
            raise OSError(code, os.strerror(code), path)
    raise OSError(errno.EAGAIN, "the directory keeps changing", path)


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


@cache
def _has_openat2() -> bool:
    how = _OpenHow(os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, 0, _RESOLVE_BENEATH)
    root = os.open("/", _DIRECTORY)
    try:
        fd = _libc().syscall(_OPENAT2, root, b".", ctypes.byref(how), ctypes.sizeof(how))
    finally:
        os.close(root)
    if fd < 0:  # an old kernel (ENOSYS) or a seccomp filter (EPERM)
        return False
    os.close(fd)
    return True


def _walk(root: int, path: str, flags: int, mode: int, *, follow: bool) -> int:
    """The same without `openat2`: `..` goes back along directories we hold, links are spliced into the rest."""
    rest = _parts(path)
    held = [os.dup(root)]
    links = 0
    try:
        while rest:
            name = rest.pop(0)
            if name == "..":
                if len(held) == 1:
                    raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), path)
                os.close(held.pop())
                continue
            target = _link_target(held[-1], name)
            if target is not None:
                links += 1
                if not follow or links > _MAX_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
                rest = _parts(target) + rest
            elif rest:
                held.append(os.open(name, _DIRECTORY, dir_fd=held[-1]))
            else:
                return os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=held[-1])
        return os.open(".", flags | os.O_CLOEXEC, mode, dir_fd=held[-1])
    finally:
        for fd in held:
            os.close(fd)


def _parts(path: str) -> list[str]:
    if path.startswith("/"):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), path)
    return [part for part in path.split("/") if part not in {"", "."}]


def _link_target(directory: int, name: str) -> str | None:
    try:
        if stat.S_ISLNK(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
            return os.readlink(name, dir_fd=directory)
    except FileNotFoundError:
        pass
    return None
