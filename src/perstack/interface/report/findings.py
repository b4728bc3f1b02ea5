"""What a verification found at places: diagnostics, failing tests, the policy's findings. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from perstack.core.json import JsonObject
from perstack.interface.history.reading import object_of, objects_of, text_of

MOST = 2_000


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding. `line` is 0 where it is of a whole file; `by` is the signal or step that found it.

    `kind`: `error`, `warning`, or `before` for what the base has as well.
    """

    path: str
    line: int
    text: str
    by: str = ""
    kind: str = "error"


def findings_of(report: JsonObject) -> tuple[Finding, ...]:
    """Every finding that names a file, each once; the policy's first, at most `MOST`."""
    return tuple(dict.fromkeys(one for one in _all(report) if one.path and one.text))[:MOST]


def _all(report: JsonObject) -> Iterable[Finding]:
    for row in objects_of(report.get("policy")):
        kind = "error" if row.get("blocks") is not False else "warning"
        yield Finding(text_of(row.get("path")), _line(row), text_of(row.get("detail")), text_of(row.get("code")), kind)
    for signal in objects_of(report.get("signals")):
        name = text_of(signal.get("name"))
        for row in objects_of(signal.get("failures")):
            case = text_of(row.get("id")).rpartition("::")[2]
            yield Finding(text_of(row.get("path")), _line(row), f"{case}: {text_of(row.get('message'))}", name)
        changes = object_of(signal.get("changes"))
        fresh = {_place(row) for row in objects_of(changes.get("new"))}
        for row in (*objects_of(changes.get("new")), *objects_of(signal.get("diagnostics"))):
            kind = "warning" if text_of(row.get("severity")) not in {"", "error"} else "error"
            old = bool(changes) and _place(row) not in fresh
            yield Finding(text_of(row.get("path")), _line(row), _said(row), name, "before" if old else kind)


def _said(row: JsonObject) -> str:
    code, message = text_of(row.get("code")), text_of(row.get("message"))
    return f"{message} ({code})" if code and code not in message else message


def _place(row: JsonObject) -> tuple[str, int, str]:
    return text_of(row.get("path")), _line(row), text_of(row.get("message"))


def _line(row: JsonObject) -> int:
    line = row.get("line")
    return line if isinstance(line, int) and not isinstance(line, bool) else 0
