"""The demo project: a real little library with a real suite. Data in `files/`, each file with `.txt` added.

The suffix keeps the files out of this project's own checks and test runs.
"""

from __future__ import annotations

from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

_NAMES = {"gitignore": ".gitignore"}


def write_project(into: Path) -> None:
    """Write the project into a directory, which is made where it is missing. Its suite is green.

    Raises: OSError when the directory cannot be written.
    """
    _copy(resources.files("perstack.demo") / "files", into)


def _copy(source: Traversable, into: Path) -> None:
    into.mkdir(parents=True, exist_ok=True)
    for entry in source.iterdir():
        if entry.is_dir():
            _copy(entry, into / entry.name)
        elif entry.name.endswith(".txt"):
            name = entry.name.removesuffix(".txt")
            (into / _NAMES.get(name, name)).write_text(entry.read_text(encoding="utf-8"), encoding="utf-8")
