"""A patch as lines for a page: numbers of both sides, what no signal noticed, and findings at their lines. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from perstack.core.json import Json, JsonObject
from perstack.interface.report.findings import Finding

_HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@")
MOST_LINES = 6_000  # of all files together; the whole patch lies beside the page


@dataclass(frozen=True, slots=True)
class DiffLine:
    """One line. `sign` is `+`, `-`, a space, or a backslash for what git remarks on the line before.

    Numbers of 0 are not there on that side. `notes` are findings at this line.
    """

    sign: str
    old: int
    new: int
    text: str
    notes: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Hunk:
    """Part of a file's change. `verified` is None where it was not looked at, False where no signal noticed it."""

    head: str
    lines: tuple[DiffLine, ...]
    verified: bool | None = None


@dataclass(frozen=True, slots=True)
class FileDiff:
    """One file of a patch. `left_out` lines did not fit; `state` says what else happened to it: new, deleted, …"""

    path: str
    hunks: tuple[Hunk, ...]
    state: str = ""
    added: int = 0
    removed: int = 0
    left_out: int = 0


def files_of(patch: str, necessity: Sequence[JsonObject], findings: Sequence[Finding]) -> tuple[FileDiff, ...]:
    """The files of a git patch, in order. Text that is no patch gives none."""
    verdicts = {(row.get("path"), row.get("hunk")): row.get("verified") is True for row in necessity}
    notes = _notes(findings)
    room = MOST_LINES
    found = []
    for section in re.split(r"^(?=diff --git )", patch, flags=re.MULTILINE):
        if section.startswith("diff --git "):
            one = _file(section, verdicts, notes, room)
            room = max(0, room - sum(len(hunk.lines) for hunk in one.hunks))
            found.append(one)
    return tuple(found)


def _file(
    section: str,
    verdicts: Mapping[tuple[Json, Json], bool],
    notes: Mapping[tuple[str, int], tuple[Finding, ...]],
    room: int,
) -> FileDiff:
    path = _path(section)
    hunks: list[Hunk] = []
    added = removed = left_out = 0
    for number, part in enumerate(re.split(r"^(?=@@ )", section, flags=re.MULTILINE)[1:], 1):
        head, _, body = part.partition("\n")
        lines = _lines(path, head, body, notes)
        added += sum(line.sign == "+" for line in lines)
        removed += sum(line.sign == "-" for line in lines)
        shown = lines[:room]
        left_out += len(lines) - len(shown)
        room -= len(shown)
        hunks.append(Hunk(head, tuple(shown), verdicts.get((path, number))))
    return FileDiff(path, tuple(hunks), _state(section), added, removed, left_out)


def _path(section: str) -> str:
    for pattern in (r"\+\+\+ b/(.*)", r"--- a/(.*)", r"rename to (.*)", r"diff --git a/.* b/(.*)"):
        if match := re.search(f"^{pattern}$", section, re.MULTILINE):
            return match[1].rstrip("\t\r")
    # Git quotes a path that holds quotes, control characters or a backslash.
    if match := re.search(r'^(?:\+\+\+|---|rename to|diff --git .*) "(?:[ab]/)?(.*)"$', section, re.MULTILINE):
        raw = _QUOTED.sub(_unquoted, match[1].encode("utf-8", "replace"))
        return raw.decode("utf-8", "replace")
    return "?"


_QUOTED = re.compile(rb"\\([0-7]{3}|.)")
_ESCAPES = {b"n": b"\n", b"t": b"\t", b"r": b"\r"}


def _unquoted(match: re.Match[bytes]) -> bytes:
    text = match[1]
    return bytes([int(text, 8) & 255]) if len(text) == 3 else _ESCAPES.get(text, text)


_STATES = (
    (r"^new file mode (?!100644)", "new, not a plain file"), (r"^new file mode ", "new"),
    (r"^deleted file mode ", "deleted"), (r"^rename from (.*)$", "moved from"), (r"^new mode ", "of another mode"),
    (r"^(?:GIT binary patch|Binary files )", "binary"),
)  # fmt: skip


def _state(section: str) -> str:
    """What the head of a file's section says beside its lines."""
    head = re.split(r"^@@ ", section, maxsplit=1, flags=re.MULTILINE)[0]
    for pattern, word in _STATES:
        if match := re.search(pattern, head, re.MULTILINE):
            return f"{word} {match[1]}" if match.groups() else word
    return ""


def _lines(path: str, head: str, body: str, notes: Mapping[tuple[str, int], tuple[Finding, ...]]) -> list[DiffLine]:
    match = _HUNK.match(head)
    old, new = (int(match[1]), int(match[2])) if match else (0, 0)
    found = []
    for line in body.split("\n"):
        sign, text = line[:1], line[1:]
        if sign == "+":
            found.append(DiffLine("+", 0, new, text, notes.get((path, new), ())))
            new += 1
        elif sign == "-":
            found.append(DiffLine("-", old, 0, text))
            old += 1
        elif sign == " ":
            found.append(DiffLine(" ", old, new, text, notes.get((path, new), ())))
            old, new = old + 1, new + 1
        elif sign == "\\":
            found.append(DiffLine(sign, 0, 0, text))
    return found


def _notes(findings: Sequence[Finding]) -> dict[tuple[str, int], tuple[Finding, ...]]:
    notes: dict[tuple[str, int], tuple[Finding, ...]] = {}
    for one in findings:
        notes[one.path, one.line] = (*notes.get((one.path, one.line), ()), one)
    return notes
