"""Git commands for building and reading small bare repositories, with nobody's configuration."""

from __future__ import annotations

import os
import subprocess
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
    *arguments: str, cwd: Path, stdin: bytes | None = None, check: bool = True
) -> subprocess.CompletedProcess[bytes]:
    """Run git with nobody's configuration."""
    result = subprocess.run(
        ["git", *arguments], cwd=cwd, env=ENVIRONMENT, input=stdin, capture_output=True, timeout=60, check=False
    )
    assert result.returncode == 0 or not check, result.stderr.decode()
    return result


def bare_repository(path: Path) -> Path:
    """An empty bare repository whose default branch is `main`."""
    git("init", "-q", "--bare", "-b", "main", str(path), cwd=path.parent)
    return path


def commit_files(bare: Path, files: dict[str, str], parent: str = "", message: str = "change") -> str:
    """A commit in a bare repository with `files` over the parent's; nothing points to it."""
    environment = {"GIT_INDEX_FILE": str(bare / "test-index")}
    try:
        if parent:
            _indexed(bare, environment, "read-tree", parent)
        for name, text in files.items():
            blob = git("hash-object", "-w", "--stdin", cwd=bare, stdin=text.encode())
            _indexed(bare, environment, "update-index", "--add", "--cacheinfo", f"100644,{blob},{name}")
        tree = _indexed(bare, environment, "write-tree")
    finally:
        (bare / "test-index").unlink(missing_ok=True)
    return git("commit-tree", tree, *(["-p", parent] if parent else []), "-m", message, cwd=bare)


def _indexed(bare: Path, environment: dict[str, str], *arguments: str) -> str:
    result = subprocess.run(
        ["git", *arguments], cwd=bare, env={**ENVIRONMENT, **environment}, capture_output=True, timeout=60, check=True
    )
    return result.stdout.decode().strip()


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
