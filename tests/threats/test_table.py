"""No attack without a test, no mark without an attack, and the page says what is marked and recorded."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

from tests.threats.catalogue import THREATS
from tests.threats.marks import ROOT, marked
from tests.threats.recording import PROPERTY, Recorder
from tests.threats.table import PAGE, RESULTS, table


def test_every_attack_has_a_test_and_every_mark_an_attack() -> None:
    tests = marked()
    assert set(tests) == set(THREATS)


def test_recorded_tests_exist() -> None:
    for test in json.loads(RESULTS.read_text("utf-8"))["tests"]:
        place, _, name = test.partition("::")
        assert f"def {name}(" in (ROOT / place).read_text("utf-8"), f"{test} is gone: take it out of {RESULTS.name}"


def test_the_page_is_fresh() -> None:
    assert table() in PAGE.read_text("utf-8"), "run `python -m tests.threats`"


def test_another_engines_results_stand_beside_those_of_docker(tmp_path: Path) -> None:
    kept = tmp_path / "results.json"
    kept.write_text('{"date": "2001-01-01", "tests": {"t.py::test_a": {"docker": "passed", "harness": "passed"}}}')
    recorder = Recorder(kept, "podman")
    for place, where, outcome in (("[docker]", "docker", "failed"), ("[bubblewrap]", "bubblewrap", "passed")):
        report = SimpleNamespace(
            nodeid=f"t.py::test_a{place}",
            user_properties=[(PROPERTY, where)],
            when="call",
            outcome=outcome,
            passed=False,
        )
        recorder.pytest_runtest_logreport(report)  # type: ignore[arg-type]
    recorder.pytest_sessionfinish()
    found = json.loads(kept.read_text())
    assert found["date"] == "2001-01-01"
    assert found["tests"] == {"t.py::test_a": {"docker": "passed", "harness": "passed", "podman": "failed"}}
    assert set(found["engines"]) == {"podman"}
