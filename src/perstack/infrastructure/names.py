"""When two spellings of a file name are one and the same on some disk, and which of them mean `.git`. Opens nothing.

Threat: disks that fold case (macOS, Windows), normalise Unicode (HFS+), drop trailing dots and spaces, give short
names (`GIT~1`) or hide streams behind a colon (NTFS). What is harmless here may be a hook on somebody's machine.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator

_STREAM = re.compile(r":(?:\$i30)?:\$(?:data|index_allocation)$")  # of NTFS, that is the file or folder itself
_SHORT_GIT = re.compile(r"\.?git~\d+")
MOST_FOLDERS = 200  # no stack of ours, and no tool that walks a tree, goes much deeper
_SHORT_OWN = re.compile(r"persta~\d+")


def folded(name: str) -> str:
    """One spelling for all names that some file system takes for the same."""
    plain = name.lower()
    if not name.isascii():
        plain = unicodedata.normalize("NFKC", name)
        plain = "".join(char for char in plain if unicodedata.category(char) != "Cf").casefold()
    return unicodedata.normalize("NFC", _STREAM.sub("", plain).rstrip(". ")) or name


def reserved(path: str) -> str:
    """`.git` or `perstack` where a path leads into what is so called on some disk; else empty.

    `.git` counts at any depth, `perstack` only at the root. A backslash separates too.
    """
    parts = re.split(r"[/\\]", path)
    first = _file_of(parts[0])
    if first == "perstack" or _SHORT_OWN.fullmatch(first):
        return "perstack"
    return ".git" if any(means_git(part) for part in parts) else ""


def means_git(part: str) -> bool:
    """Whether one part of a path is `.git` on some disk, or a stream of it."""
    spelt = _file_of(part)
    return spelt == ".git" or _SHORT_GIT.fullmatch(spelt) is not None


def _file_of(part: str) -> str:
    return folded(part).partition(":")[0].rstrip(". ")


def unwritable(path: str) -> str:
    """Why nobody should make a file of this name, as the end of a sentence; empty for a good one."""
    if any(unicodedata.category(char) in {"Cc", "Zl", "Zp"} for char in path):
        return "has a control character in its name"
    if path.count("/") > MOST_FOLDERS:
        return f"lies more than {MOST_FOLDERS} folders deep"
    return "is not UTF-8" if any("\ud800" <= char <= "\udfff" for char in path) else ""


def collisions(fresh: Collection[str], all_paths: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Pairs of names, folders included, that are one name on some disk; at least one of each pair is fresh."""
    known = {path for path in all_paths if path not in fresh}
    taken: dict[str, str] = {}
    for path in (*sorted(known), *sorted(fresh)):
        for end in (*(at for at, char in enumerate(path) if char == "/"), len(path)):
            name = path[:end]
            other = taken.setdefault("/".join(map(folded, name.split("/"))), name)
            if other != name and path in fresh:
                yield other, name
                break
