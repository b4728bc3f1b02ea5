"""Small real projects as git repositories, and a verifier over them. Shared by the tests of this folder."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from perstack.core.contracts import Sandbox
from perstack.core.experts import VerifySpec
from perstack.core.json import JsonObject
from perstack.core.sandbox import SandboxSpec, Snapshot
from perstack.core.signals import SignalKind, SignalSpec
from perstack.core.verdict import Report
from perstack.infrastructure.git import Repository
from perstack.infrastructure.sandbox.bubblewrap import Bubblewrap
from perstack.signals.protocol import Verifier, VerifyRequest

BUGGY = """\
def median(values):
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle]


def mean(values):
    return sum(values) / len(values)
"""
FIXED = BUGGY.replace(
    "    return ordered[middle]\n",
    "    if len(ordered) % 2 == 0:\n        return (ordered[middle - 1] + ordered[middle]) / 2\n"
    "    return ordered[middle]\n",
)
TESTS = """\
import pytest
from calc import mean, median


def test_mean():
    assert mean([1, 2, 3]) == 2


def test_median_odd():
    assert median([3, 1, 2]) == 2


@pytest.mark.parametrize("values, wanted", [([1, 2, 3, 4], 2.5), ([1, 1], 1)])
def test_median_even(values, wanted):
    assert median(values) == wanted
"""
CALC = {"calc.py": BUGGY, "tests/test_calc.py": TESTS, "README.md": "# calc\n"}
PYTEST = SignalSpec("tests", SignalKind.TEST, ("python3", "-m", "pytest", "-q"), framework="pytest", repeat=1)
_IDENTITY = {"GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@t", "GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@t"}


def git(root: Path, *words: str) -> str:
    environment = {**os.environ, **_IDENTITY, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
    return subprocess.run(["git", *words], cwd=root, env=environment, check=True, capture_output=True, text=True).stdout


def write(root: Path, files: Mapping[str, str | None]) -> None:
    for name, text in files.items():
        path = root / name
        if text is None:
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)


def sandbox() -> Sandbox:
    return Bubblewrap((Path(sys.executable).parent,))


@dataclass
class Project:
    """A repository with one commit, and the events its verifier emitted."""

    root: Path
    scratch: Path
    base: str
    sandbox: Sandbox = field(default_factory=sandbox)
    events: list[tuple[str, JsonObject]] = field(default_factory=list)

    @classmethod
    def make(cls, folder: Path, files: Mapping[str, str]) -> Project:
        root = folder / "project"
        root.mkdir(parents=True)
        git(root, "init", "-q", "-b", "main")
        write(root, files)
        git(root, "add", "-A")
        git(root, "commit", "-q", "-m", "base")
        return cls(root, folder / "scratch", git(root, "rev-parse", "HEAD").strip())

    def patch(self, changes: Mapping[str, str | None]) -> str:
        """The patch of some changed files (None deletes); the checkout is clean again afterwards."""
        write(self.root, changes)
        git(self.root, "add", "-A")
        text = git(self.root, "diff", "--cached", "--binary", "--full-index", "--no-renames")
        git(self.root, "reset", "-q", "--hard")
        return text

    async def repository(self) -> Repository:
        return await Repository.from_checkout(self.root, self.scratch / "bare.git")

    async def snapshot(self) -> Snapshot:
        return await self.sandbox.prepare(SandboxSpec(), self.root, lambda line: None)

    def verifier(self) -> Verifier:
        return Verifier(self.sandbox, lambda kind, payload: self.events.append((kind, payload)), self.scratch)

    async def request(self, patch: str, *specs: SignalSpec) -> VerifyRequest:
        return VerifyRequest(
            repository=await self.repository(),
            base=self.base,
            patch=patch,
            specs=specs or (PYTEST,),
            verify=VerifySpec(),
            snapshot=await self.snapshot(),
        )

    async def verify(self, changes: Mapping[str, str | None], *specs: SignalSpec, **extra: object) -> Report:
        request = await self.request(self.patch(changes), *specs)
        return await self.verifier().verify(replace(request, **extra))  # type: ignore[arg-type]


def codes(report: Report) -> set[str]:
    return {reason.code.value for reason in report.reasons}
