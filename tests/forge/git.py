"""A `Remote` over plain git commands, for tests of the forge."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import anyio

from perstack.core.commits import CommitContents
from perstack.core.errors import ForgeError, Superseded
from perstack.forge.contract import CommitRequest
from perstack.infrastructure import git_commits
from perstack.infrastructure.git_command import Git
from tests.github_server.git_data import bare_repository, run_git


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

    def contents(self, commit: CommitRequest, most_bytes: int) -> CommitContents:
        return anyio.run(git_commits.read, Git(commit.repository), commit.commit, most_bytes)

    def _config(self) -> list[str]:
        return ["-c", f"http.extraHeader={self.header}"] if self.header else []
