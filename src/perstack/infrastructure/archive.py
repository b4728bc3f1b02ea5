"""Unpacking a ZIP that a stranger made, within limits: plain files with plain names, counted as they come out.

Threat: path escapes, links, bombs, names that differ only in case or encoding, sizes that lie in the directory.
"""

from __future__ import annotations

import io
import re
import stat
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from perstack.core.errors import UserError

_PART = r"[\w@+=,()\[\]#%][\w@+=,()\[\]#%$. \-]{0,120}"
_NAME = re.compile(rf"(?:{_PART}/){{0,12}}{_PART}")
_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class UnpackLimits:
    """What an archive may come to."""

    files: int = 2_000
    file_bytes: int = 64 * 1024 * 1024
    total_bytes: int = 256 * 1024 * 1024


def unpack(
    data: bytes,
    into: Path,
    wanted: Callable[[str], bool] = lambda _: True,
    limits: UnpackLimits | None = None,
) -> tuple[str, ...]:
    """Write the wanted files of a ZIP below `into`; their names.

    Raises: UserError for an archive that is damaged, odd in any way, or beyond the limits.
    """
    limits = limits or UnpackLimits()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _unpacked(archive, into, wanted, limits)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
        raise UserError(f"the archive cannot be read: {error}") from error


def _unpacked(
    archive: zipfile.ZipFile, into: Path, wanted: Callable[[str], bool], limits: UnpackLimits
) -> tuple[str, ...]:
    entries = archive.infolist()
    if len(entries) > limits.files:
        raise UserError(f"the archive holds {len(entries):,} files; at most {limits.files:,} are unpacked")
    seen: set[str] = set()
    names: list[str] = []
    room = limits.total_bytes
    for entry in entries:
        if entry.is_dir() or not wanted(entry.filename):
            continue
        name = _checked(entry)
        if name.casefold() in seen:
            raise UserError(f"the archive names the file {name!r} twice")
        seen.add(name.casefold())
        room -= _write(archive, entry, into / name, min(limits.file_bytes, room))
        names.append(name)
    return tuple(names)


def _checked(entry: zipfile.ZipInfo) -> str:
    name, mode = entry.filename, entry.external_attr >> 16
    plain = not mode or stat.S_ISREG(mode) or not stat.S_IFMT(mode)
    if not _NAME.fullmatch(name) or any(part in {".", ".."} or part.endswith((".", " ")) for part in name.split("/")):
        raise UserError(f"the archive names a file {name[:200]!r}, which is not unpacked")
    if not plain or entry.flag_bits & 0x1:
        raise UserError(f"the archive holds {name!r}, which is no plain file")
    return name


def _write(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path, room: int) -> int:
    """The bytes written. What the directory says of sizes is not believed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    size = 0
    with archive.open(entry) as source, path.open("wb") as target:
        while chunk := source.read(_CHUNK):
            size += len(chunk)
            if size > room:
                raise UserError(f"{entry.filename!r} of the archive is larger than may be unpacked")
            target.write(chunk)
    return size
