"""javac (plain, and raw with `-XDrawDiagnostics`) and Maven's compiler plugin: text only. Pure.

Maven prints each error twice; each is read once.
"""

# ruff: noqa: E501  # a pattern is easier to check in one piece

from __future__ import annotations

import re

from perstack.core.signals import Diagnostic
from perstack.signals.diagnostics.parsed import Parsed, Streams, first_line, number, severity, unique

_PLAIN = re.compile(
    r"(?P<path>[^\s:].*?\.java):(?P<line>\d{1,9}): (?P<severity>error|warning): (?:\[(?P<code>[\w-]+)\] )?(?P<message>.*)"
)
_RAW = re.compile(
    r"(?P<path>[^\s:].*?\.java):(?P<line>\d{1,9}):(?P<column>\d{1,9}): compiler\.(?P<severity>err|warn)\.(?P<code>[\w.]+): ?(?P<message>.*)"
)
_MAVEN = re.compile(
    r"\[(?P<severity>ERROR|WARNING)\] (?P<path>\S.*?\.(?:java|kt|scala|groovy)):\[(?P<line>\d{1,9}),(?P<column>\d{1,9})\] (?:error: |warning: )?(?:\[(?P<code>[\w-]+)\] )?(?P<message>.*)"
)
_BARE = re.compile(r"(?P<severity>error|warning): (?:\[(?P<code>[\w-]+)\] )?(?P<message>.*)")
_CARET = re.compile(r"( *)\^$")
_DETAIL = re.compile(r"\s+(?:symbol|location):\s+(.*)")
_REACH = 8  # lines below a diagnostic in which its caret and details stand


def parse_javac(streams: Streams) -> Parsed:
    """Diagnostics; the column comes from the caret below the source line."""
    parsed = Parsed()
    lines = streams.lines
    for index, line in enumerate(lines):
        if (raw := _RAW.match(line)) is not None:
            place = number(raw["line"]), number(raw["column"])
            level = "error" if raw["severity"] == "err" else "warning"
            parsed.add(Diagnostic(raw["path"], place[0], level, first_line(raw["message"]), place[1], raw["code"]))
        elif (plain := _PLAIN.match(line)) is not None:
            column, detail = _below(lines, index)
            message = first_line(f"{plain['message']} {detail}")
            level, code = severity(plain["severity"]), plain["code"] or ""
            parsed.add(Diagnostic(plain["path"], number(plain["line"]), level, message, column, code))
        elif (bare := _BARE.match(line)) is not None:
            parsed.add(
                Diagnostic("", 0, severity(bare["severity"]), first_line(bare["message"]), code=bare["code"] or "")
            )
    return parsed


def parse_maven(streams: Streams) -> Parsed:
    """Diagnostics of the compiler plugin. Anything else that breaks a build is left to the exit code."""
    found = []
    for line in streams.lines:
        if (match := _MAVEN.match(line)) is not None:
            place = number(match["line"]), number(match["column"])
            message, code = first_line(match["message"]), match["code"] or ""
            found.append(Diagnostic(match["path"], place[0], severity(match["severity"]), message, place[1], code))
    parsed = Parsed()
    for diagnostic in unique(found):
        parsed.add(diagnostic)
    return parsed


def _below(lines: list[str], index: int) -> tuple[int, str]:
    """The caret's column, and the symbol that was not found: without it all such errors of a file look alike."""
    column, details = 0, []
    for line in lines[index + 1 : index + 1 + _REACH]:
        if _PLAIN.match(line):
            break
        if not column and (caret := _CARET.match(line)) is not None:
            column = len(caret[1]) + 1
        elif column and (detail := _DETAIL.match(line)) is not None:
            details.append(detail[1])
    return column, f"({'; '.join(details)})" if details else ""
