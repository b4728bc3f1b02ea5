"""What a build left: programs and lists of tests with their digests, and the compiler it used. Reads files only."""

from __future__ import annotations

import os
import re
import stat
import struct
from collections.abc import Collection, Mapping
from pathlib import Path
from posixpath import join

from perstack.core.errors import ToolError
from perstack.infrastructure import foreign
from perstack.infrastructure.workspace import Workspace
from perstack.signals.ctest.results import Canaries

_LIST = "CTestTestfile.cmake"
_COMPILER = re.compile(r"^CMAKE_\w+_COMPILER:\w+=(.+)$", re.MULTILINE)
_INTERPRETER = 3  # the program header that names the dynamic loader


def built_files(build: Path, only: Collection[str] | None = None) -> Mapping[str, str]:
    """Digests of programs, libraries and lists of tests, by path in the build folder; `only` of those."""
    found: dict[str, str] = {}
    for folder, _, names in os.walk(build):
        for name in names:
            path = Path(folder, name)
            key = path.relative_to(build).as_posix()
            if only is not None and key not in only:
                continue
            mode = path.lstat().st_mode
            if stat.S_ISREG(mode) and (mode & 0o111 or name.endswith((".cmake", ".so")) or ".so." in name):
                found[key] = foreign.digest(path, below=build)
            elif stat.S_ISLNK(mode):
                found[key] = str(path.readlink())
    return found


def executables_of(build: Path, files: Collection[str], inside: str) -> dict[str, bool]:
    """Programs of the build by their path inside the sandbox, and whether a library can be loaded into them."""
    found: dict[str, bool] = {}
    for name in files:
        path = build / name
        if not path.is_symlink():
            kind = _kind(path, build)
            if kind is not None:
                found[join(inside, name)] = kind
    return found


def _kind(path: Path, build: Path) -> bool | None:
    """None for what is no ELF program or library; else whether it asks for the dynamic loader."""
    with foreign.opened(path, below=build) as file:
        head = file.read(64)
        if len(head) < 64 or head[:4] != b"\x7fELF" or head[4] != 2 or head[5] != 1:
            return None
        kind, offset = struct.unpack_from("<H", head, 16)[0], struct.unpack_from("<Q", head, 32)[0]
        size, count = struct.unpack_from("<HH", head, 54)
        if kind not in {2, 3}:
            return None
        file.seek(offset)
        table = file.read(size * count)  # at most 4 GiB by its form, and no more than the file has
    types = {struct.unpack_from("<I", table, at)[0] for at in range(0, len(table) - 3, size or 1)}
    return _INTERPRETER in types or path.suffix == ".so"


def foreign_compiler(build: Path, folders: Collection[str]) -> str:
    """A compiler that lies in one of these folders; empty for none."""
    text = foreign.read_text(build / "CMakeCache.txt", below=build)
    return next((path for path in _COMPILER.findall(text) if path.startswith(tuple(f"{f}/" for f in folders))), "")


def plant_canaries(build: Path, folder: str, canaries: Canaries) -> bool:
    """Put our tests before and after the project's in a folder's built list; False where there is no list.

    The build made the list: a link in its place or on the way must not lead this process anywhere else.
    """
    built, name = Workspace(build), join(folder, _LIST)
    try:
        text = built.read(name).decode("utf-8", "surrogateescape")
    except ToolError:
        return False
    lines = [f'add_test({name} "{canaries.program}" "{name.rpartition("_")[2]}")\n' for name in canaries.expected]
    whole = "".join(lines[:2]) + text + "\n" + "".join(lines[2:])
    try:
        built.write(name, whole.encode("utf-8", "surrogateescape"))
    except ToolError:
        return False
    return True
