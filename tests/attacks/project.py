"""The specimen as a git repository, and patches of it made by git itself."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from perstack.core.experts import VerifySpec
from perstack.core.signals import SignalKind, SignalSpec
from perstack.core.verdict import PolicyFinding
from perstack.signals.policy import check_policy
from perstack.signals.protected import Protection

PYTEST = SignalSpec("tests", SignalKind.TEST, ("python3", "-m", "pytest", "-q"), framework="pytest", timeout_s=25)
_WHO = {f"GIT_{role}_{what}": "x@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
_ENVIRONMENT = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null", **_WHO}


def git(root: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", *words], cwd=root, env={**os.environ, **_ENVIRONMENT}, check=True, capture_output=True
    )
    return done.stdout.decode("utf-8", "surrogateescape")


@dataclass(frozen=True)
class Specimen:
    """A repository with one commit, clean after every patch."""

    root: Path
    base: str
    files: Mapping[str, str]

    @classmethod
    def make(cls, root: Path, files: Mapping[str, str]) -> Specimen:
        root.mkdir(parents=True)
        git(root, "init", "-q", "-b", "main")
        _write(root, files)
        git(root, "add", "-A", "-f")
        git(root, "commit", "-q", "-m", "base")
        return cls(root, git(root, "rev-parse", "HEAD").strip(), files)

    def patch(self, changes: Mapping[str, str | None], modes: Mapping[str, str] | None = None) -> str:
        """What `git diff` says about some changed files; None deletes one."""
        _write(self.root, changes)
        for path, mode in (modes or {}).items():
            place = self.root / path
            if mode == "executable":
                place.chmod(0o755)
            else:
                place.unlink()
                place.symlink_to(mode.removeprefix("symlink:"))
        git(self.root, "add", "-A", "-f")
        text = git(self.root, "diff", "--cached", "--binary", "--full-index", "--no-renames", "HEAD")
        git(self.root, "reset", "-q", "--hard")
        return text

    def policy(self, patch: str, verify: VerifySpec | None = None, *specs: SignalSpec) -> tuple[PolicyFinding, ...]:
        """The findings of the text alone."""
        verify, specs = verify or VerifySpec(), specs or (PYTEST,)
        return check_policy(
            patch,
            base_files=dict.fromkeys(self.files, "100644"),
            protection=Protection.of(verify, specs, self.files),
            verify=verify,
            read_base=lambda path: self.files[path].encode() if path in self.files else None,
            specs=specs,
        )


def _write(root: Path, files: Mapping[str, str | None]) -> None:
    for name, text in files.items():
        path = root / name
        if text is None:
            path.unlink()
            continue
        if path.parent.is_file():
            path.parent.unlink()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
