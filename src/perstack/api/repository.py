"""Git for the interface: repositories the harness owns, commits of ours, the forge's git traffic, detection."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from anyio import from_thread

from perstack.core.commits import CommitContents
from perstack.forge.contract import CommitRequest
from perstack.infrastructure.git import Identity, Repository
from perstack.signals.detect import Detection, detect

AUTHOR = Identity("perstack", "perstack@users.noreply.github.com")


async def open_bare(path: Path) -> Repository:
    """A bare git directory that already holds what was fetched."""
    return await Repository.create(path)


async def commit(repository: Repository, tree: str, parents: Sequence[str], message: str) -> str:
    """A commit object of ours; nothing points to it yet."""
    return await repository.commit(tree, tuple(parents), message, author=AUTHOR, timestamp=int(time.time()))


@dataclass(frozen=True, slots=True)
class GitRemote:
    """The forge's git traffic (`forge.contract.Remote`). Called from worker threads of the event loop."""

    url: str
    header: str = ""

    def fetch(self, sha: str, into: Path, *, history: bool = False) -> None:
        async def work() -> None:
            repository = await Repository.create(into)
            await repository.fetch(self.url, sha, header=self.header, depth=None if history else 1)

        from_thread.run(work)

    def push(self, request: CommitRequest) -> None:
        async def work() -> None:
            repository = await Repository.create(request.repository)
            await repository.push(
                self.url, request.commit, request.branch, expected=request.expected, header=self.header
            )

        from_thread.run(work)

    def contents(self, request: CommitRequest, most_bytes: int) -> CommitContents:
        async def work() -> CommitContents:
            repository = await Repository.create(request.repository)
            return await repository.contents(request.commit, most_bytes)

        return from_thread.run(work)


async def detect_signals(repository: Repository, commit: str) -> Detection:
    """Signals and a sandbox that fit the repository's own files."""
    names = [entry.path for entry in await repository.list_files(commit)]
    known: dict[str, bytes | None] = {}
    while True:
        # Detection is pure and asks for files one by one; what it missed is read and it is asked again.
        missing: dict[str, None] = {}

        def read(path: str, missing: dict[str, None] = missing) -> bytes | None:
            if path not in known:
                missing[path] = None
            return known.get(path)

        found = detect(names, read)
        if not missing:
            return found
        for path in missing:
            known[path] = await repository.read_file(commit, path)
