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

_Built = TypeVar("_Built")
_CHUNK = 1 << 20


class Builds(Generic[_Built]):
    """Finished builds of one plan by what they were made from. Two runs of one tree never build side by side."""

    def __init__(self) -> None:
        self._done: dict[str, _Built] = {}
        self._locks: dict[str, anyio.Lock] = {}

    async def get(self, key: str, build: Callable[[], Awaitable[_Built]]) -> _Built:
        """The build for a key, made now if it is not there."""
        async with self._locks.setdefault(key, anyio.Lock()):
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
        for name in sorted([*names, *(f for f in folders if os.path.islink(os.path.join(folder, f)))]):
            path = os.path.join(folder, name)
            mode = os.lstat(path).st_mode
            digest.update(f"\0{os.path.relpath(path, root)}\0{mode}\0".encode("utf-8", "surrogateescape"))
            if stat.S_ISLNK(mode):
                digest.update(os.fsencode(os.readlink(path)))
            elif stat.S_ISREG(mode):
                with open(path, "rb") as file:
                    while chunk := file.read(_CHUNK):
                        digest.update(chunk)
    return digest.hexdigest()
