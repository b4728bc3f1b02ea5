"""Reading TAP (13 and 14): every test line with its place among subtests, merged by identity to the worst outcome.

Both ways of nesting are read: a block in braces after its parent, and indented lines before it. A report without a
plan, or with fewer tests than planned, is a run that ended early.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TextIO

from perstack.core.signals import TestCase, TestStatus
from perstack.infrastructure import foreign
from perstack.signals.junit import CASE_LIMIT, SIZE_LIMIT, merge_worst
from perstack.signals.junit_case import ReportInvalid

_TEST: Final = re.compile(r"(?P<indent> *)(?P<ok>ok|not ok)\b(?: +(?P<number>\d+))?(?: +-)?(?: +(?P<rest>.*))?$")
_PLAN: Final = re.compile(r"(?P<indent> *)1\.\.(?P<count>\d+)\s*(?:#.*)?$")
_SUBTEST: Final = re.compile(r"(?P<indent> *)# Subtest: (?P<name>.*)$")
_DIRECTIVE: Final = re.compile(r"(?<!\\)#\s*(?P<word>skip|todo)\w*\b.*$", re.IGNORECASE)
_NOTE: Final = re.compile(r"\s+# time=\S+\s*$")
_LINE_LIMIT, _MESSAGE_LIMIT = 100_000, 4_000


@dataclass(slots=True)
class _Level:
    """Tests of one indentation. `names` lead to it."""

    names: tuple[str, ...]
    braces: bool = False
    seen: int = 0
    planned: int = -1


@dataclass(slots=True)
class _Reader:
    name: str
    levels: dict[int, _Level] = field(default_factory=lambda: {0: _Level(())})
    announced: dict[int, str] = field(default_factory=dict)
    yaml: str | None = None
    last: tuple[str, TestStatus] | None = None
    message: list[str] = field(default_factory=list)

    def read(self, line: str) -> Iterator[TestCase]:
        """The test that ends with this line, if one does."""
        bare = line.strip()
        if self.yaml is not None:
            self.message.append(line)
            self.yaml = None if line.rstrip() == f"{self.yaml}..." else self.yaml
        elif bare == "---":
            self.yaml = line[: line.index("-")]
        elif bare.startswith("Bail out!"):
            raise ReportInvalid(f"{self.name}: the tests gave up: {bare[:200]}")
        elif bare == "}" and self.levels[max(self.levels)].braces:
            self._close(max(self.levels))
        elif found := _SUBTEST.match(line):
            self.announced[len(found["indent"])] = found["name"].strip()
        elif found := _PLAN.match(line):
            self._level(len(found["indent"])).planned = int(found["count"])
        elif found := _TEST.match(line):
            yield from self.taken()
            self._test(found)
        elif bare.startswith("#"):
            self.message.append(bare.removeprefix("#"))

    def taken(self) -> Iterator[TestCase]:
        """The last test with what was said of it."""
        if self.last is not None:
            text = "\n".join(self.message)[:_MESSAGE_LIMIT] if self.last[1] is TestStatus.FAILED else ""
            yield TestCase(self.last[0], self.last[1], message=text)
        self.last, self.message = None, []

    def end(self) -> None:
        """Raises: ReportInvalid where tests are missing."""
        for indent in sorted(self.levels, reverse=True):
            self._close(indent)

    def _test(self, found: re.Match[str]) -> None:
        indent, rest = len(found["indent"]), (found["rest"] or "").strip()
        for deeper in [one for one in sorted(self.levels, reverse=True) if one > indent]:
            self._close(deeper)
        level = self._level(indent)
        level.seen += 1
        opens = rest.endswith("{")
        rest = _NOTE.sub("", rest.removesuffix("{").rstrip())
        directive = _DIRECTIVE.search(rest)
        plain = (rest[: directive.start()] if directive else rest).strip() or f"test {found['number'] or level.seen}"
        names = (*level.names, plain)
        self.last = "::".join(names), _status(found["ok"] == "ok", directive["word"].lower() if directive else "")
        self.announced.pop(indent, None)
        if opens:
            self.levels[indent + 4] = _Level(names, braces=True)

    def _level(self, indent: int) -> _Level:
        if indent not in self.levels:
            above = max((one for one in self.levels if one < indent), default=0)
            name = self.announced.get(above, "")
            self.levels[indent] = _Level((*self.levels[above].names, *([name] if name else [])))
        return self.levels[indent]

    def _close(self, indent: int) -> None:
        level = self.levels.pop(indent)
        if level.planned < 0 and (indent == 0 or level.seen):
            raise ReportInvalid(f"{self.name}: no plan (1..N): the tests ended early")
        if level.planned >= 0 and level.seen != level.planned:
            where = f" of {'::'.join(level.names)}" if level.names else ""
            raise ReportInvalid(f"{self.name}: {level.seen} test(s){where}, {level.planned} were planned")


def read_tap(path: Path) -> dict[str, TestCase]:
    """All tests of a report by identity, `parent::child`; a parent is a test of its own.

    Raises: ReportInvalid for what is cut, given up, too large or no TAP.
    """
    try:
        with io.TextIOWrapper(foreign.opened(path), encoding="utf-8", errors="replace") as file:
            if (size := os.fstat(file.fileno()).st_size) > SIZE_LIMIT:
                raise ReportInvalid(f"{path.name} has {size} bytes, the limit is {SIZE_LIMIT}")
            return merge_worst(_cases(path.name, file))
    except OSError as error:
        raise ReportInvalid(f"{path.name} is not a regular file") from error


def _cases(name: str, file: TextIO) -> Iterator[TestCase]:
    reader, count = _Reader(name), 0
    while line := file.readline(_LINE_LIMIT):
        for case in reader.read(line.rstrip("\r\n")):
            count += 1
            yield case
        if count > CASE_LIMIT:
            raise ReportInvalid(f"{name} has more than {CASE_LIMIT} tests")
    yield from reader.taken()
    reader.end()


def _status(ok: bool, directive: str) -> TestStatus:
    if directive == "skip":
        return TestStatus.SKIPPED
    if directive == "todo":
        return TestStatus.XPASSED if ok else TestStatus.XFAILED
    return TestStatus.PASSED if ok else TestStatus.FAILED
