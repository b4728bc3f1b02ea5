"""The second source of a jest or vitest run: the tool's own results file, held against the channel."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from perstack.core.json import JsonObject
from perstack.core.signals import TestCase, TestStatus
from perstack.core.verdict import ReasonCode
from perstack.infrastructure import foreign
from perstack.signals.node.canary import NodeCanaries
from perstack.signals.node.results import Problem

_SIZE_LIMIT = 200_000_000


def check_report(
    report: Path, tests: Mapping[str, TestCase], canaries: NodeCanaries, finish: JsonObject
) -> Problem | None:
    """Compare the tool's file with the channel: as many tests of each title, and as many of them passed."""
    try:
        data = foreign.read(report, _SIZE_LIMIT)
    except OSError:
        return Problem(ReasonCode.REPORT_MISSING, "the runner's results file is missing")
    if hashlib.sha256(data).hexdigest() != finish.get("report"):
        return Problem(ReasonCode.RESULTS_DISAGREE, "the runner's results file was changed after the run")
    try:
        theirs = _passed(json.loads(data), canaries)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        return Problem(ReasonCode.REPORT_INVALID, f"the runner's results file cannot be read: {error}")
    ours = Counter(
        identity.partition("::")[2].replace("::", " ")
        for identity, case in tests.items()
        if case.status is TestStatus.PASSED and "::" in identity
    )
    surplus = ours - theirs
    if surplus:
        text = f"the results channel and the runner's file disagree, first about {min(surplus)}"
        return Problem(ReasonCode.RESULTS_DISAGREE, text)
    return None


def _passed(document: JsonObject, canaries: NodeCanaries) -> Counter[str]:
    """Full titles of what the file says has passed."""
    found: Counter[str] = Counter()
    for file in document["testResults"]:  # type: ignore[union-attr]
        for case in file["assertionResults"]:  # type: ignore[index,call-overload,union-attr]
            title = " ".join([*case["ancestorTitles"], case["title"]])  # type: ignore[index,call-overload,list-item,misc]
            if case["status"] == "passed" and not canaries.is_mine(title):  # type: ignore[index,call-overload]
                found[title] += 1
    return found
