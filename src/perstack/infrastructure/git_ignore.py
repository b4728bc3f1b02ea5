"""What `.gitignore` and `.gitattributes` say of files: the rules of a commit, or those of a user's checkout.

Threat: rules that hide what a candidate brings. So a workspace is judged by its base's rules alone, written out anew.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import AsyncIterator, Collection, Sequence
from pathlib import Path

from perstack.core.errors import InfrastructureError
from perstack.infrastructure import git_tree
from perstack.infrastructure.git_command import Git, last_line
from perstack.infrastructure.git_tree import TreeEntry

_HIDING = {("linguist-generated", "set"): "linguist-generated", ("linguist-generated", "true"): "linguist-generated",
           ("diff", "unset"): "-diff"}  # fmt: skip


async def ignored_by(git: Git, rules: Sequence[TreeEntry], paths: Sequence[str]) -> set[str]:
    """Which paths the given `.gitignore` files exclude; nothing else is consulted."""
    async with _written_out(git, rules if paths else ()) as folder:
        return await check_ignore(git, folder, Path("/dev/null"), paths) if folder else set()


async def folded_away(git: Git, rules: Sequence[TreeEntry], paths: Sequence[str]) -> dict[str, str]:
    """Paths whose changes forges hide from readers, by the given `.gitattributes` files, and the words there."""
    async with _written_out(git, rules if paths else ()) as folder:
        told = await attributes(git, folder, "/dev/null", ("diff", "linguist-generated"), paths) if folder else {}
    return {path: _HIDING[word] for path, words in told.items() for word in words.items() if word in _HIDING}


async def attributes(
    git: Git, worktree: Path, beside: str, names: Sequence[str], paths: Collection[str]
) -> dict[str, dict[str, str]]:
    """What the `.gitattributes` files below `worktree` and the file `beside` say of each path, as far as they do."""
    # attr.tree is set in our configuration, so that no commit's attributes count elsewhere
    options = (
        f"--work-tree={worktree}",
        "-c",
        "core.bare=false",
        "-c",
        f"core.attributesFile={beside}",
        "-c",
        "attr.tree=",
    )
    stdin = b"".join(os.fsencode(path) + b"\0" for path in paths)
    result = await git.run(*options, "check-attr", "-z", "--stdin", *names, stdin=stdin, cwd=worktree)
    if result.exit_code:
        raise InfrastructureError(f"git check-attr failed: {last_line(result.stderr)}")
    told: dict[str, dict[str, str]] = {}
    fields = result.stdout.split(b"\0")
    for path, name, value in zip(fields[0::3], fields[1::3], fields[2::3], strict=False):
        if value != b"unspecified":
            told.setdefault(os.fsdecode(path), {})[name.decode()] = value.decode("utf-8", "replace")
    return told


@contextlib.asynccontextmanager
async def _written_out(git: Git, rules: Sequence[TreeEntry]) -> AsyncIterator[Path | None]:
    """A folder with the plain files among `rules`, and nothing else; None where there are none."""
    regular = [rule for rule in rules if rule.type == "blob" and rule.mode != git_tree.LINK]
    if not regular:
        yield None
        return
    contents = await git_tree.contents_of(git, regular)
    with tempfile.TemporaryDirectory(prefix="rules-", dir=git.directory) as folder:
        for rule, content in zip(regular, contents, strict=True):
            git_tree.refuse_unsafe(rule.path)
            target = Path(folder) / rule.path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        yield Path(folder)


async def check_ignore(git: Git, worktree: Path, excludes: Path, paths: Sequence[str]) -> set[str]:
    """Which paths the `.gitignore` files below `worktree` and the file `excludes` leave out."""
    options = (f"--work-tree={worktree}", "-c", "core.bare=false", "-c", f"core.excludesFile={excludes}")
    # "./" keeps a name that begins with ":" from being read as a pathspec with magic.
    stdin = b"".join(b"./" + os.fsencode(path) + b"\0" for path in paths)
    result = await git.run(*options, "check-ignore", "--no-index", "-z", "--stdin", stdin=stdin, cwd=worktree)
    if result.exit_code > 1:
        raise InfrastructureError(f"git check-ignore failed: {last_line(result.stderr)}")
    return {os.fsdecode(path[2:]) for path in result.stdout.split(b"\0") if path}
