"""A commit read from a repository the harness owns: message, parents, changed files and bytes. Writes nothing."""

from __future__ import annotations

import os

from perstack.core.commits import MODULE, ChangedFile, CommitContents
from perstack.core.errors import InfrastructureError
from perstack.infrastructure.git_command import Git

_NOTHING = "0" * 6


async def read(git: Git, commit: str, most_bytes: int) -> CommitContents:
    """A commit against its first parent. Contents are read only where all of them together fit.

    Raises: InfrastructureError where there is no such commit.
    """
    head, _, message = (await git.check("cat-file", "commit", commit)).partition(b"\n\n")
    lines = [line.decode("utf-8", "replace") for line in head.split(b"\n")]
    tree = next(line.removeprefix("tree ") for line in lines if line.startswith("tree "))
    parents = tuple(line.removeprefix("parent ") for line in lines if line.startswith("parent "))
    if not parents:
        return CommitContents(tree, (), "", message.decode("utf-8", "replace"), 0, ())
    parent_tree = (await git.check("rev-parse", f"{parents[0]}^{{tree}}")).decode().strip()
    raw = await git.check("diff-tree", "-r", "-z", "--raw", "--no-abbrev", "--no-renames", parent_tree, tree)
    files, size = await _with_contents(git, _parse(raw), most_bytes)
    return CommitContents(tree, parents, parent_tree, message.decode("utf-8", "replace"), size, files)


def _parse(raw: bytes) -> tuple[ChangedFile, ...]:
    fields = raw.split(b"\0")
    changes = []
    for about, path in zip(fields[0::2], fields[1::2], strict=False):
        before, after, sha_before, sha, _ = about.decode().removeprefix(":").split(" ")
        changes.append(
            ChangedFile(
                path=os.fsdecode(path),
                mode_before="" if before == _NOTHING else before,
                mode="" if after == _NOTHING else after,
                sha_before="" if before == _NOTHING else sha_before,
                sha="" if after == _NOTHING else sha,
            )
        )
    return tuple(changes)


async def _with_contents(
    git: Git, files: tuple[ChangedFile, ...], most_bytes: int
) -> tuple[tuple[ChangedFile, ...], int]:
    wanted = [file.sha for file in files if file.mode not in {"", MODULE} and file.sha != file.sha_before]
    names = "".join(f"{sha}\n" for sha in wanted).encode()
    if not names:
        return files, 0
    told = (await git.check("cat-file", "--batch-check=%(objectsize)", stdin=names)).decode().split()
    size = sum(int(number) for number in told)
    if size > most_bytes:
        return files, size
    found = _parse_batch(await git.check("cat-file", "--batch", stdin=names))
    filled = (
        ChangedFile(f.path, f.mode_before, f.mode, f.sha_before, f.sha, found.get(f.sha, b"") if f.mode else b"")
        for f in files
    )
    return tuple(filled), size


def _parse_batch(data: bytes) -> dict[str, bytes]:
    """Blobs by SHA from `git cat-file --batch`."""
    found: dict[str, bytes] = {}
    at = 0
    while at < len(data):
        end = data.index(b"\n", at)
        sha, kind, size = data[at:end].decode().split(" ")
        if kind != "blob":
            raise InfrastructureError(f"git: {sha} is not a file's content")
        found[sha] = data[end + 1 : end + 1 + int(size)]
        at = end + 2 + int(size)
    return found
