"""rustc and cargo: JSON messages, and the long and the short text. Pure.

Cargo repeats a message for each target that includes the file; each is read once.
"""

# ruff: noqa: E501  # a pattern is easier to check in one piece

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from perstack.core.signals import Diagnostic
from perstack.core.verdict import ReasonCode
from perstack.signals.diagnostics.documents import objects
from perstack.signals.diagnostics.parsed import Parsed, Streams, first_line, number, severity, text, unique

_SHORT = re.compile(
    r"(?P<path>[^\s:][^:]*):(?P<line>\d{1,9}):(?P<column>\d{1,9}): (?P<severity>warning|error)(?:\[(?P<code>[\w:]+)\])?: (?P<message>.*)"
)
_LONG = re.compile(r"(?P<severity>warning|error)(?:\[(?P<code>[\w:]+)\])?: (?P<message>.*)")
_ARROW = re.compile(r"\s*--> (?P<path>.+?):(?P<line>\d{1,9}):(?P<column>\d{1,9})$")
_SUMMARY = re.compile(
    r"aborting due to|could not compile|`?\S+`? \(.*\) generated \d+ warning|\d+ warnings? emitted|build failed"
)


def parse_rust(streams: Streams) -> Parsed:
    """JSON where there is any, the text otherwise."""
    lines = objects(streams)
    messages = [value for value in lines.values if "reason" in value or value.get("$message_type") == "diagnostic"]
    if not messages:
        return _text(streams)
    parsed = Parsed(form="json")
    if lines.broken:
        parsed.refuse(ReasonCode.REPORT_INVALID, "a JSON message is cut")
    cargo = [value for value in messages if "reason" in value]
    bare = [value for value in messages if value.get("$message_type") == "diagnostic" and "reason" not in value]
    if cargo and cargo[-1].get("reason") != "build-finished":
        parsed.refuse(ReasonCode.REPORT_MISSING, "cargo did not write its last message, `build-finished`")
    compiled = [value.get("message") for value in cargo if value.get("reason") == "compiler-message"]
    everything = [_message(value) for value in [*bare, *compiled] if isinstance(value, dict)]
    for diagnostic in unique(d for d in everything if d is not None):
        parsed.add(diagnostic)
    parsed.units = list(
        dict.fromkeys(_target(v) for v in cargo if v.get("reason") in {"compiler-artifact", "compiler-message"})
    )
    return parsed


def _target(value: Mapping[str, Any]) -> str:
    """A compiled target as `target kind name`: no path, which would differ between machines."""
    target = value.get("target")
    target = target if isinstance(target, dict) else {}
    kinds = target.get("kind")
    kind = "+".join(map(str, kinds)) if isinstance(kinds, list) else ""
    return f"target {kind} {text(target.get('name'))}"


def _message(value: Mapping[str, Any]) -> Diagnostic | None:
    message, level = text(value.get("message")), text(value.get("level"))
    if level in {"note", "help", "failure-note"} or _SUMMARY.search(message):
        return None
    spans = value.get("spans")
    primary = (
        next((s for s in spans if isinstance(s, dict) and s.get("is_primary")), {}) if isinstance(spans, list) else {}
    )
    span = _outside_macros(primary)
    code = value.get("code")
    return Diagnostic(
        path=text(span.get("file_name")),
        line=number(span.get("line_start")),
        severity=severity(level),
        message=first_line(message),
        column=number(span.get("column_start")),
        code=text(code.get("code")) if isinstance(code, dict) else "",
    )


def _outside_macros(span: Mapping[str, Any]) -> Mapping[str, Any]:
    """Where the outermost macro was called: a place of the project rather than of a library."""
    for _ in range(64):
        expansion = span.get("expansion")
        inner = expansion.get("span") if isinstance(expansion, dict) else None
        if not isinstance(inner, dict) or text(inner.get("file_name")).startswith("<"):
            return span
        span = inner
    return span


def _text(streams: Streams) -> Parsed:
    found: list[Diagnostic] = []
    head: re.Match[str] | None = None
    for line in streams.lines:
        arrow = _ARROW.match(line) if head is not None else None
        if head is not None and arrow is not None:
            found.append(_from_text(head, arrow["path"], arrow["line"], arrow["column"]))
            head = None
            continue
        if not line.startswith((" ", "\t", "|")):
            if head is not None and line and not _SUMMARY.search(head["message"]):
                found.append(_from_text(head, "", "", ""))
            head = head if not line else None
        if (short := _SHORT.match(line)) is not None:
            found.append(_from_text(short, short["path"], short["line"], short["column"]))
        elif (long := _LONG.match(line)) is not None:
            head = long
    if head is not None and not _SUMMARY.search(head["message"]):
        found.append(_from_text(head, "", "", ""))
    parsed = Parsed()
    for diagnostic in unique(found):
        parsed.add(diagnostic)
    return parsed


def _from_text(head: re.Match[str], path: str, line: str, column: str) -> Diagnostic:
    message, code = first_line(head["message"]), head["code"] or ""
    return Diagnostic(path, number(line), severity(head["severity"]), message, number(column), code)
