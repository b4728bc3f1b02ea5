"""Files of a tree before and after a command: listings, safe reading, and where two contents first differ.

Everything here may have been written by the code under test: links are never followed, sizes are bounded.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from perstack.infrastructure import foreign

_FILES_LIMIT: Final = 20_000
_SIZE_LIMIT: Final = 16_000_000
_EXCERPT_LINES: Final = 30
_WINDOW: Final = 200
_LINE: Final = 300
# What interpreters leave behind by merely running.
_CACHES: Final = frozenset({".git", "__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", "node_modules"})


@dataclass(frozen=True, slots=True)
class Listing:
    """Path → kind, whether it can be executed, and the digest of its content or the link's target."""

    files: dict[str, tuple[str, bool, str]]


def listing(root: Path) -> Listing:
    """List a tree of ours, caches aside."""
    found = _walk(root, None)
    return found if found is not None else Listing({})


def look_again(root: Path, before: Listing) -> Listing | None:
    """List a tree that a command has changed. None where it holds absurdly many files."""
    return _walk(root, len(before.files) + _FILES_LIMIT)


def _walk(root: Path, limit: int | None) -> Listing | None:
    files: dict[str, tuple[str, bool, str]] = {}
    for folder, folders, names in os.walk(root):
        links = [name for name in folders if Path(folder, name).is_symlink()]
        folders[:] = sorted(set(folders) - _CACHES - set(links))
        for name in [*names, *links]:
            place = Path(folder, name)
            files[place.relative_to(root).as_posix()] = _entry(place)
            if limit is not None and len(files) > limit:
                return None
    return Listing(files)


def _entry(place: Path) -> tuple[str, bool, str]:
    mode = place.lstat().st_mode
    if stat.S_ISLNK(mode):
        return "link", False, str(place.readlink())
    if not stat.S_ISREG(mode):
        return "special", False, ""
    return "file", bool(mode & 0o100), foreign.digest(place)


def read_regular(root: Path, path: str) -> bytes | None:
    """A regular file's content, up to a size; None for everything else. No part of the path may be a link."""
    try:
        file = foreign.opened(root / path, below=root)
    except OSError:
        return None
    with file:
        head = file.read(_SIZE_LIMIT)
        rest = hashlib.file_digest(file, "sha256").digest() if len(head) == _SIZE_LIMIT else b""
        return head + rest


def normalised(data: bytes, replacements: Sequence[tuple[str, str]]) -> str | None:
    """Text after the configured replacements; None for binary content, which is never normalised."""
    text = as_text(data)
    if text is None:
        return None
    for pattern, replacement in replacements:
        text = re.sub(pattern, replacement.replace("\\", "\\\\"), text, flags=re.MULTILINE)
    return text


def as_text(data: bytes) -> str | None:
    """The content as text; None for binary content."""
    if b"\0" in data or len(data) >= _SIZE_LIMIT:
        return None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None


def excerpt(
    wanted: bytes, made: bytes, sides: tuple[str | None, str | None], names: tuple[str, str]
) -> tuple[int, str, str]:
    """First differing line of what was made (1-based, 0 for binary), a sentence, and a bounded unified diff."""
    if sides[0] is None or sides[1] is None:
        digests = [hashlib.sha256(data).hexdigest()[:12] for data in (wanted, made)]
        return 0, f"binary content differs: wanted sha256 {digests[0]}…, written {digests[1]}…", ""
    one, two = sides[0].splitlines(), sides[1].splitlines()
    line = next(
        (i for i, pair in enumerate(zip(one, two, strict=False)) if pair[0] != pair[1]), min(len(one), len(two))
    )
    if one == two:
        return max(1, len(two)), "line endings differ, or the end of the last line", ""
    old, new = (repr(lines[line][:_LINE]) if line < len(lines) else "the end of the file" for lines in (one, two))
    # difflib is quadratic where everything differs: only the neighbourhood of the first difference is shown
    start = max(0, line - 3)
    before, after = ([text[:_LINE] for text in lines[start : start + _WINDOW]] for lines in (one, two))
    shown = list(difflib.unified_diff(before, after, *names, lineterm="", n=3))[:_EXCERPT_LINES]
    return line + 1, f"wanted {old}, written {new}", "\n".join(shown)
