"""Flaky tests that are known: told, never counted, never a target, and back after their day."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from perstack.core.errors import UserError
from perstack.core.experts import Quarantined, VerifySpec
from perstack.core.signals import Measurement, SignalKind, SignalRun, SignalSpec, SignalStatus, TestCase, TestStatus
from perstack.core.verdict import Report, Verdict
from perstack.definition.load import load_config
from perstack.interface.render.facts import colours, result_table
from perstack.signals.audit import audit
from perstack.signals.compare import compare
from perstack.signals.quarantine import Quarantine, forbidden_targets, names, remarks
from tests.signals.project import BUGGY, CALC, FIXED, PYTEST, Project, codes

DAY = date(2026, 11, 22)
SPEC = SignalSpec("tests", SignalKind.TEST, ("pytest",))
FLAKY = Quarantined("t.py::flaky[*", "2026-11-22", "see #12")


def runs(*tables: dict[str, str]) -> Measurement:
    def run(table: dict[str, str]) -> SignalRun:
        red = {"failed", "error"} & set(table.values())
        tests = {identity: TestCase(identity, TestStatus(word)) for identity, word in table.items()}
        return SignalRun(SignalStatus.FAIL if red else SignalStatus.PASS, 1.0, int(bool(red)), tests)

    return Measurement(SPEC, tuple(map(run, tables)))


@pytest.mark.parametrize(
    ("test", "identity", "means"),
    [
        ("t.py::a", "t.py::a", True),
        ("t.py::a", "t.py::ab", False),
        ("t.py::a[[x]]", "t.py::a[[x]]", True),
        ("t.py::a[*", "t.py::a[x]", True),
        ("t.py::a[*", "t.py::ax", False),
        ("t.py::?", "t.py::a", True),
        ("**/t.py::*", "deep/t.py::a", True),
        ("t.py", "t.py::a", False),
    ],
)
def test_an_entry_means_an_id_or_a_glob_in_which_brackets_are_brackets(test: str, identity: str, means: bool) -> None:
    assert names(Quarantined(test, "2026-12-31", "r"), identity) is means


def test_an_entry_holds_until_the_end_of_its_day() -> None:
    assert Quarantine.on(DAY, [FLAKY]).active == (FLAKY,)
    assert Quarantine.on(date(2026, 11, 23), [FLAKY]).expired == (FLAKY,)


def test_a_failure_in_quarantine_breaks_nothing_and_others_do() -> None:
    aside = Quarantine.on(DAY, [FLAKY]).set_aside
    base = runs({"t.py::a": "passed", "t.py::flaky[1]": "passed"})
    flaked = runs({"t.py::a": "passed", "t.py::flaky[1]": "failed"}, {"t.py::a": "passed", "t.py::flaky[1]": "passed"})
    assert compare(SPEC, base, flaked).reasons
    assert compare(SPEC, aside(base), aside(flaked)).reasons == ()
    broken = runs({"t.py::a": "failed", "t.py::flaky[1]": "failed"})
    assert [r.detail for r in compare(SPEC, aside(base), aside(broken)).reasons] == ["t.py::a"]


def test_a_test_in_quarantine_that_turns_green_proves_nothing() -> None:
    aside = Quarantine.on(DAY, [FLAKY]).set_aside
    base, fixed = runs({"t.py::a": "passed", "t.py::flaky[1]": "failed"}), runs({"t.py::a": "passed"})
    delta = compare(SPEC, aside(base), aside(fixed)).report.tests
    assert delta is not None
    assert delta.fail_to_pass == ()


def test_a_run_that_is_red_beyond_its_tests_stays_red() -> None:
    aside = Quarantine.on(DAY, [FLAKY]).set_aside
    run = replace(runs({"t.py::flaky[1]": "passed"}).runs[0], status=SignalStatus.FAIL, exit_code=3)
    assert aside(Measurement(SPEC, (run,))).runs[0].status is SignalStatus.FAIL


def test_it_cannot_be_a_target() -> None:
    quarantine = Quarantine.on(DAY, [FLAKY])
    (reason,) = forbidden_targets(quarantine, ["t.py::a", "t.py::flaky[1]"])
    assert reason.code.value == "nothing-red"
    assert "t.py::flaky[1] is in quarantine until 2026-11-22" in reason.detail


def test_people_are_told_what_was_set_aside_what_is_over_and_what_names_nothing() -> None:
    over, unknown = Quarantined("t.py::a", "2026-01-01", "old"), Quarantined("t.py::gone", "2027-01-01", "who knows")
    quarantine = Quarantine.on(DAY, [FLAKY, over, unknown])
    cases = [TestCase("t.py::flaky[1]", TestStatus.FAILED)]
    assert remarks(quarantine, ["t.py::a", "t.py::flaky[1]"], cases) == (
        "t.py::flaky[1] is in quarantine until 2026-11-22 (see #12): failed, and does not count",
        "t.py::a: its quarantine ended on 2026-01-01; it counts again",
        "t.py::gone is in quarantine, and the base has no such test",
    )


def test_the_list_is_read_from_the_configuration_and_needs_a_day_and_a_reason() -> None:
    text = '[verify]\nquarantine = [{ test = "a::b", until = "2026-12-31", reason = "see #1" }]\n'
    assert load_config(text).verify.quarantine == (Quarantined("a::b", "2026-12-31", "see #1"),)
    for wrong in (
        text.replace("2026-12-31", "2026-13-41"),
        text.replace("2026-12-31", "soon"),
        text.replace("see #1", ""),
    ):
        with pytest.raises(UserError, match="quarantine"):
            load_config(wrong)


FLIPPING = """
import pathlib, uuid


def test_flaky():
    assert uuid.uuid4().int % 2 == 3
"""


@pytest.mark.slow
@pytest.mark.anyio
async def test_a_verification_tells_it_keeps_it_in_evidence_and_judges_the_rest(tmp_path: Path) -> None:
    project = Project.make(tmp_path, {**CALC, "tests/test_flaky.py": FLIPPING})
    entry = Quarantined("tests/test_flaky.py::*", "2026-12-31", "a coin")
    request = await project.request(project.patch({"calc.py": FIXED}), PYTEST)
    request = replace(request, verify=VerifySpec(quarantine=(entry,)), out=tmp_path / "out", today=DAY)
    report = await project.verifier().verify(request)
    assert report.verdict is Verdict.PASS, report.reasons
    assert [case.id for case in report.signals[0].quarantined] == ["tests/test_flaky.py::test_flaky"]
    assert any("is in quarantine until 2026-12-31 (a coin): failed" in remark for remark in report.remarks)
    assert audit(tmp_path / "out" / "evidence.json").verdict is Verdict.PASS
    late = await project.verifier().verify(replace(request, today=date(2027, 1, 1), out=None))
    assert "still-failing" in codes(late)
    assert any("it counts again" in remark for remark in late.remarks)


@pytest.mark.slow
@pytest.mark.anyio
async def test_a_candidate_cannot_put_its_failures_in_quarantine(tmp_path: Path) -> None:
    project = Project.make(tmp_path, {**CALC, "perstack.toml": ""})
    hidden = '[verify]\nquarantine = [{ test = "*", until = "2099-12-31", reason = "x" }]\n'
    report = await project.verify({"perstack.toml": hidden, "calc.py": BUGGY + "\nX = 1\n"})
    assert report.verdict is Verdict.FAIL
    assert {"protected-path", "still-failing"} <= codes(report)


def test_comments_count_and_name_what_was_set_aside() -> None:
    aside = Quarantine.on(DAY, [FLAKY])
    base = runs({"t.py::a": "passed", "t.py::flaky[1]": "failed"})
    found = compare(SPEC, aside.set_aside(base), aside.set_aside(base))
    signal = replace(found.report, quarantined=aside.cases(base))
    assert colours([signal]) == "1 stayed green, 1 in quarantine"
    assert "in quarantine, not counted" in result_table(Report(Verdict.PASS, (), (signal,)))
    assert signal.to_json()["quarantined"] == [{"id": "t.py::flaky[1]", "status": "failed"}]
