"""What detectors share: a repository to look at, and the shape of what they find. No detector of its own."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatch

from perstack.core.signals import Priority, SignalKind, SignalSpec

# Folders whose projects are somebody else's, built, or data of tests.
_NOT_OWN = frozenset(
    {
        "__fixtures__", "build", "fixtures", "node_modules", "target", "test", "testdata", "testing", "tests",
        "third_party", "vendor",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Repository:
    """The files of a repository and their contents."""

    files: frozenset[str]
    read: Callable[[str], bytes | None]

    def text(self, path: str) -> str:
        """A file's text; empty if there is none."""
        raw = self.read(path) if path in self.files else None
        return (raw or b"").decode("utf-8", "replace")

    def any(self, *patterns: str) -> str:
        """The first file, in order, that matches a pattern; `*` crosses folders. Empty if none does."""
        return next((path for path in sorted(self.files) if any(fnmatch(path, p) for p in patterns)), "")

    def toml(self, path: str) -> Mapping[str, object]:
        """A TOML file as data; empty if it is missing or broken."""
        try:
            return tomllib.loads(self.text(path))
        except tomllib.TOMLDecodeError:
            return {}

    def json(self, path: str) -> Mapping[str, object]:
        """A JSON object as data; empty if it is missing or broken."""
        try:
            data = json.loads(self.text(path) or "{}")
        except ValueError:
            return {}
        return data if isinstance(data, dict) else {}

    def folders_of(self, name: str) -> list[str]:
        """Folders that hold a file of this name, outermost first; those inside another one are left out."""
        folders = sorted((path.rpartition("/")[0] for path in self.files if path.rpartition("/")[2] == name), key=len)
        outer: list[str] = []
        for folder in folders:
            vendored = any(part in _NOT_OWN for part in folder.split("/"))
            inside = any(not top or folder.startswith(f"{top}/") for top in outer)
            if not vendored and not inside:
                outer.append(folder)
        return outer


@dataclass(frozen=True, slots=True)
class Found:
    """One signal, or one step of preparation, with the reason for it."""

    why: str
    spec: SignalSpec | None = None
    setup: tuple[str, ...] = ()
    image: str = ""

    def named(self, name: str) -> SignalSpec:
        """The spec under another name."""
        assert self.spec is not None
        return replace(self.spec, name=name)


def must(name: str, kind: SignalKind, run: str, *, framework: str = "", folder: str = "") -> SignalSpec:
    """A gating signal; `run` is split at spaces."""
    return SignalSpec(name, kind, tuple(run.split()), framework=framework, cwd=folder or ".")


def check(name: str, run: str, *, folder: str = "") -> SignalSpec:
    """A reported compiler or linter: its diagnostics are compared with the base's, so that old ones are no news."""
    return SignalSpec(name, SignalKind.COMPILER, tuple(run.split()), priority=Priority.SHOULD, cwd=folder or ".")


def place(folder: str) -> str:
    """A folder as the end of a sentence."""
    return f" in {folder}" if folder else ""
