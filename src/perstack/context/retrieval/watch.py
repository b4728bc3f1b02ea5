"""Which folders changed since the last question, by inotify, so that a question need not look at every file.

It can miss writes through a mapping that outlives its file, and says nothing where the file system does not tell or
the system lets no more folders be watched: whoever uses it looks at everything now and then.
"""

from __future__ import annotations

import ctypes
import os
import struct
from functools import cache

_MODIFY, _ATTRIB, _CLOSE_WRITE = 0x2, 0x4, 0x8
_MOVED_FROM, _MOVED_TO, _CREATE, _DELETE, _DELETE_SELF, _MOVE_SELF = 0x40, 0x80, 0x100, 0x200, 0x400, 0x800
_OVERFLOW, _IGNORED = 0x4000, 0x8000
_MASK = (
    _MODIFY | _ATTRIB | _CLOSE_WRITE | _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE | _DELETE_SELF | _MOVE_SELF
    | 0x01000000  # only folders
)  # fmt: skip
_EVENT = struct.Struct("iIII")
_AT_ONCE = 1 << 16
# ext, xfs, btrfs, tmpfs, overlay, zfs, f2fs: every writer of this machine goes through the watched inode.
_TELLING = frozenset({0xEF53, 0x58465342, 0x9123683E, 0x01021994, 0x794C7630, 0x2FC12FC1, 0xF2F52010})


class FolderWatch:
    """Watches folders, each under a name. `complete` is False once anything cannot be watched: then it is no use."""

    def __init__(self, root: int) -> None:
        """`root` is a descriptor of the top folder; its file system decides whether watching can work."""
        self._fd = _libc().inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC) if _kind(root) in _TELLING else -1
        self._names: dict[int, str] = {}
        self.complete = self._fd >= 0

    def add(self, folder: int, name: str) -> None:
        """Watch an open folder from now on; again under another name where it was moved."""
        if not self.complete:
            return
        # By its descriptor: a path could lead elsewhere by now.
        number = _libc().inotify_add_watch(self._fd, f"/proc/self/fd/{folder}".encode(), _MASK)
        if number < 0:
            self.close()
        else:
            self._names[number] = name

    def changed(self) -> set[str] | None:
        """Names of the folders in which something happened since the last call; None: it is not known."""
        found = set[str]()
        while self.complete:
            try:
                data = os.read(self._fd, _AT_ONCE)
            except BlockingIOError:
                return found
            except OSError:
                self.close()
                return None
            at = 0
            while at < len(data):
                number, mask, _, length = _EVENT.unpack_from(data, at)
                at += _EVENT.size + length
                if mask & _OVERFLOW:
                    self._drain()
                    return None
                name = self._names.pop(number, None) if mask & _IGNORED else self._names.get(number)
                if name is not None:
                    found.add(name)
        return None

    def close(self) -> None:
        """Give the watches back."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self.complete = -1, False
        self._names.clear()

    def _drain(self) -> None:
        """Forget what is queued: the caller looks at everything. What happens meanwhile is told the next time."""
        while True:
            try:
                os.read(self._fd, _AT_ONCE)
            except OSError:
                return


def _kind(fd: int) -> int:
    """The magic number of the file system, 0 where it cannot be asked."""
    buffer = (ctypes.c_long * 64)()
    return int(buffer[0]) & 0xFFFFFFFF if _libc().fstatfs(fd, ctypes.byref(buffer)) == 0 else 0


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
