"""Gates as other tools have them: exit code, JUnit file, test identity, restored tests. For the ladder only.

Each is an honest small implementation of the idea, run in the same sandbox as everything else. None is the product's.
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from perstack.core.contracts import Sandbox
from perstack.core.sandbox import Snapshot
from perstack.core.signals import TestCase, TestStatus
from perstack.signals.compare_tests import is_target
from perstack.signals.junit import ReportInvalid, read_junit
from perstack.signals.pytest.results import xml_name

REPORT = "results.xml"
_RESTORED = (
    "tests/*", "test/*", "*conftest.py", "test_*.py", "*/test_*.py", "pyproject.toml", "setup.cfg", "setup.py",
    "tox.ini", "*pytest.ini", "pytest.toml", "*.cfg", "Makefile", "requirements*.txt", ".github/*", "*.pth",
    "*sitecustomize.py", "*usercustomize.py", ".pytest_cache/*", ".coveragerc", ".env", "Dockerfile", ".git*",
)  # fmt: skip


@dataclass(frozen=True)
class Known:
    """What a gate knows of the base: ids that must pass, and tests that are red for other reasons."""

    required: frozenset[str]
    left_out: tuple[str, ...]

    @classmethod
    def of(cls, base: Mapping[str, TestCase], targets: Sequence[str]) -> Known:
        """From the base's results by node id."""
        passed = {identity for identity, case in base.items() if case.status is TestStatus.PASSED}
        wanted = {identity for identity in base if targets and is_target(identity, targets)}
        wanted = wanted or set(base)
        return cls(frozenset(map(xml_name, passed | wanted)), tuple(sorted(base.keys() - passed - wanted)))

    @property
    def options(self) -> str:
        """Options for pytest, as a variable has them."""
        return " ".join(f"--deselect {shlex.quote(identity)}" for identity in self.left_out)


@dataclass(frozen=True)
class Place:
    """Where a gate runs commands."""

    sandbox: Sandbox
    snapshot: Snapshot

    async def exit_code(self, workspace: Path, argv: Sequence[str], options: str, timeout_s: float) -> int:
        """Run one command in a fresh sandbox on a directory it may change."""
        async with self.sandbox.open(self.snapshot, workspace, limits=self.snapshot.limits) as session:
            result = await session.run(argv, env={"PYTEST_ADDOPTS": options}, timeout_s=timeout_s)
        return result.exit_code


def restore(candidate: Path, base: Path) -> bool:
    """Put tests and configuration back as they are on the base, what was added away; whether that changed anything."""
    changed = False
    for path in _matching(candidate):
        if not (base / path).is_file() or (base / path).read_bytes() != _bytes(candidate / path):
            (candidate / path).unlink()
            changed = True
    for path in _matching(base):
        if not (candidate / path).exists():
            (candidate / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(base / path, candidate / path)
            changed = True
    return changed


def report_is_green(workspace: Path) -> bool:
    """Whether there is a JUnit file without a failure."""
    cases = _cases(workspace)
    return cases is not None and not any(c.status in {TestStatus.FAILED, TestStatus.ERROR} for c in cases.values())


def all_passed(workspace: Path, required: Collection[str]) -> bool:
    """Whether every required id is in the JUnit file, and passed."""
    cases = _cases(workspace) or {}
    return all(name in cases and cases[name].status is TestStatus.PASSED for name in required)


def _cases(workspace: Path) -> Mapping[str, TestCase] | None:
    try:
        return read_junit(workspace / REPORT)
    except ReportInvalid:
        return None


def _bytes(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() and not path.is_symlink() else b"\0not a file"


def _matching(root: Path) -> list[str]:
    paths = [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_symlink() or path.is_file()]
    return [path for path in paths if any(fnmatch(path, pattern) for pattern in _RESTORED)]
