"""Cutting a canonical patch (one section a file, as our own `git diff` writes it) into files and hunks. Pure.

Judging a patch is not done here: see `policy.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from perstack.core.errors import InvariantBroken
from perstack.signals.policy_patch import FileChange, parse_patch

_SECTION = re.compile(r"^diff --git ", re.MULTILINE)
_HUNK = re.compile(r"^@@ -", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Section:
    """One file's part of a patch: its header and its hunks, as text. A binary or mode-only change has no hunks."""

    path: str
    added: bool
    deleted: bool
    header: str
    hunks: tuple[str, ...]

    @property
    def text(self) -> str:
        return self.header + "".join(self.hunks)

    @property
    def parts(self) -> int:
        """How many parts can be taken out alone: hunks of a changed file, else the whole section."""
        return 1 if self.added or self.deleted or not self.hunks else len(self.hunks)

    def without(self, part: int) -> str:
        """The section's text with one part taken out; empty where nothing remains."""
        if self.parts == 1:
            return ""
        return self.header + "".join(hunk for index, hunk in enumerate(self.hunks) if index != part)


def cut(patch: str) -> tuple[Section, ...]:
    """The sections of a canonical patch, in order.

    Raises: InvariantBroken where two readers see different files.
    """
    starts = [match.start() for match in _SECTION.finditer(patch)]
    if not starts:
        return ()
    texts = [patch[start:end] for start, end in zip(starts, [*starts[1:], len(patch)], strict=True)]
    changes = parse_patch(patch)
    if len(changes) != len(texts):
        raise InvariantBroken(f"a patch of {len(texts)} sections was read as {len(changes)} files")
    return tuple(_section(change, text) for change, text in zip(changes, texts, strict=True))


def keep(sections: Iterable[Section], wanted: Callable[[Section], bool]) -> str:
    """The text of those sections that are wanted."""
    return "".join(section.text for section in sections if wanted(section))


def without_part(sections: Iterable[Section], path: str, part: int) -> str:
    """The text with one part of one file taken out."""
    return "".join(section.without(part) if section.path == path else section.text for section in sections)


def _section(change: FileChange, text: str) -> Section:
    path, added, deleted = change.path, not change.old_path, not change.new_path
    starts = [match.start() for match in _HUNK.finditer(text)]
    if not starts:
        return Section(path, added, deleted, text, ())
    hunks = tuple(text[start:end] for start, end in zip(starts, [*starts[1:], len(text)], strict=True))
    return Section(path, added, deleted, text[: starts[0]], hunks)
