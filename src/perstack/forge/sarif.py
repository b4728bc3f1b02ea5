"""Findings as SARIF 2.1.0 text for code scanning: bounded, with fingerprints that survive moved lines. Pure.

Uploads nothing. Failing tests come in as findings at their places, like everything that is annotated.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import PurePosixPath
from urllib.parse import quote

from perstack.core.json import Json, compact
from perstack.core.signals import Diagnostic
from perstack.core.unicode import well_formed
from perstack.forge.check_documents import can_annotate, level, sorted_findings
from perstack.forge.limits import shorten

MAX_RESULTS = 5_000  # of a run; code scanning keeps no more
MAX_RULES = 500
MAX_MESSAGE = 1_000  # UTF-16 units: 5,000 of them stay far below the 10 MB of an upload
MAX_RULE_ID = 120
SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {"failure": "error", "warning": "warning", "notice": "note"}
_OTHER = "finding"


def sarif_text(findings: Sequence[Diagnostic], *, version: str, category: str = "perstack") -> str:
    """One run of one tool. `category` tells its uploads from others'; what is left out is counted in the run."""
    placed = [one for one in sorted_findings(findings) if can_annotate(one)]
    kept = placed[:MAX_RESULTS]
    rules = list(dict.fromkeys(_rule_id(one) for one in kept))[:MAX_RULES]
    index = {name: number for number, name in enumerate(rules)}
    seen: dict[str, int] = {}
    results = [_result(one, index, seen) for one in kept]
    left_out = len(findings) - len(kept)
    run: dict[str, Json] = {
        "tool": {"driver": {
            "name": "Perstack", "semanticVersion": version,
            "rules": [{"id": name, "shortDescription": {"text": name}} for name in rules],
        }},
        "automationDetails": {"id": f"{category}/"},
        "columnKind": "utf16CodeUnits",
        "results": results,
    }  # fmt: skip
    if left_out:
        note: dict[str, Json] = {"level": "note", "message": {"text": f"{left_out:,} more findings were left out."}}
        run["invocations"] = [{"executionSuccessful": True, "toolExecutionNotifications": [note]}]
    return compact({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]})


def _rule_id(one: Diagnostic) -> str:
    flat = " ".join(well_formed(one.code).split())
    return shorten(flat, MAX_RULE_ID) or _OTHER


def _result(one: Diagnostic, rules: dict[str, int], seen: dict[str, int]) -> Json:
    name = _rule_id(one)
    # One finding twice in a file is two alerts: the number keeps them apart, in order.
    mark = hashlib.sha256(well_formed(one.fingerprint).encode()).hexdigest()[:16]
    seen[mark] = seen.get(mark, 0) + 1
    region: dict[str, Json] = {"startLine": max(1, one.line)}
    if one.line > 0 and one.column > 0:
        region["startColumn"] = one.column
    result: dict[str, Json] = {
        "ruleId": name,
        "level": _LEVELS[level(one)],
        "message": {"text": shorten(well_formed(one.message.strip()), MAX_MESSAGE)},
        "locations": [{"physicalLocation": {
            "artifactLocation": {"uri": _uri(one.path), "uriBaseId": "%SRCROOT%"}, "region": region,
        }}],
        "partialFingerprints": {"primaryLocationLineHash": f"{mark}:{seen[mark]}"},
    }  # fmt: skip
    return {**result, "ruleIndex": rules[name]} if name in rules else {**result, "ruleId": _OTHER}


def _uri(path: str) -> str:
    """A relative URI reference: no scheme can be read into it, since colons are escaped."""
    return quote(str(PurePosixPath(well_formed(path))), safe="/-._~")
