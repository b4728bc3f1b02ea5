"""What is built once for a tree and used by all its runs. Knows neither compilers nor tests.

A tree is known by its contents, so that a build can never be taken for that of another tree.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Generic, TypeVar

import anyio
import anyio.to_thread

from perstack.core.sandbox import Snapshot
from perstack.infrastructure import foreign

_Built = TypeVar("_Built")


class Builds(Generic[_Built]):
    """Finished builds of one plan by what they were made from. Made one after the other: they share compiled libraries
    and need every processor."""

    def __init__(self) -> None:
        self._done: dict[str, _Built] = {}
        self._asked: set[str] = set()
        self._lock = anyio.Lock()

    def has(self, key: str) -> bool:
        """Whether there is a build for a key, or one is being made."""
        return key in self._asked

    async def get(self, key: str, build: Callable[[], Awaitable[_Built]]) -> _Built:
        """The build for a key, made now if it is not there."""
        self._asked.add(key)
        async with self._lock:
            if key not in self._done:
                self._done[key] = await build()
            return self._done[key]


async def build_key(workspace: Path, snapshot: Snapshot, *more: str) -> str:
    """A key for the contents of a tree, its sandbox and whatever else a build depends on."""
    return await anyio.to_thread.run_sync(_digest, workspace, (snapshot.digest, *more))


def _digest(root: Path, more: tuple[str, ...]) -> str:
    digest = hashlib.sha256("\0".join(more).encode())
    for folder, folders, names in os.walk(root):
        folders.sort()
        for path in sorted(Path(folder, name) for name in (*names, *folders)):
            mode = path.lstat().st_mode
            digest.update(b"\0" + os.fsencode(path.relative_to(root)) + b"\0%d\0" % mode)
            if stat.S_ISLNK(mode):
                digest.update(os.fsencode(path.readlink()))
            elif stat.S_ISREG(mode):
                digest.update(foreign.digest(path).encode())
    return digest.hexdigest()
