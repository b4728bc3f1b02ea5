"""What an installer left in a folder: which packages, which program, and a digest of the whole. Reads, runs nothing.

What lies there was written by the packages themselves, so nothing is followed out of the folder, and what is read of
it is bounded and only describes.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from perstack.core.errors import UserError
from perstack.infrastructure.beneath import open_beneath

_LONGEST = 32 * 1024 * 1024  # bytes of a description
_PROGRAM = re.compile(r"[A-Za-z0-9@_][A-Za-z0-9@._-]*")
_NOT_PROGRAMS = re.compile(r"(activate|deactivate|pydoc|python|pip|Activate|wheel|easy_install).*")


@dataclass(frozen=True, slots=True)
class Package:
    """One installed package. `integrity` is the registry's own digest, where the installer keeps it (npm)."""

    name: str
    version: str
    integrity: str = ""


def integrity(folder: Path) -> str:
    """`sha256:…` over every name, kind, permission to run, and content below `folder`. Links count as their text."""
    total = hashlib.sha256()
    for place, fd, name, status in _entries(folder):
        kind = b"l" if stat.S_ISLNK(status.st_mode) else b"d" if stat.S_ISDIR(status.st_mode) else b"f"
        runs = b"x" if kind == b"f" and status.st_mode & stat.S_IXUSR else b"-"
        total.update(b"\0".join((kind, runs, os.fsencode(place))) + b"\0")
        if kind == b"l":
            total.update(os.fsencode(os.readlink(name, dir_fd=fd)) + b"\0")
        elif stat.S_ISREG(status.st_mode):
            with os.fdopen(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd), "rb") as file:
                total.update(hashlib.file_digest(file, "sha256").digest())
    return f"sha256:{total.hexdigest()}"


def make_readable(folder: Path) -> None:
    """Let every user read what is there, and us take it away again: a package may have set any permissions."""
    folder.chmod(0o755)
    for _, fd, name, status in _entries(folder):
        if stat.S_ISLNK(status.st_mode):
            continue
        runs = stat.S_ISDIR(status.st_mode) or status.st_mode & stat.S_IXUSR
        wanted = 0o755 if runs else 0o644
        if wanted != stat.S_IMODE(status.st_mode):
            os.chmod(name, wanted, dir_fd=fd)


def packages(folder: Path, registry: str) -> tuple[Package, ...]:
    """Every installed package, sorted by name."""
    found = _npm_packages(folder) if registry == "npm" else _python_packages(folder)
    return tuple(sorted(found, key=lambda package: (package.name, package.version)))


def program(folder: Path, registry: str, specs: Sequence[str], name: str) -> str:
    """The path below `folder` of the program to start: `name`, or the one the first package is for.

    Raises: UserError where there is no such program; names those that are there.
    """
    place = "node_modules/.bin" if registry == "npm" else "venv/bin"
    there = sorted(entry for entry in _names(folder, place) if not _NOT_PROGRAMS.fullmatch(entry))
    wanted = name or _npm_main(folder, specs[0])
    for candidate in (wanted, wanted.replace("_", "-").lower()):
        if _PROGRAM.fullmatch(candidate) and candidate in _names(folder, place):
            return f"{place}/{candidate}"
    offered = f"It has: {', '.join(there[:20])}." if there else "It has no program at all."
    option = "-p" if registry == "npm" else "--from"
    raise UserError(
        f"{' '.join(specs)} has no program {wanted!r}. {offered}",
        hint=f'Name the program: args = ["{option}", "{specs[0]}", "the-program"].',
    )


def _npm_main(folder: Path, spec: str) -> str:
    """The program `npx` starts: the only one, or the one that is named like the package without its scope."""
    name = _npm_name(spec)
    own = name.rpartition("/")[2]
    try:
        described = json.loads(_read(folder, f"node_modules/{name}/package.json"))
    except (OSError, ValueError):
        return own
    programs = described.get("bin") if isinstance(described, dict) else None
    if isinstance(programs, dict) and len(programs) == 1:
        return str(next(iter(programs)))
    return own


def _npm_name(spec: str) -> str:
    head, at, _ = spec.rpartition("@")
    return head if at and head else spec


def _npm_packages(folder: Path) -> Iterator[Package]:
    try:
        listed = json.loads(_read(folder, "node_modules/.package-lock.json"))["packages"]
        entries = [(str(place), entry) for place, entry in listed.items() if isinstance(entry, dict)]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return
    for place, entry in entries:
        name = place.rpartition("node_modules/")[2]
        yield Package(name, str(entry.get("version", "")), str(entry.get("integrity", "")))


def _python_packages(folder: Path) -> Iterator[Package]:
    for version in _names(folder, "venv/lib"):
        libraries = f"venv/lib/{version}/site-packages"
        for name in _names(folder, libraries):
            if not name.endswith(".dist-info"):
                continue
            try:
                head = _read(folder, f"{libraries}/{name}/METADATA").partition("\n\n")[0]
            except OSError:
                continue
            values = dict(line.split(": ", 1) for line in head.splitlines() if ": " in line and line[0] != " ")
            yield Package(values.get("Name", name), values.get("Version", ""))


def _names(folder: Path, place: str) -> list[str]:
    root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fd = open_beneath(root, place, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return []
    finally:
        os.close(root)
    try:
        return [entry.name for entry in os.scandir(fd)]
    finally:
        os.close(fd)


def _read(folder: Path, place: str) -> str:
    root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with os.fdopen(open_beneath(root, place, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            return file.read(_LONGEST).decode("utf-8", "replace")
    finally:
        os.close(root)


def _entries(folder: Path) -> Iterator[tuple[str, int, str, os.stat_result]]:
    """Everything below a folder in a fixed order: its path, the open folder it is in, its name, what it is."""
    try:
        for place, folders, files, fd in os.fwalk(folder, follow_symlinks=False):
            folders.sort()
            below = os.path.relpath(place, folder)
            for name in sorted((*folders, *files)):
                yield os.path.join(below, name), fd, name, os.stat(name, dir_fd=fd, follow_symlinks=False)  # noqa: PTH118
    except RecursionError as error:
        raise UserError(f"{folder.name}: its folders are nested too deeply for a package") from error
