"""go build and go vet: text, `go build -json` and `go vet -json`. Pure.

`go vet -json` ends with 0 whatever it finds, and old versions of go refuse `go build -json`: the verifier asks for
neither and reads both where a command has them.
"""

# ruff: noqa: E501  # a pattern is easier to check in one piece

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from perstack.core.signals import Diagnostic
from perstack.signals.diagnostics.documents import documents
from perstack.signals.diagnostics.parsed import Parsed, Streams, first_line, number, text

_LINE = re.compile(
    r"(?:vet: )?(?P<path>(?:[A-Za-z]:)?[^\s:][^:]*\.(?:go|s|c|h|mod)):(?P<line>\d{1,9})(?::(?P<column>\d{1,9}))?: (?P<message>.*)"
)
_POSITION = re.compile(r"(?P<path>.+?):(?P<line>\d{1,9})(?::(?P<column>\d{1,9}))?$")
_PACKAGE = re.compile(r"# (?P<name>[^\s\[]+)(?: \[.*\])?$")


def parse_go(streams: Streams) -> Parsed:
    """Whatever form there is. All findings of go's own tools are errors."""
    found = documents(streams)
    parsed = Parsed()
    for value in found.values:
        if not isinstance(value, dict):
            continue
        if value.get("Action") == "build-output":
            parsed.form = "json"
            _add_lines(parsed, [text(value.get("Output")).rstrip("\r\n")])
        elif value.get("Action") == "build-fail":
            parsed.form = "json"
        elif all(isinstance(entry, dict) for entry in value.values()):
            parsed.form = "json"
            _add_vet(parsed, value)
    _add_lines(parsed, streams.lines)
    return parsed


def _add_lines(parsed: Parsed, lines: list[str]) -> None:
    for line in lines:
        if (match := _LINE.match(line)) is not None:
            place = number(match["line"]), number(match["column"])
            parsed.add(Diagnostic(match["path"], place[0], "error", first_line(match["message"]), place[1]))


def _add_vet(parsed: Parsed, packages: Mapping[str, Any]) -> None:
    """Package → analyser → findings, or an object with `error` where the package could not be loaded."""
    for name, analysers in packages.items():
        for analyser, findings in analysers.items():
            if isinstance(findings, dict) and "error" in findings:
                parsed.add(Diagnostic("", 0, "error", first_line(f"{name}: {text(findings['error'])}"), code=analyser))
            for finding in findings if isinstance(findings, list) else []:
                where = _POSITION.match(text(finding.get("posn"))) if isinstance(finding, dict) else None
                if where is None:
                    continue
                place = number(where["line"]), number(where["column"])
                message = first_line(text(finding.get("message")))
                parsed.add(Diagnostic(where["path"], place[0], "error", message, place[1], analyser))
