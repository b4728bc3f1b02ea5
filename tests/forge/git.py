"""Real git for tests of the forge: small repositories, and a `Remote` over plain git commands."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from perstack.core.errors import ForgeError, Superseded
from perstack.forge.contract import CommitRequest

_ENV = {
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
        ["git", *arguments], cwd=cwd, env=_ENV, input=stdin, capture_output=True, timeout=60, check=False
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
        ["git", *arguments], cwd=bare, env={**_ENV, **environment}, capture_output=True, timeout=60, check=True
    )
    return result.stdout.decode().strip()


def set_branch(bare: Path, branch: str, sha: str) -> None:
    """Point a branch at a commit."""
    git("update-ref", f"refs/heads/{branch}", sha, cwd=bare)


@dataclass(frozen=True)
class GitRemote:
    """`perstack.forge.contract.Remote` over git commands."""

    url: str
    header: str = ""

    def fetch(self, sha: str, into: Path, *, history: bool = False) -> None:
        if not into.exists():
            bare_repository(into)
        depth = [] if history else ["--depth=1"]
        result = run_git(*self._config(), "fetch", "-q", *depth, self.url, sha, cwd=into, check=False)
        if result.returncode:
            raise ForgeError(f"commit {sha} could not be fetched: {result.stderr.decode()}")

    def push(self, commit: CommitRequest) -> None:
        ref = f"refs/heads/{commit.branch}"
        result = run_git(
            *self._config(), "push", "--porcelain", f"--force-with-lease={ref}:{commit.expected}", self.url,
            f"{commit.commit}:{ref}", cwd=commit.repository, check=False,
        )  # fmt: skip
        if result.returncode and b"stale info" in result.stdout:
            raise Superseded(f"{commit.branch} moved")
        if result.returncode:
            raise ForgeError(f"{commit.branch} could not be pushed: {result.stderr.decode()}")

    def _config(self) -> list[str]:
        return ["-c", f"http.extraHeader={self.header}"] if self.header else []
