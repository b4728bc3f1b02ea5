"""Makes the tree's own packages importable, and only the tree's. Lies beside `runner.py` in the sandbox.

An installation in editable mode points to the checkout it was made in, which is not the tree under test: the
directories it would offer are put on the path here, before installed packages. Where the tree provides a package
that the runner itself needs (pluggy, say), the runner keeps its installed copy and the tests get the tree's.
"""
# os.path is loaded anyway; pathlib would be one more module that the code under test can touch.
# ruff: noqa: PTH112, PTH120, PTH123

from __future__ import annotations

import importlib.metadata
import os
import re
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

_NEVER = ("pytest", "_pytest")


def with_roots(path: Iterable[str], roots: Iterable[str]) -> list[str]:
    """A module search path with the tree's roots behind the standard library and before installed packages."""
    entries = list(path)
    wanted = [root for root in roots if root not in entries]
    place = next((index for index, entry in enumerate(entries) if "-packages" in entry), len(entries))
    return [*entries[:place], *wanted, *entries[place:]]


def set_aside(provided: Iterable[str]) -> frozenset[str]:
    """Forget installed modules that the tree provides, so that its own are found; names of what was forgotten.

    The runner's modules keep what they imported.
    """
    names = set(provided) - set(_NEVER)
    forgotten = [name for name, module in sys.modules.items() if name.partition(".")[0] in names and _installed(module)]
    for name in forgotten:
        del sys.modules[name]
    return frozenset(name.partition(".")[0] for name in forgotten)


def _installed(module: Any) -> bool:
    return "-packages" + os.sep in (getattr(module, "__file__", None) or "")


def missing_for(error: ImportError, provided: Iterable[str]) -> str:
    """Why pytest cannot be loaded, as a sentence."""
    name = (error.name or "").partition(".")[0]
    if name in set(provided):
        return (
            f"pytest needs `{name}`, which is installed here only as the tree under test: install a release of it "
            "into the environment that runs the tests"
        )
    return f"pytest is installed for {sys.executable} but cannot be loaded: {error}"


def write_versions(files: Iterable[tuple[str, str]]) -> None:
    """Write the version modules that a build would have written: (path, project). What is there stays."""
    for path, project in files:
        if os.path.lexists(path) or not os.path.isdir(os.path.dirname(path)):
            continue
        try:
            version = importlib.metadata.version(project) if project else "0.0.0"
        except importlib.metadata.PackageNotFoundError:
            version = "0.0.0"
        numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:3])
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"__version__ = version = {version!r}\n__version_tuple__ = version_tuple = {numbers!r}\n")
