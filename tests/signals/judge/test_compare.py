"""What differences between base and candidate mean, test by test."""

from __future__ import annotations

import pytest

from perstack.core.signals import (
    Diagnostic,
    Measurement,
    Priority,
    SignalKind,
    SignalRun,
    SignalSpec,
    SignalStatus,
    TestCase,
    TestStatus,
)
from perstack.core.verdict import ReasonCode
from perstack.signals.compare import Comparison, compare, unknown_targets, with_test_change

TESTS = SignalSpec("tests", SignalKind.TEST, ("pytest",))
P, F, E, S = TestStatus.PASSED, TestStatus.FAILED, TestStatus.ERROR, TestStatus.SKIPPED
X = TestStatus.XFAILED


def run(message: str = "", **statuses: TestStatus) -> SignalRun:
    """One run; keyword `a` is the test `t.py::a`, a trailing `_file` names a file."""
    tests = {}
    for name, status in statuses.items():
        identity = f"{name[:-5]}.py" if name.endswith("_file") else f"t.py::{name}"
        tests[identity] = TestCase(identity, status, message=message)
    red = any(status in {F, E} for status in statuses.values())
    return SignalRun(SignalStatus.FAIL if red else SignalStatus.PASS, 1.0, int(red), tests)


def judged(base: list[SignalRun], candidate: list[SignalRun], *targets: str) -> Comparison:
    return compare(TESTS, Measurement(TESTS, tuple(base)), Measurement(TESTS, tuple(candidate)), targets)


def codes(comparison: Comparison) -> list[str]:
    return [reason.code.value for reason in comparison.reasons]


def test_red_to_green_with_everything_else_kept_has_no_reasons() -> None:
    result = judged([run(a=F, b=P)], [run(a=P, b=P)])
    assert result.reasons == ()
    assert result.report.tests is not None
    assert result.report.tests.fail_to_pass == ("t.py::a",)
    assert result.report.tests.pass_to_pass == 1


def test_a_target_that_the_base_does_not_know_proves_nothing() -> None:
    found = Diagnostic("src/a.c", 3, "error", "no semicolon")
    base = [
        Measurement(TESTS, (run(a=F),)),
        Measurement(TESTS, (SignalRun(SignalStatus.FAIL, 1.0, 1, diagnostics=(found,)),)),
    ]
    assert unknown_targets(base, ("t.py", "t.py::a", "src", "src/a.c:3")) == ()
    unknown = unknown_targets(base, ("t.py::aa", "", "median"))
    assert [r.code for r in unknown] == [ReasonCode.NOTHING_RED] * 3
    assert unknown[0].detail.endswith("of the base commit; there is 't.py::a'")
    assert unknown[2].detail.endswith("of the base commit; red there is 't.py::a'")


@pytest.mark.parametrize(
    ("base", "now", "code"),
    [
        (P, F, "test-broken"),
        (P, E, "test-broken"),
        (P, S, "test-skipped"),
        (P, X, "test-skipped"),
        (P, TestStatus.XPASSED, "test-skipped"),
        (F, F, "still-failing"),
        (F, S, "test-skipped"),
        (F, X, "test-skipped"),
        (S, F, "test-broken"),
        (X, F, "test-broken"),
    ],
)
def test_only_passed_is_passed(base: TestStatus, now: TestStatus, code: str) -> None:
    assert code in codes(judged([run(a=base, z=F)], [run(a=now, z=P)]))


@pytest.mark.parametrize("status", [P, F, S, X])
def test_no_identity_may_vanish(status: TestStatus) -> None:
    assert codes(judged([run(a=status, b=F)], [run(b=P)])) == ["test-vanished"]


def test_a_test_missing_from_one_repeat_is_not_passed() -> None:
    assert codes(judged([run(a=P, b=F)] * 2, [run(a=P, b=P), run(b=P)])) == ["test-flaky"]
    assert codes(judged([run(a=P, b=F)] * 2, [run(b=P), run(b=P)])) == ["test-vanished"]


def test_disagreeing_repeats_are_flaky_and_never_green() -> None:
    result = judged([run(a=F)] * 2, [run(a=P), run(a=F)])
    assert codes(result) == ["test-flaky"]
    assert result.report.tests is not None
    assert result.report.tests.fail_to_pass == ()
    assert result.report.status is SignalStatus.FLAKY


def test_a_test_flaky_on_the_base_proves_nothing_and_breaks_nothing() -> None:
    unstable = [run(a=F, b=P), run(a=P, b=P)]
    assert codes(judged(unstable, [run(a=F, b=P)] * 2)) == []
    claimed = judged(unstable, [run(a=P, b=P)] * 2, "t.py::a")
    assert [reason.code for reason in claimed.claim] == [ReasonCode.BASELINE_FLAKY]


def test_with_targets_other_red_tests_are_shown_and_not_judged() -> None:
    result = judged([run(a=F, b=F)], [run(a=P, b=F)], "t.py::a")
    assert result.reasons == ()
    assert result.report.tests is not None
    assert result.report.tests.still_failing == ("t.py::b",)


def test_a_target_names_its_parameter_sets() -> None:
    case = "t.py::a[1]"
    red = SignalRun(SignalStatus.FAIL, 1, 1, {case: TestCase(case, F)})
    assert codes(judged([red], [red], "t.py::a")) == ["still-failing"]


def test_a_target_that_is_green_on_the_base_is_no_proof() -> None:
    result = judged([run(a=P, b=F)], [run(a=P, b=P)], "t.py::a")
    assert [reason.code for reason in result.claim] == [ReasonCode.NOTHING_RED]


def test_a_file_that_cannot_be_collected_is_not_behaviour() -> None:
    result = judged([run(a=P, t_file=E)], [run(a=P, t_file=E)])
    assert result.reasons == ()
    assert [reason.code for reason in result.claim] == [ReasonCode.RED_NOT_BEHAVIOURAL]


def test_a_base_failure_for_want_of_network_is_not_held_against_the_candidate() -> None:
    base = run("socket.gaierror: Temporary failure in name resolution", a=F)
    base = SignalRun(base.status, 1, 1, {**base.tests, "t.py::b": TestCase("t.py::b", F)})
    now = SignalRun(SignalStatus.FAIL, 1, 1, {"t.py::a": base.tests["t.py::a"], "t.py::b": TestCase("t.py::b", P)})
    assert codes(judged([base], [now])) == []


def test_an_added_failing_test_counts_against_and_a_passing_one_not_for() -> None:
    assert codes(judged([run(a=F)], [run(a=P, n=F)])) == ["test-broken"]
    added = judged([run(a=F)], [run(a=P, n=P)])
    assert added.report.tests is not None
    assert added.report.tests.added == ("t.py::n",)
    assert added.report.tests.pass_to_pass == 0


def test_a_strict_expected_failure_that_passes_asks_for_a_test_change() -> None:
    now = run("[XPASS(strict)] known bug", a=F)
    now = SignalRun(SignalStatus.FAIL, 1, 1, {**now.tests, "t.py::b": TestCase("t.py::b", P)})
    assert codes(judged([run(a=X, b=F)], [now])) == ["test-change-needed"]


def test_exit_code_and_cases_must_agree() -> None:
    lying = SignalRun(SignalStatus.PASS, 1, 0, {"t.py::a": TestCase("t.py::a", F)})
    assert "results-disagree" in codes(judged([run(a=P)], [lying]))
    silent = SignalRun(SignalStatus.FAIL, 1, 1, {"t.py::a": TestCase("t.py::a", P)})
    assert codes(judged([run(a=F)], [silent])) == ["results-disagree"]


@pytest.mark.parametrize("code", ["report-missing", "timed-out", "collection-error", "foreign-module"])
def test_a_problem_of_the_candidate_keeps_its_code(code: str) -> None:
    bad = SignalRun(SignalStatus.ERROR, 1, 1, problem="it went wrong", problem_code=code)
    assert codes(judged([run(a=F)], [run(a=P), bad])) == [code]


def test_a_base_that_could_not_be_measured_is_an_error_and_one_without_tests_says_so() -> None:
    broken = SignalRun(SignalStatus.ERROR, 1, 1, problem="no report", problem_code="report-missing")
    assert codes(judged([broken], [run(a=P)])) == ["baseline-error"]
    assert codes(judged([SignalRun(SignalStatus.PASS, 1, 0)], [run(a=P)])) == ["no-tests"]
    uncollected = SignalRun(SignalStatus.ERROR, 1, 2, problem="import error", problem_code="collection-error")
    assert codes(judged([uncollected], [run(a=P)])) == ["red-not-behavioural"]


def test_failures_healed_by_edited_tests_ask_for_a_human() -> None:
    restored = judged([run(a=F, b=P)], [run(a=P, b=F)])
    own = Measurement(TESTS, (run(a=P, b=P),))
    assert codes(with_test_change(restored, own, {"t.py"})) == ["test-change-needed"]
    assert codes(with_test_change(restored, own, {"other.py"})) == ["test-broken"]
    assert codes(with_test_change(restored, Measurement(TESTS, (run(a=P, b=F),)), {"t.py"})) == ["test-broken"]


COMMAND = SignalSpec("build", SignalKind.COMMAND, ("make",))
GREEN, RED, BROKEN = (
    SignalRun(SignalStatus.PASS, 1, 0),
    SignalRun(SignalStatus.FAIL, 1, 2),
    SignalRun(SignalStatus.ERROR, 1, None, problem="x", problem_code="timed-out"),
)


@pytest.mark.parametrize(
    ("base", "now", "wanted"),
    [
        ([GREEN], [GREEN], []),
        ([RED], [GREEN], []),
        ([GREEN], [RED], ["command-failed"]),
        ([RED], [RED], ["still-failing"]),
        ([GREEN], [GREEN, RED], ["test-flaky"]),
        ([GREEN, RED], [RED], ["baseline-flaky"]),
        ([GREEN], [BROKEN], ["timed-out"]),
    ],
)
def test_a_command_is_its_exit_code(base: list[SignalRun], now: list[SignalRun], wanted: list[str]) -> None:
    assert codes(compare(COMMAND, Measurement(COMMAND, tuple(base)), Measurement(COMMAND, tuple(now)))) == wanted


def test_a_reject_signal_fails_when_it_matches() -> None:
    spec = SignalSpec("todo", SignalKind.COMMAND, ("grep",), reject=True, priority=Priority.MUST)
    assert codes(compare(spec, Measurement(spec, (RED,)), Measurement(spec, (GREEN,)))) == ["command-failed"]
    assert codes(compare(spec, Measurement(spec, (RED,)), Measurement(spec, (RED,)))) == []


def test_diagnostics_compare_as_a_multiset_without_lines() -> None:
    spec = SignalSpec("types", SignalKind.COMPILER, ("mypy",))
    old = Diagnostic("a.py", 3, "error", "bad")

    def of(*found: Diagnostic) -> Measurement:
        return Measurement(
            spec, (SignalRun(SignalStatus.FAIL if found else SignalStatus.PASS, 1, 1, diagnostics=found),)
        )

    moved = Diagnostic("a.py", 30, "error", "bad")
    assert codes(compare(spec, of(old), of(moved))) == []
    assert codes(compare(spec, of(old), of(old, moved))) == ["new-diagnostic"]
    assert codes(compare(spec, of(old), of(Diagnostic("a.py", 1, "error", "syntax")))) == ["new-diagnostic"]
    assert codes(compare(spec, of(old), of(old, Diagnostic("a.py", 4, "note", "see")))) == []
    dead = Measurement(spec, (SignalRun(SignalStatus.FAIL, 1, 2),))
    assert codes(compare(spec, of(old), dead)) == ["command-failed"]
