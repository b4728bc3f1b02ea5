"""A git patch as data: headers, modes, renames, hunks; and the text a file has after it.

Written by hand because the policy must see what parsers for people skip: quoted paths, mode-only sections, binary
sections, several sections for one path. Strict: what it does not understand is an error, never ignored.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_GIT_HEADER = re.compile(r'diff --git ("?a/.*) ("?b/.*)')
_ESCAPES = {"a": 7, "b": 8, "t": 9, "n": 10, "v": 11, "f": 12, "r": 13, '"': 34, "\\": 92}
_EMPTY_BLOB = "/dev/null"


class PatchUnreadable(ValueError):
    """The text is not a patch this reader understands. `line` is 1-based in the patch text."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True, slots=True)
class Hunk:
    """One hunk. `lines` keep their first character (` `, `+`, `-`); line ends are cut off."""

    old_start: int
    new_start: int
    lines: tuple[str, ...]
    old_no_newline: bool = False
    new_no_newline: bool = False

    @property
    def old(self) -> tuple[str, ...]:
        return tuple(line[1:] for line in self.lines if line[0] != "+")

    @property
    def new(self) -> tuple[str, ...]:
        return tuple(line[1:] for line in self.lines if line[0] != "-")


@dataclass(frozen=True, slots=True)
class FileChange:
    """One section of a patch. A missing side is the empty string; modes are empty where the patch does not say."""

    old_path: str
    new_path: str
    old_mode: str = ""
    new_mode: str = ""
    kind: str = "modified"  # added | deleted | modified | renamed | copied
    binary: bool = False
    hunks: tuple[Hunk, ...] = ()

    @property
    def path(self) -> str:
        """The path after the change, or before it where the file is deleted."""
        return self.new_path or self.old_path

    def added_lines(self) -> list[tuple[int, str]]:
        """New text with 1-based line numbers in the new file."""
        found: list[tuple[int, str]] = []
        for hunk in self.hunks:
            number = hunk.new_start
            for line in hunk.lines:
                if line[0] == "+":
                    found.append((number, line[1:]))
                number += line[0] != "-"
        return found

    def removed_lines(self) -> list[str]:
        """Old text that is gone."""
        return [line[1:] for hunk in self.hunks for line in hunk.lines if line[0] == "-"]

    @property
    def changed(self) -> int:
        return sum(line[0] != " " for hunk in self.hunks for line in hunk.lines)


@dataclass(slots=True)
class _Section:
    """What has been read of one section so far."""

    start: int
    git_old: str = ""
    git_new: str = ""
    old_path: str | None = None
    new_path: str | None = None
    old_mode: str = ""
    new_mode: str = ""
    kind: str = "modified"
    binary: bool = False
    hunks: list[Hunk] = field(default_factory=list)


def parse_patch(text: str) -> tuple[FileChange, ...]:
    """Read a patch. Text before the first section (a mail header, say) is skipped.

    Raises: PatchUnreadable.
    """
    return _Reader(text).read()


class _Reader:
    """One pass over the lines, which end at `\\n` only: other separators belong to the content."""

    def __init__(self, text: str) -> None:
        self.lines = text.removesuffix("\n").split("\n")
        self.at = 0
        self.sections: list[_Section] = []

    def read(self) -> tuple[FileChange, ...]:
        while self.at < len(self.lines):
            line = self.lines[self.at]
            if line.startswith("diff --git "):
                self._git_header(line)
            elif line.startswith("--- ") and self._peek(1).startswith("+++ "):
                self._names(line)
            elif line.startswith("@@ "):
                self._hunk()
            elif line.startswith(("GIT binary patch", "Binary files ")):
                self._binary()
            elif self.sections and not self.sections[-1].hunks:
                self._extended(line)
            elif line.startswith(("diff --cc", "diff --combined")):
                raise PatchUnreadable("a combined diff cannot be verified", self.at + 1)
            elif self.sections and line not in {"", "-- "} and not self._is_trailer():
                raise PatchUnreadable(f"not part of any hunk: {line[:80]!r}", self.at + 1)
            self.at += 1
        return tuple(_finish(section) for section in self.sections)

    def _peek(self, ahead: int) -> str:
        return self.lines[self.at + ahead] if self.at + ahead < len(self.lines) else ""

    def _is_trailer(self) -> bool:
        """`git format-patch` ends with `-- ` and a version line."""
        return self.at > 0 and self.lines[self.at - 1] == "-- "

    def _git_header(self, line: str) -> None:
        section = _Section(self.at + 1)
        section.git_old, section.git_new = split_header(line.removeprefix("diff --git "), self.at + 1)
        self.sections.append(section)

    def _names(self, line: str) -> None:
        current = self.sections[-1] if self.sections else None
        if current is None or current.hunks or current.old_path is not None:
            current = _Section(self.at + 1)
            self.sections.append(current)
        current.old_path = _side(line[4:], "a/", self.at + 1)
        current.new_path = _side(self._peek(1)[4:], "b/", self.at + 2)
        self.at += 1

    def _extended(self, line: str) -> None:
        section = self.sections[-1]
        for prefix, name in (("old mode ", "old_mode"), ("new mode ", "new_mode")):
            if line.startswith(prefix):
                setattr(section, name, line.removeprefix(prefix).strip())
        if line.startswith("new file mode "):
            section.kind, section.new_mode = "added", line.removeprefix("new file mode ").strip()
        elif line.startswith("deleted file mode "):
            section.kind, section.old_mode = "deleted", line.removeprefix("deleted file mode ").strip()
        elif line.startswith(("rename from ", "copy from ")):
            section.kind = "renamed" if line.startswith("rename") else "copied"
            section.git_old = unquote(line.partition(" from ")[2], self.at + 1)
        elif line.startswith(("rename to ", "copy to ")):
            section.git_new = unquote(line.partition(" to ")[2], self.at + 1)
        elif match := re.match(r"index [0-9a-f]+\.\.[0-9a-f]+ (\d{6})$", line):
            section.old_mode = section.new_mode = match[1]

    def _binary(self) -> None:
        if not self.sections:
            raise PatchUnreadable("binary data before any file header", self.at + 1)
        self.sections[-1].binary = True
        while self.at + 1 < len(self.lines) and not self.lines[self.at + 1].startswith(("diff --git ", "-- ")):
            self.at += 1

    def _hunk(self) -> None:
        head = self.lines[self.at]
        match = _HUNK.match(head)
        if match is None or not self.sections or self.sections[-1].binary:
            raise PatchUnreadable(f"not a hunk header: {head[:80]!r}", self.at + 1)
        old_left, new_left = int(match[2] or 1), int(match[4] or 1)
        lines: list[str] = []
        bare: set[str] = set()
        start = self.at
        while old_left > 0 or new_left > 0 or self._peek(1).startswith("\\ "):
            self.at += 1
            if self.at >= len(self.lines):
                raise PatchUnreadable("the hunk ends too early", start + 1)
            line = self.lines[self.at] or " "  # some mailers strip the space of an empty context line
            if line.startswith("\\ "):
                bare |= {"-", "+"} if lines and lines[-1][0] == " " else {lines[-1][0]} if lines else set()
                continue
            if line[0] not in " +-":
                raise PatchUnreadable(f"not a line of a hunk: {line[:80]!r}", self.at + 1)
            old_left -= line[0] != "+"
            new_left -= line[0] != "-"
            lines.append(line)
        if old_left or new_left:
            raise PatchUnreadable("the hunk's line counts are wrong", start + 1)
        self.sections[-1].hunks.append(Hunk(int(match[1]), int(match[3]), tuple(lines), "-" in bare, "+" in bare))


def _finish(section: _Section) -> FileChange:
    old = section.old_path if section.old_path is not None else section.git_old
    new = section.new_path if section.new_path is not None else section.git_new
    if section.git_old and section.old_path not in {None, "", section.git_old}:
        raise PatchUnreadable(f"two names for one file: {section.git_old} and {section.old_path}", section.start)
    if section.git_new and section.new_path not in {None, "", section.git_new}:
        raise PatchUnreadable(f"two names for one file: {section.git_new} and {section.new_path}", section.start)
    kind = section.kind
    if kind == "added" or (kind == "modified" and not old):
        kind, old = "added", ""
    elif kind == "deleted" or (kind == "modified" and not new):
        kind, new = "deleted", ""
    elif kind == "modified" and old != new:
        kind = "renamed"
    if not old and not new:
        raise PatchUnreadable("a section without a path", section.start)
    return FileChange(old, new, section.old_mode, section.new_mode, kind, section.binary, tuple(section.hunks))


def split_header(rest: str, line: int) -> tuple[str, str]:
    """The two paths of a `diff --git` line; unquoted paths may hold spaces, then both sides are the same."""
    if rest.startswith('"'):
        end = _closing_quote(rest, line)
        return _strip(unquote(rest[: end + 1], line), "a/"), _strip(unquote(rest[end + 2 :], line), "b/")
    if rest.endswith('"'):
        left, _, right = rest.partition(' "')
        return _strip(left, "a/"), _strip(unquote(f'"{right}', line), "b/")
    middle = len(rest) // 2
    if rest[middle : middle + 1] == " " and _strip(rest[:middle], "a/") == _strip(rest[middle + 1 :], "b/"):
        return _strip(rest[:middle], "a/"), _strip(rest[middle + 1 :], "b/")
    left, separator, right = rest.partition(" b/")
    if not separator:
        raise PatchUnreadable(f"paths not understood: {rest[:120]!r}", line)
    return _strip(left, "a/"), right


def _side(text: str, prefix: str, line: int) -> str:
    name = unquote(text if text.startswith('"') else text.split("\t", 1)[0].rstrip("\r"), line)
    return "" if name == _EMPTY_BLOB else _strip(name, prefix)


def _strip(name: str, prefix: str) -> str:
    return name.removeprefix(prefix)


def _closing_quote(text: str, line: int) -> int:
    at = 1
    while at < len(text):
        if text[at] == "\\":
            at += 1
        elif text[at] == '"':
            return at
        at += 1
    raise PatchUnreadable(f"a quoted path does not end: {text[:80]!r}", line)


def unquote(text: str, line: int) -> str:
    """A path as git writes it, C-quoted or plain."""
    if not text.startswith('"'):
        return text
    body = text[1 : _closing_quote(text, line)]
    raw = bytearray()
    at = 0
    while at < len(body):
        if body[at] != "\\":
            raw += body[at].encode("utf-8", "surrogateescape")
            at += 1
        elif body[at + 1] in _ESCAPES:
            raw.append(_ESCAPES[body[at + 1]])
            at += 2
        elif re.match(r"[0-3][0-7]{2}", body[at + 1 :]):
            raw.append(int(body[at + 1 : at + 4], 8))
            at += 4
        else:
            raise PatchUnreadable(f"a quoted path has an unknown escape: {text[:80]!r}", line)
    return raw.decode("utf-8", "surrogateescape")


def apply_hunks(base: str, hunks: Sequence[Hunk]) -> str | None:
    """The text after the hunks, each found at its line or at the nearest place it fits; None where one does not."""
    lines = base.split("\n")
    ends_bare = not base.endswith("\n")
    if not ends_bare:
        lines.pop()
    elif not base:
        lines, ends_bare = [], False
    result: list[str] = []
    done = 0
    for hunk in hunks:
        wanted = list(hunk.old)
        expected = max(hunk.old_start - 1, 0) if wanted else hunk.old_start
        at = _find(lines, wanted, expected, done)
        if at is None:
            return None
        result += lines[done:at]
        result += hunk.new
        done = at + len(wanted)
        if done == len(lines):
            ends_bare = hunk.new_no_newline or (ends_bare and not hunk.old_no_newline and not hunk.new)
    result += lines[done:]
    return "\n".join(result) + ("" if ends_bare or not result else "\n")


def _find(lines: Sequence[str], wanted: Sequence[str], expected: int, lowest: int) -> int | None:
    last = len(lines) - len(wanted)
    places = (p for p in sorted(range(lowest, last + 1), key=lambda place: abs(place - expected)))
    return next((p for p in places if list(lines[p : p + len(wanted)]) == list(wanted)), None)
