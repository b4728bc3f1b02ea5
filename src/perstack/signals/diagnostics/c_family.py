"""gcc, g++, clang, clang-tidy, ld, cmake and make: JSON of gcc, SARIF of both, and the text all of them share. Pure.

Notes explain the diagnostic before them and are not diagnostics of their own.
"""

# ruff: noqa: E501  # a pattern is easier to check in one piece

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from perstack.core.signals import Diagnostic
from perstack.core.verdict import ReasonCode
from perstack.signals.diagnostics.documents import documents
from perstack.signals.diagnostics.parsed import Parsed, Streams, first_line, number, severity, text
from perstack.signals.diagnostics.sarif import add_logs, is_sarif

_WORDS = r"fatal error|error|warning|internal compiler error|sorry, unimplemented"
_HEAD = re.compile(
    rf"(?P<path>[^\s:(][^:(]*|[A-Za-z]:[\\/][^:(]*)"
    rf"(?::(?P<line>\d{{1,9}})(?::(?P<column>\d{{1,9}}))?(?::(?:\{{[\d:-]+\}})+)?|\((?P<line2>\d{{1,9}})(?:,(?P<column2>\d{{1,9}}))?\))"
    rf" ?: (?P<severity>{_WORDS}): (?P<message>.*)"
)
_DRIVER = re.compile(
    rf"(?:\S*/)?(?P<path>[\w.+-]*(?:gcc|g\+\+|clang(?:\+\+)?|cc1(?:plus)?|cc|c\+\+|collect2)(?:-\d+)?): (?P<severity>{_WORDS}): (?P<message>.*)"
)
_OPTION = re.compile(r" \[(?P<code>-W[^\],\s]+|-f[\w-]+|[a-z][\w.]*-[\w.,-]+)(?:,[^\]]*)?\]$")
_LINKER = re.compile(
    r"(?:\S*ld(?:\.\w+)?: )?(?P<path>[^\s:]+\.(?:c|cc|cpp|cxx|m|s|o))(?::(?P<line>\d{1,9}))?:(?:\([^)]*\):)? "
    r"(?P<message>(?:undefined reference to|multiple definition of) .*)"
)
_CMAKE = re.compile(
    r"CMake (?P<severity>Error|Warning)(?: \(dev\))? at (?P<path>.+?):(?P<line>\d{1,9})(?: \((?P<code>\w+)\))?:$"
)


def parse_c(streams: Streams) -> Parsed:
    """Whatever form a compiler of the family wrote: JSON and SARIF documents, and text beside them."""
    found = documents(streams)
    logs = [value for value in found.values if is_sarif(value)]
    arrays = [value for value in found.values if _is_gcc(value)]
    parsed = Parsed(form="sarif" if logs else "json" if arrays else "text")
    if (logs or arrays) and found.broken:
        parsed.refuse(ReasonCode.REPORT_INVALID, "a document of diagnostics is cut")
    for array in arrays:
        for entry in array:
            if entry.get("kind") != "note":
                parsed.add(_gcc(entry))
    add_logs(parsed, logs)
    if logs or arrays:
        parsed.found = [diagnostic for diagnostic in parsed.found if diagnostic.severity != "note"]
        parsed.units.clear()
    if arrays:
        parsed.files = len(arrays)  # one document each time the compiler proper ran
    for diagnostic in _text(streams.lines):
        parsed.add(diagnostic)
    return parsed


def parse_c_text(streams: Streams) -> Parsed:
    """The text form alone, for output where a document can be anything."""
    parsed = Parsed()
    for diagnostic in _text(streams.lines):
        parsed.add(diagnostic)
    return parsed


def _is_gcc(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(entry, dict) and "kind" in entry and "message" in entry for entry in value
    )


def _gcc(entry: Mapping[str, Any]) -> Diagnostic:
    places = entry.get("locations")
    first = places[0] if isinstance(places, list) and places and isinstance(places[0], dict) else {}
    caret = first.get("caret")
    caret = caret if isinstance(caret, dict) else {}
    return Diagnostic(
        path=text(caret.get("file")),
        line=number(caret.get("line")),
        severity=severity(entry.get("kind")),
        message=first_line(text(entry.get("message"))),
        column=number(caret.get("display-column", caret.get("column"))),
        code=_code(text(entry.get("option"))),
    )


def _text(lines: Iterable[str]) -> Iterable[Diagnostic]:
    pending: Diagnostic | None = None  # a cmake error, whose message is on the lines below it
    for line in lines:
        if pending is not None and (line.startswith("  ") or not line.strip()):
            body = first_line(f"{pending.message} {line}")
            pending = Diagnostic(pending.path, pending.line, pending.severity, body, code=pending.code)
            continue
        if pending is not None:
            yield pending
            pending = None
        if (cmake := _CMAKE.match(line)) is not None:
            pending = Diagnostic(
                cmake["path"], number(cmake["line"]), severity(cmake["severity"]), "", code=cmake["code"] or "cmake"
            )
        elif (diagnostic := _line(line)) is not None:
            yield diagnostic
    if pending is not None:
        yield pending


def _line(line: str) -> Diagnostic | None:
    if ": " not in line:
        return None
    if (head := _HEAD.match(line)) is not None:
        message, code = _split_code(head["message"])
        place = number(head["line"] or head["line2"]), number(head["column"] or head["column2"])
        return Diagnostic(head["path"].strip(), place[0], severity(head["severity"]), message, place[1], code)
    if (linker := _LINKER.match(line)) is not None:
        message = first_line(linker["message"])
        return Diagnostic(linker["path"], number(linker["line"]), "error", message, code="ld")
    if (driver := _DRIVER.match(line)) is not None:
        message, code = _split_code(driver["message"])
        return Diagnostic("", 0, severity(driver["severity"]), message, code=code or "driver")
    return None


def _split_code(message: str) -> tuple[str, str]:
    option = _OPTION.search(message)
    if option is None:
        return first_line(re.sub(r" \[[A-Z]\w+ Issue\]$", "", message)), ""
    return first_line(message[: option.start()]), _code(option["code"])


def _code(option: str) -> str:
    """The option without `-Werror=`: a warning that became an error is the same finding."""
    return option.replace("-Werror=", "-W", 1)
