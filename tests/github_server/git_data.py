"""Git commands for building and reading small bare repositories, with nobody's configuration."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from pathlib import Path

ENVIRONMENT = {
    "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null", "GIT_TERMINAL_PROMPT": "0",
    "GIT_AUTHOR_NAME": "Test", "GIT_AUTHOR_EMAIL": "test@example.org", "GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z",
    "GIT_COMMITTER_NAME": "Test", "GIT_COMMITTER_EMAIL": "test@example.org",
    "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z", "PATH": os.environ["PATH"], "HOME": "/nonexistent",
}  # fmt: skip


def git(*arguments: str, cwd: Path, stdin: bytes | None = None, check: bool = True) -> str:
    """Run git; the output without its last line break."""
    return run_git(*arguments, cwd=cwd, stdin=stdin, check=check).stdout.decode().removesuffix("\n")


def run_git(
    *arguments: str, cwd: Path, stdin: bytes | None = None, check: bool = True, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run git with nobody's configuration."""
    result = subprocess.run(
        ["git", *arguments],
        cwd=cwd,
        env=ENVIRONMENT | (env or {}),
        input=stdin,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0 or not check, result.stderr.decode()
    return result


def bare_repository(path: Path) -> Path:
    """An empty bare repository whose default branch is `main`."""
    git("init", "-q", "--bare", "--template=", "-b", "main", str(path), cwd=path.parent)
    return path


def commit_files(bare: Path, files: dict[str, str], parent: str = "", message: str = "change") -> str:
    """A commit in a bare repository with `files` over the parent's; nothing points to it."""
    who = b"Test <test@example.org> 1767225600 +0000"
    lines = [b"commit refs/building", b"mark :1", b"committer " + who, _data(message)]
    lines += [b"from " + parent.encode()] if parent else []
    for name, text in files.items():
        assert not set(name) & set('"\\\n')
        lines += [b"M 100644 inline " + name.encode(), _data(text)]
    lines += [b"get-mark :1", b"reset refs/building", b"from " + b"0" * 40, b""]
    return git("fast-import", "--quiet", "--force", cwd=bare, stdin=b"\n".join(lines))


def _data(text: str) -> bytes:
    data = text.encode()
    return b"data %d\n%s" % (len(data), data)


def change_tree(bare: Path, tree: str, entries: list[tuple[str, str, str]]) -> str:
    """A tree with entries (mode, sha, path) put over another; the mode `0` takes a path away."""
    with tempfile.TemporaryDirectory(dir=bare) as folder:
        environment = {"GIT_INDEX_FILE": f"{folder}/index"}
        if tree:
            run_git("read-tree", tree, cwd=bare, env=environment)
        lines = b"".join(f"{mode} {sha or '0' * 40}\t{path}".encode() + b"\0" for mode, sha, path in entries)
        run_git("update-index", "-z", "--index-info", cwd=bare, stdin=lines, env=environment)
        return run_git("write-tree", cwd=bare, env=environment).stdout.decode().strip()


def write_blobs(bare: Path, many: list[bytes]) -> list[str]:
    """Blobs; their SHAs. One process for all."""
    stream = b"".join(b"blob\ndata %d\n%s\n" % (len(data), data) for data in many)
    run_git("fast-import", "--quiet", "--done", cwd=bare, stdin=stream + b"done\n")
    return [hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest() for data in many]


def write_blob(bare: Path, data: bytes) -> str:
    """A blob; its SHA."""
    return write_blobs(bare, [data])[0]


def write_commit(bare: Path, tree: str, parents: list[str], message: str, *, author: str = "Test") -> str:
    """A commit object; nothing points to it."""
    who = {"GIT_AUTHOR_NAME": author, "GIT_AUTHOR_EMAIL": "api@example.org"}
    options = [option for parent in parents for option in ("-p", parent)]
    result = run_git("commit-tree", tree, *options, "-F", "-", cwd=bare, stdin=message.encode(), env=who)
    return result.stdout.decode().strip()


def commit_entries(bare: Path, parent: str, entries: list[tuple[str, bytes, str]], message: str = "change") -> str:
    """A commit with files of any mode (mode, content, path) over its parent's; `0` deletes."""
    lines = [(mode, write_blob(bare, data) if mode != "0" else "", path) for mode, data, path in entries]
    return write_commit(bare, change_tree(bare, tree_of(bare, parent), lines), [parent], message)


def tree_of(bare: Path, commit: str) -> str:
    """The tree of a commit."""
    return git("rev-parse", f"{commit}^{{tree}}", cwd=bare)


def set_branch(bare: Path, branch: str, sha: str) -> None:
    """Point a branch at a commit."""
    git("update-ref", f"refs/heads/{branch}", sha, cwd=bare)


def branch_sha(bare: Path, branch: str) -> str:
    """Where a branch points, empty where there is none."""
    return git("rev-parse", "-q", "--verify", f"refs/heads/{branch}", cwd=bare, check=False)


def has_commit(bare: Path, sha: str) -> bool:
    """Whether a commit is in the repository."""
    return run_git("cat-file", "-e", f"{sha}^{{commit}}", cwd=bare, check=False).returncode == 0


def branches(bare: Path) -> dict[str, str]:
    """All branches and where they point."""
    lines = git("for-each-ref", "--format=%(refname:lstrip=2) %(objectname)", "refs/heads", cwd=bare).splitlines()
    return dict(line.rsplit(" ", 1) for line in lines)
