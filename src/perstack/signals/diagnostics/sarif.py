"""SARIF 2.1.0, of any tool: results of all runs of all documents in the output. Pure.

Suppressed and absent results are read as what they are, no findings. A level that is missing comes from its rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from perstack.core.signals import Diagnostic
from perstack.core.verdict import ReasonCode
from perstack.signals.diagnostics.documents import documents
from perstack.signals.diagnostics.parsed import Parsed, Streams, first_line, number, severity, text

_VERSION = "2.1.0"


def parse_sarif(streams: Streams) -> Parsed:
    """Every SARIF document of both streams, taken together."""
    found = documents(streams)
    logs = [value for value in found.values if is_sarif(value)]
    parsed = Parsed(form="sarif")
    if not logs:
        broken = found.broken > 0
        code = ReasonCode.REPORT_INVALID if broken else ReasonCode.REPORT_MISSING
        return parsed.refuse(code, "the SARIF document is cut" if broken else "there is no SARIF document")
    if found.broken:
        parsed.refuse(ReasonCode.REPORT_INVALID, "a JSON document in the output is cut")
    add_logs(parsed, logs)
    return parsed


def is_sarif(value: object) -> bool:
    """Whether a JSON value is a SARIF log."""
    return isinstance(value, dict) and isinstance(value.get("runs"), list) and value.get("version") == _VERSION


def add_logs(parsed: Parsed, logs: Iterable[Mapping[str, Any]]) -> None:
    """Add the results of some logs, and the files they say were looked at."""
    for log in logs:
        for run in _tables(log.get("runs")):
            rules = _rules(run)
            bases = _table(run.get("originalUriBaseIds"))
            roots = {name: text(_table(entry).get("uri")) for name, entry in bases.items()}
            for result in _tables(run.get("results")):
                diagnostic = _diagnostic(result, rules, roots)
                if diagnostic is not None:
                    parsed.add(diagnostic)
            parsed.units += [_path(_table(entry.get("location")), roots) for entry in _tables(run.get("artifacts"))]


def _diagnostic(
    result: Mapping[str, Any], rules: Mapping[str, Mapping[str, Any]], roots: Mapping[str, str]
) -> Diagnostic | None:
    if result.get("kind", "fail") in {"pass", "notApplicable"} or result.get("baselineState") == "absent":
        return None
    if any(entry.get("status", "accepted") == "accepted" for entry in _tables(result.get("suppressions"))):
        return None
    index = _table(result.get("rule")).get("index", result.get("ruleIndex"))
    named = text(result.get("ruleId")) or text(_table(result.get("rule")).get("id"))
    rule = rules.get(f"#{index}") or rules.get(named, {})
    level = text(result.get("level")) or text(_table(rule.get("defaultConfiguration")).get("level")) or "warning"
    place = _table(next(iter(_tables(result.get("locations"))), {}).get("physicalLocation"))
    region = _table(place.get("region"))
    return Diagnostic(
        path=_path(_table(place.get("artifactLocation")), roots),
        line=number(region.get("startLine")),
        severity=severity(level),
        message=first_line(_message(_table(result.get("message")), rule)),
        column=number(region.get("startColumn")),
        code=named or text(rule.get("id")),
    )


def _rules(run: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The rules of a run by id, and by `#index`."""
    listed = _tables(_table(_table(run.get("tool")).get("driver")).get("rules"))
    by_index = {f"#{index}": rule for index, rule in enumerate(listed)}
    return {**{text(rule.get("id")): rule for rule in listed}, **by_index}


def _message(message: Mapping[str, Any], rule: Mapping[str, Any]) -> str:
    said = text(message.get("text")) or text(message.get("markdown"))
    if not said:
        template = _table(_table(rule.get("messageStrings")).get(text(message.get("id"))))
        said = text(template.get("text")) or text(message.get("id"))
    arguments = message.get("arguments")
    for index, argument in enumerate(arguments if isinstance(arguments, list) else []):
        said = said.replace(f"{{{index}}}", text(argument))
    return said


def _path(location: Mapping[str, Any], roots: Mapping[str, str]) -> str:
    uri = text(location.get("uri"))
    if ":" not in uri.partition("/")[0]:
        uri = roots.get(text(location.get("uriBaseId")), "") + uri
    parts = _split(uri)
    if parts is None:
        return uri
    scheme, path = parts
    if scheme == "file":
        path = unquote(path)
        return path[1:] if path[2:3] == ":" else path  # file:///C:/a.ts
    return unquote(uri)


def _split(uri: str) -> tuple[str, str] | None:
    try:
        parts = urlsplit(uri)
    except ValueError:
        return None
    return parts.scheme, parts.path


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _tables(value: object) -> list[Mapping[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
