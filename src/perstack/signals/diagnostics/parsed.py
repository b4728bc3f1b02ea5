"""What every parser of this folder takes and gives, and how raw bytes become text that is safe to read.

Parsers are pure. They say what a tool printed, never what it means. Whatever a program prints can only add
diagnostics or spoil a reading; nothing it prints takes a diagnostic away.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from perstack.core.signals import Diagnostic
from perstack.core.verdict import ReasonCode

MESSAGE_LIMIT = 1_000
LINE_LIMIT = 20_000
LINES_LIMIT = 2_000_000
DIAGNOSTIC_LIMIT = 50_000
_NUMBER_LIMIT = 1_000_000_000
# colour and cursor sequences, titles and links of terminals
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-Z\\-_]")
_LINE_END = re.compile(r"\r\n|\n|\r")
_SEVERITIES = {
    "error": "error", "fatal error": "error", "fatal": "error", "internal compiler error": "error",
    "error: internal compiler error": "error", "sorry, unimplemented": "error", "failure": "error",
    "warning": "warning", "warn": "warning",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Streams:
    """Both streams of a finished tool as text, without terminal sequences."""

    stdout: str = ""
    stderr: str = ""

    @classmethod
    def decode(cls, stdout: bytes, stderr: bytes) -> Streams:
        """Undecodable bytes are replaced."""
        return cls(_clean(stdout), _clean(stderr))

    @property
    def too_many(self) -> bool:
        """Whether there are more lines than can be read in bounded time."""
        return sum(text.count("\n") + text.count("\r") for text in (self.stdout, self.stderr)) > LINES_LIMIT

    @property
    def lines(self) -> list[str]:
        """Standard error first, then standard output, each line cut at `LINE_LIMIT`."""
        return [*_lines(self.stderr), *_lines(self.stdout)]


@dataclass(slots=True)
class Parsed:
    """What a parser found. `problem` says why the output cannot be taken as a reading; empty otherwise."""

    found: list[Diagnostic] = field(default_factory=list)
    form: str = "text"
    units: list[str] = field(default_factory=list)
    files: int = -1
    problem: str = ""
    problem_code: str = ""

    def refuse(self, code: ReasonCode, problem: str) -> Parsed:
        """The same reading, spoilt."""
        self.problem, self.problem_code = self.problem or problem, self.problem_code or code.value
        return self

    def add(self, diagnostic: Diagnostic) -> None:
        """Take one more, within the limit."""
        if len(self.found) >= DIAGNOSTIC_LIMIT:
            self.refuse(ReasonCode.OUTPUT_LIMIT, f"more than {DIAGNOSTIC_LIMIT} diagnostics")
            return
        self.found.append(diagnostic)


Parser: TypeAlias = Callable[[Streams], Parsed]


def severity(word: object) -> str:
    """One of `error`, `warning`, `note` for a tool's own word."""
    return _SEVERITIES.get(str(word).lower(), "note")


def text(value: object) -> str:
    """A string of a document, or nothing."""
    return value if isinstance(value, str) else ""


def number(value: object) -> int:
    """A position of a document or a text; 0 for nonsense."""
    if isinstance(value, bool):
        return 0
    if isinstance(value, str):
        value = int(value) if value.isdecimal() and len(value) < 10 else 0
    return value if isinstance(value, int) and 0 < value < _NUMBER_LIMIT else 0


def first_line(message: str) -> str:
    """A message on one line and within its limit."""
    joined = " ".join(message[: 4 * MESSAGE_LIMIT].split())
    return joined[:MESSAGE_LIMIT]


def unique(found: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Each diagnostic once, in order: for tools that repeat themselves in a summary or per target."""
    return list(dict.fromkeys(found))


def _clean(raw: bytes) -> str:
    decoded = raw.decode("utf-8-sig", "replace")
    return _ESCAPES.sub("", decoded) if "\x1b" in decoded else decoded


def _lines(value: str) -> list[str]:
    return [line[:LINE_LIMIT] for line in _LINE_END.split(value)]
