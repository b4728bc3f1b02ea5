"""A diff as the forge's review comments see it: which lines of the new side it shows, what a patch puts where. Pure.

Reads what git wrote. What cannot be read exactly is left out: a remark at a wrong line is worse than none. Judges
nothing; the policy has a strict reader of its own.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import pairwise

from unidiff.errors import UnidiffParseError
from unidiff.patch import Hunk, PatchedFile, PatchSet

MAX_DIFF = 20_000_000  # characters; a longer one gets no remarks at its lines
_HEADER = re.compile(r"^diff --git ", re.MULTILINE)
_QUOTED = re.compile(rb"\\([abtnvfr\"\\]|[0-7]{3})")
_ESCAPES = {b"a": 7, b"b": 8, b"t": 9, b"n": 10, b"v": 11, b"f": 12, b"r": 13, b'"': 34, b"\\": 92}


@dataclass(frozen=True, slots=True)
class NewSide:
    """The lines of one file that a diff shows on its new side (1-based), hunk by hunk, and which of them are new."""

    path: str
    hunks: tuple[range, ...]
    added: frozenset[int]

    def shows(self, start: int, end: int) -> bool:
        """Whether one hunk shows all lines from `start` to `end`: what a remark over lines needs."""
        return 0 < start <= end and any(start in hunk and end in hunk for hunk in self.hunks)


@dataclass(frozen=True, slots=True)
class Replacement:
    """Lines `start` to `end` of the old side become `lines`. `exact` is False where that cannot be said like this:
    new, deleted and renamed files, binary ones, and ends without a newline. Then the other fields may be empty.
    """

    path: str
    start: int = 0
    end: int = 0
    lines: tuple[str, ...] = ()
    exact: bool = True


def new_sides(diff: str) -> Mapping[str, NewSide]:
    """Path → what the diff shows of the new side. Empty for a diff that cannot be read."""
    found: dict[str, NewSide] = {}
    for file in _files(diff):
        if file.is_removed_file or file.is_binary_file:
            continue
        path = _path(file)
        hunks = tuple(range(h.target_start, h.target_start + h.target_length) for h in file if h.target_length)
        added = frozenset(line.target_line_no or 0 for hunk in file for line in hunk if line.is_added)
        found[path] = NewSide(path, hunks, added)
    return found


def replacements(patch: str) -> tuple[Replacement, ...]:
    """What a patch does, hunk by hunk, as lines to replace. One inexact entry for a patch that cannot be read."""
    files = _files(patch)
    if not files and patch.strip():
        return (Replacement("", exact=False),)
    found: list[Replacement] = []
    for file in files:
        path = _path(file)
        plain = not (file.is_added_file or file.is_removed_file or file.is_rename or file.is_binary_file)
        if not plain or not len(file):
            found.append(Replacement(path, exact=False))
            continue
        found += [_replacement(path, hunk) for hunk in file]
    return tuple(found)


def split_files(patch: str, wanted: Collection[str]) -> tuple[str, str]:
    """The sections of a patch about these paths, and all others; each again a patch."""
    starts = [*(match.start() for match in _HEADER.finditer(patch)), len(patch)]
    chosen: list[str] = []
    others = [patch[: starts[0]]]
    for start, end in pairwise(starts):
        section = patch[start:end]
        (chosen if paths_of(section) & {*wanted} else others).append(section)
    return "".join(chosen), "".join(others)


def paths_of(patch: str) -> frozenset[str]:
    """The paths of a patch, on both sides."""
    sides = ((_unquoted(file.source_file), _unquoted(file.target_file)) for file in _files(patch))
    return frozenset(re.sub(r"^[ab]/", "", side) for both in sides for side in both) - {"/dev/null"}


def _files(diff: str) -> list[PatchedFile]:
    if len(diff) > MAX_DIFF:
        return []
    try:
        return list(PatchSet(diff))
    except UnidiffParseError:
        return []


def _path(file: PatchedFile) -> str:
    """The path after the change, or before it where the file is deleted."""
    name = file.source_file if file.is_removed_file else file.target_file
    return re.sub(r"^[ab]/", "", _unquoted(name))


def _unquoted(name: str) -> str:
    """A name as git writes it in quotes where it holds anything unusual."""
    if len(name) < 2 or not name.startswith('"') or not name.endswith('"'):
        return name.removesuffix("\t")
    raw = name[1:-1].encode("utf-8", "surrogateescape")
    plain = _QUOTED.sub(lambda m: bytes([_ESCAPES[m[1]] if m[1] in _ESCAPES else int(m[1], 8) & 255]), raw)
    return plain.decode("utf-8", "replace")


def _replacement(path: str, hunk: Hunk) -> Replacement:
    """From the first changed line to the last one, with what stands between them."""
    lines = list(hunk)
    changed = [index for index, line in enumerate(lines) if line.is_added or line.is_removed]
    if not changed or any(line.line_type == "\\" for line in lines):
        return Replacement(path, exact=False)
    first, last = changed[0], changed[-1]
    if not any(line.source_line_no for line in lines[first : last + 1]):  # only new lines: a neighbour carries them
        if first > 0:
            first -= 1
        elif last + 1 < len(lines):
            last += 1
        else:
            return Replacement(path, exact=False)
    part = lines[first : last + 1]
    old = [line.source_line_no for line in part if line.source_line_no]
    new = tuple(line.value.removesuffix("\n") for line in part if not line.is_removed)
    return Replacement(path, old[0], old[-1], new)
