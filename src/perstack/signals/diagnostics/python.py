"""mypy, pyright and ruff: their JSON and their text. Pure."""

# ruff: noqa: E501  # a pattern is easier to check in one piece

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from perstack.core.signals import Diagnostic
from perstack.core.verdict import ReasonCode
from perstack.signals.diagnostics.documents import documents, objects
from perstack.signals.diagnostics.parsed import LINE_LIMIT, Parsed, Streams, first_line, number, severity, text

_MYPY = re.compile(
    r"(?P<path>(?:[A-Za-z]:)?[^\s:][^:]*):(?:(?P<line>\d{1,9}):)?(?:(?P<column>\d{1,9}):)?(?:\d{1,9}:\d{1,9}:)? "
    r"(?P<severity>error|warning): (?P<message>.*?)(?:  \[(?P<code>[\w-]+)\])?$"
)
_MYPY_CHECKED = re.compile(
    r"(?:Found \d+ errors? in \d+ files? \(checked|Success: no issues found in) (\d{1,9}) source files?\)?$"
)
_PYRIGHT = re.compile(
    r"\s+(?P<path>\S.*?):(?P<line>\d{1,9}):(?P<column>\d{1,9}) - (?P<severity>error|warning|information): "
    r"(?P<message>.*?)(?: \((?P<code>report\w+)\))?$"
)
_CODE = r"(?P<code>[A-Z]{1,10}\d{2,5}|invalid-syntax|[a-z]+(?:-[a-z]+)+)"
_RUFF_CONCISE = re.compile(
    rf"(?P<path>(?:[A-Za-z]:)?[^\s:][^:]*):(?:cell \d+:)?(?P<line>\d{{1,9}}):(?P<column>\d{{1,9}}): {_CODE}:? (?:\[\*\] )?(?P<message>.*)"
)
_RUFF_FULL = re.compile(rf"{_CODE}:? (?:\[\*\] )?(?P<message>\S.*)")
_RUFF_ROW = re.compile(rf"\s+(?P<line>\d{{1,9}}):(?P<column>\d{{1,9}})\s+{_CODE}:? (?:\[\*\] )?(?P<message>.*)")
_RUFF_FILE = re.compile(r"(?P<path>\S.*):$")
_RUFF_ARROW = re.compile(r"\s*--> (?P<path>.+?):(?P<line>\d{1,9}):(?P<column>\d{1,9})$")


def parse_mypy(streams: Streams) -> Parsed:
    """JSON lines where there are any, else the text. Without a finding JSON is empty: then nothing is a reading."""
    lines = objects(streams)
    rows = [row for row in lines.values if "file" in row and "severity" in row]
    parsed = Parsed(form="json" if rows else "text")
    if lines.broken:
        parsed.refuse(ReasonCode.REPORT_INVALID, "a JSON line of mypy's is cut")
    for row in rows:
        if row.get("severity") != "note":
            parsed.add(_mypy_row(row))
    for line in streams.lines:
        if not rows and (match := _MYPY.match(line)) is not None:
            place = number(match["line"]), number(match["column"])
            message, code = first_line(match["message"]), match["code"] or ""
            parsed.add(Diagnostic(match["path"], place[0], severity(match["severity"]), message, place[1], code))
        elif (checked := _MYPY_CHECKED.match(line)) is not None:
            parsed.files = number(checked[1])
    return parsed


def _mypy_row(row: Mapping[str, Any]) -> Diagnostic:
    column = row.get("column")
    return Diagnostic(
        path=text(row.get("file")),
        line=number(row.get("line")),
        severity=severity(row.get("severity")),
        message=first_line(text(row.get("message"))),
        column=number(column + 1) if isinstance(column, int) else 0,
        code=text(row.get("code")),
    )


def parse_pyright(streams: Streams) -> Parsed:
    """The JSON document, else the text."""
    found = documents(streams)
    logs = [
        value for value in found.values if isinstance(value, dict) and isinstance(value.get("generalDiagnostics"), list)
    ]
    parsed = Parsed(form="json" if logs else "text")
    if found.broken:
        parsed.refuse(ReasonCode.REPORT_INVALID, "pyright's JSON is cut")
    for log in logs:
        summary = log.get("summary")
        analysed = summary.get("filesAnalyzed") if isinstance(summary, dict) else None
        parsed.files = analysed if isinstance(analysed, int) and not isinstance(analysed, bool) else -1
        for row in log["generalDiagnostics"]:
            if isinstance(row, dict):
                parsed.add(_pyright_row(row))
    for line in _joined(streams.lines) if not logs else ():
        if (match := _PYRIGHT.match(line)) is not None:
            place = number(match["line"]), number(match["column"])
            message, code = first_line(match["message"]), match["code"] or ""
            parsed.add(Diagnostic(match["path"], place[0], severity(match["severity"]), message, place[1], code))
    return parsed


def _joined(lines: list[str]) -> list[str]:
    """Lines of pyright's text with the deeper ones, which go on with a message, at the end of theirs."""
    joined: list[str] = []
    for line in lines:
        if joined and line[:4].isspace() and len(line) > 4 and len(joined[-1]) < LINE_LIMIT:
            joined[-1] += f" {line.strip()}"
        else:
            joined.append(line)
    return joined


def _pyright_row(row: Mapping[str, Any]) -> Diagnostic:
    area = row.get("range")
    start = area.get("start") if isinstance(area, dict) else None
    start = start if isinstance(start, dict) else {}
    line, column = start.get("line"), start.get("character")
    return Diagnostic(
        path=text(row.get("file")) or text(row.get("uri")).removeprefix("file://"),
        line=number(line + 1) if isinstance(line, int) else 0,
        severity=severity(row.get("severity")),
        message=first_line(text(row.get("message"))),
        column=number(column + 1) if isinstance(column, int) else 0,
        code=text(row.get("rule")),
    )


def parse_ruff(streams: Streams) -> Parsed:
    """JSON and JSON lines, else the full, concise or grouped text."""
    found = documents(streams)
    rows = [row for value in found.values for row in (value if isinstance(value, list) else [value]) if _is_ruff(row)]
    empty = any(value == [] for value in found.values)
    parsed = Parsed(form="json" if rows or empty else "text")
    if found.broken and streams.stdout.lstrip().startswith(("[", "{")):
        parsed.refuse(ReasonCode.REPORT_INVALID, "ruff's JSON is cut")
    for row in rows:
        parsed.add(_ruff_row(row))
    if parsed.form == "text":
        _ruff_text(parsed, streams.lines)
    return parsed


def _is_ruff(row: object) -> bool:
    return isinstance(row, dict) and "filename" in row and "location" in row and "message" in row


def _ruff_row(row: Mapping[str, Any]) -> Diagnostic:
    place = row.get("location")
    place = place if isinstance(place, dict) else {}
    return Diagnostic(
        path=text(row.get("filename")),
        line=number(place.get("row")),
        severity=severity(row.get("severity") or "error"),
        message=first_line(text(row.get("message"))),
        column=number(place.get("column")),
        code=text(row.get("code")) or "invalid-syntax",
    )


def _ruff_text(parsed: Parsed, lines: list[str]) -> None:
    head: re.Match[str] | None = None
    file: re.Match[str] | None = None
    for line in lines:
        if (concise := _RUFF_CONCISE.match(line)) is not None:
            _ruff_add(parsed, concise, concise["path"], concise)
        elif head is not None and (arrow := _RUFF_ARROW.match(line)) is not None:
            _ruff_add(parsed, head, arrow["path"], arrow)
            head = None
        elif file is not None and (row := _RUFF_ROW.match(line)) is not None:
            _ruff_add(parsed, row, file["path"], row)
        else:
            head = _RUFF_FULL.match(line)
            file = _RUFF_FILE.match(line)


def _ruff_add(parsed: Parsed, head: re.Match[str], path: str, place: re.Match[str]) -> None:
    line, column = number(place["line"]), number(place["column"])
    parsed.add(Diagnostic(path, line, "error", first_line(head["message"]), column, head["code"]))
