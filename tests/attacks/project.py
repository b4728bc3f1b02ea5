"""The specimen as a git repository, and patches of it made by git itself."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from perstack.core.experts import VerifySpec
from perstack.core.signals import SignalKind, SignalSpec
from perstack.core.verdict import PolicyFinding
from perstack.signals.policy import check_policy
from perstack.signals.protected import Protection

PYTEST = SignalSpec("tests", SignalKind.TEST, ("python3", "-m", "pytest", "-q"), framework="pytest", timeout_s=25)
_WHO = {f"GIT_{role}_{what}": "x@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
_ENVIRONMENT = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null", **_WHO}


def git(root: Path, *words: str, codes: tuple[int, ...] = (0,)) -> str:
    done = subprocess.run(
        ["git", *words], cwd=root, env={**os.environ, **_ENVIRONMENT}, check=False, capture_output=True
    )
    assert done.returncode in codes, done.stderr
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
        """What git says about some changed files; None deletes one."""
        with TemporaryDirectory(dir=self.root.parent) as folder:
            before, after = Path(folder) / "a", Path(folder) / "b"
            for side in (before, after):
                side.mkdir()
            _write(before, {path: self.files[path] for path in changes if path in self.files})
            _write(after, {path: text for path, text in changes.items() if text is not None})
            for path, mode in (modes or {}).items():
                place = after / path
                if mode == "executable":
                    place.chmod(0o755)
                else:
                    place.unlink()
                    place.symlink_to(mode.removeprefix("symlink:"))
            words = ("diff", "--no-index", "--no-prefix", "--binary", "--full-index", "--no-renames", "a", "b")
            text = git(Path(folder), *words, codes=(0, 1))
            # without an index git names the side that exists twice
            return re.sub(r"^diff --git [ab]/(.*) [ab]/\1$", r"diff --git a/\1 b/\1", text, flags=re.MULTILINE)

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


def _write(root: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
