"""What differences between two sets of diagnostics mean: fixed, new, gone, silent, contradicted."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perstack.core.experts import VerifySpec
from perstack.core.signals import Coverage, Diagnostic, Measurement, SignalKind, SignalRun, SignalSpec, SignalStatus
from perstack.core.verdict import Verdict
from perstack.signals.compare import Comparison, compare
from perstack.signals.verdict import ORDER, decide

SPEC = SignalSpec("types", SignalKind.COMPILER, ("mypy", "."))
JSON = Coverage("mypy", "json", asked=True)
TEXT = Coverage("tsc", "text")
A = Diagnostic("a.py", 1, "error", "bad", code="E1")
B = Diagnostic("b.py", 2, "error", "worse", code="E2")
W = Diagnostic("a.py", 3, "warning", "hm", code="W1")


def ran(*found: Diagnostic, exit_code: int | None = None, coverage: Coverage = JSON) -> SignalRun:
    red = exit_code if exit_code is not None else int(any(d.severity == "error" for d in found))
    status = SignalStatus.FAIL if red else SignalStatus.PASS
    return SignalRun(status, 1.0, red, diagnostics=found, coverage=coverage)


def judged(
    base: SignalRun | tuple[SignalRun, ...],
    now: SignalRun | tuple[SignalRun, ...],
    *targets: str,
    spec: SignalSpec = SPEC,
    gone: tuple[str, ...] = (),
) -> Comparison:
    before, after = ((runs if isinstance(runs, tuple) else (runs,)) for runs in (base, now))
    return compare(spec, Measurement(spec, before), Measurement(spec, after), targets, gone=gone)


def outcome(comparison: Comparison, *, needs_red: bool = True) -> tuple[Verdict, set[str]]:
    verdict, reasons = decide(comparisons=[comparison], policy=(), extra=(), verify=VerifySpec(), needs_red=needs_red)
    return verdict, {reason.code.value for reason in reasons}


PASS: tuple[Verdict, set[str]] = (Verdict.PASS, set())


def test_everything_fixed_passes_in_any_form() -> None:
    for coverage in (JSON, TEXT, Coverage()):
        assert outcome(judged(ran(A, B, coverage=coverage), ran(coverage=coverage))) == PASS


def test_a_strict_subset_passes_only_in_a_form_that_was_asked_for_and_with_the_same_exit_code() -> None:
    assert outcome(judged(ran(A, B), ran(B))) == PASS
    text = judged(ran(A, B, coverage=TEXT), ran(B, coverage=TEXT))
    assert outcome(text) == (Verdict.FAIL, {"still-failing", "nothing-red"})
    assert text.report.changes is not None
    assert text.report.changes.fixed == ()
    assert outcome(text, needs_red=False) == PASS
    crashed = judged(ran(A, B), ran(B, exit_code=2))
    assert outcome(crashed) == (Verdict.FAIL, {"still-failing", "nothing-red"})


def test_moved_requoted_and_renumbered_is_the_same_finding() -> None:
    one = Diagnostic("a.c", 1, "error", "‘x’ redeclared on line 4 (see /tmp/ccAb12Cd.o)", 5)
    other = Diagnostic("a.c", 9, "error", "'x'  redeclared on line 12 (see /tmp/ccZZ99zz.o)", 1)
    assert one.fingerprint == other.fingerprint
    assert outcome(judged(ran(one), ran(other))) == (Verdict.INCONCLUSIVE, {"nothing-red"})
    for different in (replace(one, path="b.c"), replace(one, code="E9"), replace(one, message="‘y’ redeclared")):
        assert different.fingerprint != one.fingerprint


def test_a_second_copy_of_an_old_error_is_new_and_a_copy_less_is_fixed() -> None:
    assert outcome(judged(ran(A), ran(A, replace(A, line=7))))[1] == {"new-diagnostic", "nothing-red"}
    fewer = judged(ran(A, replace(A, line=7)), ran(A))
    assert outcome(fewer) == PASS
    assert fewer.report.changes is not None
    assert fewer.report.changes.unchanged == 1


def test_an_error_that_became_a_warning_is_not_fixed() -> None:
    downgraded = ran(replace(A, severity="warning"))
    comparison = judged(ran(A), downgraded)
    assert outcome(comparison) == (Verdict.INCONCLUSIVE, {"nothing-red"})
    assert comparison.report.changes is not None
    assert comparison.report.changes.fixed == ()


def test_a_warning_that_became_an_error_is_new() -> None:
    assert "new-diagnostic" in outcome(judged(ran(A, W), ran(replace(W, severity="error"))))[1]


def test_warnings_gate_only_where_configured() -> None:
    strict = replace(SPEC, expect={"new": "warning"})
    assert outcome(judged(ran(A), ran(W))) == PASS
    assert outcome(judged(ran(A), ran(W), spec=strict))[1] == {"new-diagnostic"}
    assert outcome(judged(ran(W), ran(), spec=strict)) == PASS


def test_a_failing_run_without_a_diagnostic_is_a_stage_that_did_not_run() -> None:
    assert outcome(judged(ran(A), ran(exit_code=2)))[1] >= {"command-failed"}
    assert outcome(judged(ran(), ran(exit_code=1)))[1] >= {"command-failed"}
    assert outcome(judged(ran(exit_code=2), ran(A)))[1] >= {"new-diagnostic"}
    assert outcome(judged(ran(exit_code=2), ran()))[1] == {"red-not-behavioural"}
    exit_only = judged(ran(exit_code=2, coverage=Coverage()), ran(coverage=Coverage()))
    assert outcome(exit_only) == PASS
    still = judged(ran(exit_code=2, coverage=Coverage()), ran(exit_code=2, coverage=Coverage()))
    assert outcome(still)[1] >= {"still-failing"}


def test_a_green_exit_code_beside_an_error_is_a_contradiction_unless_the_base_does_so_too() -> None:
    assert "results-disagree" in outcome(judged(ran(A, B), ran(A, exit_code=0)))[1]
    lenient = judged(ran(A, B, exit_code=0), ran(B, exit_code=0))
    assert outcome(lenient) == PASS


def test_another_form_than_on_the_base_is_a_contradiction() -> None:
    assert "results-disagree" in outcome(judged(ran(A), ran(coverage=Coverage("mypy", "text"))))[1]


def test_an_error_whose_file_is_gone_is_not_fixed() -> None:
    comparison = judged(ran(A), ran(), gone=("a.py",))
    assert outcome(comparison)[1] == {"stage-vanished"}
    assert outcome(comparison, needs_red=False) == PASS
    assert comparison.report.changes is not None
    assert [d.path for d in comparison.report.changes.gone] == ["a.py"]


@pytest.mark.parametrize(
    ("before", "after", "gone", "wanted"),
    [
        (("a.js", "b.js"), ("a.js", "b.js", "c.js"), (), False),
        (("a.js", "b.js"), ("a.js",), (), True),
        (("a.js", "b.js"), ("a.js",), ("b.js",), False),
        (("a.py", "b.js"), ("b.js",), ("a.py",), False),
        (("target lib x", "target bin y"), ("target lib x",), (), True),
    ],
)
def test_what_was_looked_at_on_the_base_must_be_looked_at_again(
    before: tuple[str, ...], after: tuple[str, ...], gone: tuple[str, ...], wanted: bool
) -> None:
    base = ran(A, B, coverage=replace(JSON, units=before))
    now = ran(B, coverage=replace(JSON, units=after))
    assert ("stage-vanished" in outcome(judged(base, now, gone=gone), needs_red=False)[1]) is wanted


@pytest.mark.parametrize(
    ("before", "after", "gone", "wanted"),
    [(5, 5, 0, False), (5, 4, 1, False), (5, 4, 0, True), (5, -1, 0, True), (-1, 3, 0, False), (5, 9, 0, False)],
)
def test_fewer_files_than_on_the_base_are_a_stage_that_vanished(
    before: int, after: int, gone: int, wanted: bool
) -> None:
    base, now = (ran(*f, coverage=replace(JSON, files=n)) for f, n in (((A, B), before), ((B,), after)))
    comparison = judged(base, now, gone=tuple(f"old{n}.py" for n in range(gone)))
    assert ("stage-vanished" in outcome(comparison)[1]) is wanted


@pytest.mark.parametrize(
    ("target", "wanted"),
    [("b.py", True), ("b.py:2", True), ("E2", True), ("b.py:3", False), ("a.py", False), ("t.py::test_x", False)],
)
def test_a_target_must_be_gone(target: str, wanted: bool) -> None:
    assert ("still-failing" in outcome(judged(ran(A, B), ran(B), target))[1]) is wanted


def test_runs_that_disagree_prove_nothing() -> None:
    assert outcome(judged((ran(A), ran(A)), (ran(), ran(A))))[1] >= {"test-flaky"}
    assert outcome(judged((ran(A, B), ran(A)), (ran(A), ran(A))))[1] >= {"baseline-flaky"}
    assert outcome(judged((ran(A, B), ran(A)), (ran(A, B), ran(A, B))), needs_red=False) == PASS


def test_new_diagnostics_are_shown_first_and_notes_never() -> None:
    note = Diagnostic("a.py", 1, "note", "see here")
    shown = judged(ran(A), ran(note, W, A, B)).report.diagnostics
    assert shown == (B, A, W)


diagnostics = st.builds(
    Diagnostic,
    st.sampled_from(["a.c", "b.c"]),
    st.integers(1, 3),
    st.sampled_from(["error", "warning"]),
    st.sampled_from(["x", "y"]),
)
sets = st.lists(diagnostics, max_size=5).map(tuple)


@given(base=sets, now=sets, forged=sets, exit_code=st.integers(0, 1), coverage=st.sampled_from([JSON, TEXT]))
def test_more_lines_on_the_candidate_never_make_it_better(
    base: tuple[Diagnostic, ...],
    now: tuple[Diagnostic, ...],
    forged: tuple[Diagnostic, ...],
    exit_code: int,
    coverage: Coverage,
) -> None:
    before = ran(*base, exit_code=1, coverage=coverage)
    plain = judged(before, ran(*now, exit_code=exit_code, coverage=coverage))
    worse = judged(before, ran(*now, *forged, exit_code=exit_code, coverage=coverage))
    assert plain.report.changes is not None
    assert worse.report.changes is not None
    assert len(worse.report.changes.fixed) <= len(plain.report.changes.fixed)
    # red in JSON: a forged old line could explain a crash; there the planted error speaks
    if exit_code == 0 or coverage is TEXT:
        assert ORDER.index(outcome(worse)[0]) >= ORDER.index(outcome(plain)[0])


@given(found=sets, coverage=st.sampled_from([JSON, TEXT]), exit_code=st.integers(0, 1))
def test_a_candidate_like_its_base_fixes_nothing(
    found: tuple[Diagnostic, ...], coverage: Coverage, exit_code: int
) -> None:
    run = ran(*found, exit_code=exit_code, coverage=coverage)
    assert outcome(judged(run, run))[0] is not Verdict.PASS


@pytest.mark.slow
def test_ten_thousand_diagnostics_are_compared_in_a_second_of_processor_time() -> None:
    many = tuple(
        Diagnostic(f"f{n % 97}.c", n, "error", f"‘v{n}’ undeclared on line {n}", 3, "E") for n in range(10_000)
    )
    moved = tuple(replace(d, line=d.line + 7) for d in many[1:])
    base, now = (ran(*many), ran(*many)), (ran(*moved), ran(*moved))
    started = time.process_time()
    comparison = judged(base, now)
    assert time.process_time() - started < 1
    assert comparison.report.changes is not None
    assert (len(comparison.report.changes.fixed), comparison.report.changes.unchanged) == (1, 9_999)
    assert len(comparison.report.diagnostics) == 500
