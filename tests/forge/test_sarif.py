"""SARIF for code scanning: valid shape, bounded, fingerprints that survive, addresses that stay in the repository."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from perstack.core.signals import Diagnostic
from perstack.forge.sarif import MAX_RESULTS, sarif_text

ONE = Diagnostic("src/a b.py", 12, "error", "undefined name `x`", 5, "F821")

FINDINGS = st.builds(
    Diagnostic, st.text(max_size=30), st.integers(-5, 10**9), st.text(max_size=10), st.text(max_size=3000),
    st.integers(-5, 10**6), st.text(max_size=300),
)  # fmt: skip


def run_of(*findings: Diagnostic) -> dict[str, Any]:
    document = json.loads(sarif_text(findings, version="1.2.3"))
    assert document["version"] == "2.1.0"
    (run,) = document["runs"]
    return dict(run)


def test_a_finding_has_place_level_rule_and_fingerprint() -> None:
    run = run_of(ONE)
    (result,) = run["results"]
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "src/a%20b.py", "uriBaseId": "%SRCROOT%"}
    assert place["region"] == {"startLine": 12, "startColumn": 5}
    assert (result["level"], result["ruleId"], result["ruleIndex"]) == ("error", "F821", 0)
    assert run["tool"]["driver"]["rules"][0]["id"] == "F821"
    assert run["tool"]["driver"]["semanticVersion"] == "1.2.3"
    assert run["automationDetails"]["id"] == "perstack/"


def test_a_fingerprint_survives_moved_lines_and_tells_twins_apart() -> None:
    marks = [r["partialFingerprints"]["primaryLocationLineHash"] for r in run_of(ONE, replace(ONE, line=40))["results"]]
    assert marks[0].partition(":")[0] == marks[1].partition(":")[0]
    assert marks[0] != marks[1]
    (moved,) = run_of(replace(ONE, line=99, severity="warning"))["results"]
    assert moved["partialFingerprints"]["primaryLocationLineHash"] == marks[0]


def test_five_thousand_are_kept_the_worst_first_and_the_rest_is_counted() -> None:
    many = [Diagnostic("a.py", n, "warning", f"w{n}", code=f"W{n}") for n in range(1, 6_001)]
    run = run_of(*many, ONE)
    assert len(run["results"]) == MAX_RESULTS
    assert run["results"][0]["message"]["text"] == ONE.message
    assert len(run["tool"]["driver"]["rules"]) <= 500
    note = run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"]
    assert note == "1,001 more findings were left out."


@settings(max_examples=20, deadline=None)
@given(st.lists(FINDINGS, max_size=8))
def test_whatever_tools_report_it_is_valid_and_inside_the_repository(findings: list[Diagnostic]) -> None:
    text = sarif_text(findings, version="0")
    text.encode()
    run = json.loads(text)["runs"][0]
    left = run.get("invocations", [{"toolExecutionNotifications": []}])[0]["toolExecutionNotifications"]
    assert len(run["results"]) == len(findings) or left
    for result in run["results"]:
        uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        assert uri
        assert not uri.startswith("/")
        assert ":" not in uri
        assert ".." not in uri.split("/")
        region = result["locations"][0]["physicalLocation"]["region"]
        assert region["startLine"] >= 1
        assert result["level"] in {"error", "warning", "note"}
        assert 0 < len(result["message"]["text"]) <= 1_000
