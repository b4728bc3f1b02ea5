"""Which host directories a bubblewrap sandbox sees, and where: the toolchain, and nothing personal. Pure but for looks.

A directory of programs brings what those programs need: its sibling `lib` folders, and the places its links lead to
(a virtual environment's base interpreter).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

SYSTEM_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")

_TOP = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_SIBLINGS = ("lib", "lib64", "libexec", "include", "pyvenv.cfg", "share/terminfo")
# All that the root of a virtual environment or interpreter holds. One with more (a project, a home) is not bound whole.
_ENVIRONMENT = frozenset(
    {"bin", "include", "lib", "lib64", "share", "pyvenv.cfg", ".gitignore", ".lock", "CACHEDIR.TAG"}
)
_NEVER = (Path("/"), Path("/root"), Path("/home"))


def system_binds() -> list[str]:
    """bwrap options for the operating system's own programs and libraries."""
    options = ["--ro-bind", "/usr", "/usr"]
    for name in _TOP:
        path = Path("/", name)
        if path.is_symlink():
            options += ["--symlink", str(path.readlink()), str(path)]
        elif path.is_dir():
            options += ["--ro-bind", str(path), str(path)]
    return options


def tool_binds(path: Sequence[Path]) -> list[str]:
    """bwrap options for directories of programs that lie outside the system's own."""
    wanted: dict[Path, None] = {}
    pending = [Path(os.path.normpath(folder)) for folder in path]
    seen: set[Path] = set()
    while pending:
        folder = pending.pop()
        if folder in seen or not folder.is_dir() or _in_system(folder):
            continue
        seen.add(folder)
        if folder.resolve() != folder:
            pending.append(folder.resolve())
        for place in _with_siblings(folder):
            wanted[place] = None
        pending += _link_targets(folder)
    return [option for place in _outermost(wanted) for option in ("--ro-bind", str(place), str(place))]


def _in_system(folder: Path) -> bool:
    return folder.parts[1:2] in {("usr",), *((name,) for name in _TOP)}


def _with_siblings(folder: Path) -> list[Path]:
    """A folder of programs and what belongs to it; version switchers (`…/shims`), Go and npm need their whole root."""
    if folder.name == "shims" and folder.parent not in _NEVER:
        return [folder.parent]
    if (folder / "go").is_file() and (folder.parent / "src" / "runtime").is_dir():
        return [folder.parent]  # Go compiles its standard library from its sources
    if folder.name == ".bin" and folder.parent.name == "node_modules":
        return [folder.parent]  # programs of npm packages load their neighbours
    if _is_python(folder.parent) and all(entry.name in _ENVIRONMENT for entry in folder.parent.iterdir()):
        return [folder.parent]  # each bind costs a part of a millisecond at every start
    return [folder, *(sibling for name in _SIBLINGS if (sibling := folder.parent / name).exists())]


def _is_python(root: Path) -> bool:
    """Whether this is a virtual environment, or an interpreter with its standard library."""
    return (root / "pyvenv.cfg").is_file() or any(root.glob("lib/python3*/os.py"))


def _link_targets(folder: Path) -> list[Path]:
    found = []
    for entry in os.scandir(folder):
        place = Path(entry.path)
        for _ in range(10):  # hop by hop: every hop's own path must exist inside
            if not place.is_symlink():
                break
            place = Path(os.path.normpath(place.parent / place.readlink()))
            if place.parent not in {folder, *_NEVER}:
                found.append(place.parent)
    return found


def _outermost(places: dict[Path, None]) -> list[Path]:
    """Without those that lie in another one; parents first."""
    return [place for place in sorted(places) if not any(parent in places for parent in place.parents)]
