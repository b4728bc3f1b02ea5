"""Reading the output of a command that is not a tool itself (make, npm, a script): which parsers may speak. Pure.

A parser speaks only where the output carries its tool's own mark and at least half of what it found lies in the
tree. Several may: a build can start several tools. Where none may, the signal is its exit code and no more.
"""

# ruff: noqa: E501  # a pattern is easier to check in one piece

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from perstack.core.signals import Diagnostic
from perstack.signals.diagnostics.documents import documents
from perstack.signals.diagnostics.parsed import Parsed, Parser, Streams
from perstack.signals.diagnostics.places import Places
from perstack.signals.diagnostics.sarif import is_sarif
from perstack.signals.diagnostics.tools import TOOLS

# What only this tool writes. Patterns are matched line by line.
_MARKS: dict[str, str] = {
    "tsc": r"[^\s(].*\(\d+,\d+\): error TS\d+: |\S+:\d+:\d+ - error TS\d+: |error TS\d+: ",
    "mypy": r"Found \d+ errors? in \d+ files? \((?:checked|errors prevented)|Success: no issues found in \d+ source|\S+\.pyi?:\d+: error: .*  \[[\w-]+\]$",
    "pyright": r"\d+ errors?, \d+ warnings?, \d+ (?:informations?|notes?)",
    "ruff": r"Found \d+ errors?(?: \(|\.)|All checks passed!",
    "eslint": r"✖ \d+ problems? \(\d+ errors?, \d+ warnings?\)",
    "javac": r"\S.*\.java:\d+: (?:error|warning): ",
    "maven": r"\[(?:ERROR|WARNING)\] \S.*:\[\d+,\d+\] ",
    "rustc": r"\s*--> \S+\.rs:\d+:\d+|\S+\.rs:\d+:\d+: (?:error|warning)",
    "go": r"# [\w./-]+(?: \[.*\])?$|\./\S+\.go:\d+:\d+: |vet: ",
    "gcc": r"\S.*:\d+(?::\d+)?: (?:fatal error|error|warning): |.*undefined reference to |collect2: error|CMake (?:Error|Warning)",
}
_COMPILED = {name: re.compile(pattern) for name, pattern in _MARKS.items()}
# Their structured output says whose it is.
_STRUCTURED = frozenset({"eslint", "go", "mypy", "pyright", "ruff", "rustc"})


@dataclass(frozen=True, slots=True)
class Automatic:
    """The tools that were recognised, joined with `+`, and everything they said."""

    tool: str
    parsed: Parsed


def read_automatic(streams: Streams, places: Places) -> Automatic:
    """Every sure parser's reading, each place once."""
    kept = list(_without_echo(_readings(streams, places)))
    parsed = Parsed(form=next((reading.form for _, reading in kept), "text"))
    for _, reading in kept:
        for diagnostic in reading.found:
            parsed.add(diagnostic)
        parsed.units += reading.units
        if reading.problem:
            parsed.problem, parsed.problem_code = reading.problem, reading.problem_code
    return Automatic("+".join(name for name, _ in kept), parsed)


def _readings(streams: Streams, places: Places) -> Iterable[tuple[str, Parsed]]:
    values = documents(streams).values
    lines = streams.lines
    if any(is_sarif(value) for value in values):
        yield "sarif", TOOLS["sarif"].parse(streams)
    for name, mark in _COMPILED.items():
        structured = name in _STRUCTURED and bool(values)
        if not structured and not any(mark.match(line) for line in lines):
            continue
        reading = _within(TOOLS[name].parse, streams)
        if _is_sure(reading.found, places.path, places.exists):
            yield name, reading


def _within(parse: Parser, streams: Streams) -> Parsed:
    """A reading that is not spoilt by documents of other tools."""
    reading = parse(streams)
    if not reading.found:
        reading.problem = reading.problem_code = ""
    return reading


def _is_sure(found: list[Diagnostic], locate: Callable[[str], str], exists: Callable[[str], bool]) -> bool:
    placed = [diagnostic for diagnostic in found if diagnostic.path]
    inside = sum(exists(locate(diagnostic.path)) for diagnostic in placed)
    return bool(placed) and 2 * inside >= len(placed)


def _without_echo(readings: Iterable[tuple[str, Parsed]]) -> Iterable[tuple[str, Parsed]]:
    """Leave out what a later parser read from lines that an earlier one has read already."""
    seen: set[tuple[str, int]] = set()
    for name, reading in readings:
        reading.found = [d for d in reading.found if (d.path, d.line) not in seen]
        seen |= {(d.path, d.line) for d in reading.found}
        if reading.found:
            yield name, reading
