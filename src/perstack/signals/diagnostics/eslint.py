"""eslint: JSON (with or without metadata) and the stylish text. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from perstack.core.signals import Diagnostic
from perstack.core.verdict import ReasonCode
from perstack.signals.diagnostics.documents import documents
from perstack.signals.diagnostics.parsed import Parsed, Streams, first_line, number, severity, text

_ROW = re.compile(r"\s+(?P<line>\d{1,9}):(?P<column>\d{1,9})\s+(?P<severity>error|warning)\s+(?P<message>.*)")
_RULE = re.compile(r"(?P<message>.*?\S)\s{2,}(?P<code>[@\w/-]+)\s*")


def parse_eslint(streams: Streams) -> Parsed:
    """JSON where there is any, else the stylish text. Units are all files that were linted, clean ones included."""
    found = documents(streams)
    lists = [files for value in found.values if (files := _files(value)) is not None]
    if not lists:
        return (
            _stylish(streams)
            if not found.broken
            else Parsed().refuse(ReasonCode.REPORT_INVALID, "eslint's JSON is cut")
        )
    parsed = Parsed(form="json")
    if found.broken:
        parsed.refuse(ReasonCode.REPORT_INVALID, "a JSON document in the output is cut")
    for files in lists:
        for file in files:
            path = text(file.get("filePath"))
            parsed.units.append(path)
            messages = file.get("messages")
            for message in messages if isinstance(messages, list) else []:
                if isinstance(message, dict):
                    parsed.add(_message(path, message))
    return parsed


def _files(value: object) -> list[Mapping[str, Any]] | None:
    """The per-file results of a document of eslint's, None for another document."""
    listed = value.get("results") if isinstance(value, dict) and "metadata" in value else value
    if not isinstance(listed, list) or not all(isinstance(e, dict) and "filePath" in e for e in listed):
        return None
    return listed


def _message(path: str, message: Mapping[str, Any]) -> Diagnostic:
    bad = message.get("severity") == 2 or message.get("fatal") is True
    return Diagnostic(
        path=path,
        line=number(message.get("line")),
        severity="error" if bad else "warning",
        message=first_line(text(message.get("message"))),
        column=number(message.get("column")),
        code=text(message.get("ruleId")),
    )


def _stylish(streams: Streams) -> Parsed:
    """A file on a line of its own, its findings indented below it."""
    parsed = Parsed()
    path = ""
    for line in streams.lines:
        row = _ROW.match(line)
        if row is None:
            path = line.strip() if line and not line[0].isspace() else "" if line.strip() else path
            continue
        rule = _RULE.fullmatch(row["message"])
        message = rule["message"] if rule is not None else row["message"]
        place = number(row["line"]), number(row["column"])
        code = rule["code"] if rule is not None else ""
        parsed.add(Diagnostic(path, place[0], severity(row["severity"]), first_line(message), place[1], code))
    return parsed
