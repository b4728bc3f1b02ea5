"""The verdict: every reason has its row, the worst row wins, nothing improves it."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perstack.core.experts import VerifySpec
from perstack.core.signals import Priority, SignalKind, SignalStatus, TestDelta
from perstack.core.verdict import PolicyFinding, Reason, ReasonCode, SignalReport, Verdict
from perstack.signals.compare import Comparison
from perstack.signals.verdict import ORDER, TABLE, decide, verdict_of

DOCUMENT = Path(__file__).parents[3] / "docs" / "reason-codes.md"


def comparison(*codes: ReasonCode, priority: Priority = Priority.MUST, red: bool = True, name: str = "t") -> Comparison:
    delta = TestDelta(fail_to_pass=("t.py::a",) if red else ())
    status = SignalStatus.FAIL if codes else SignalStatus.PASS
    report = SignalReport(name, SignalKind.TEST, priority, status, SignalStatus.FAIL, 2, 1.0, delta)
    return Comparison(report, tuple(Reason(code, code.value, name) for code in codes))


def decided(
    *comparisons: Comparison,
    policy: tuple[PolicyFinding, ...] = (),
    extra: tuple[Reason, ...] = (),
    verify: VerifySpec | None = None,
    needs_red: bool = True,
) -> Verdict:
    verdict, _ = decide(
        comparisons=comparisons, policy=policy, extra=extra, verify=verify or VerifySpec(), needs_red=needs_red
    )
    return verdict


def test_the_table_is_complete_and_no_reason_is_a_pass() -> None:
    assert set(TABLE) == set(ReasonCode)
    assert Verdict.PASS not in TABLE.values()
    assert set(ORDER) == set(Verdict)


@pytest.mark.parametrize("code", list(ReasonCode))
def test_every_reason_code_is_documented_with_its_verdict(code: ReasonCode) -> None:
    rows = [line for line in DOCUMENT.read_text(encoding="utf-8").splitlines() if line.startswith(f"| `{code.value}` ")]
    assert len(rows) == 1
    assert f"| `{verdict_of(code).value}` |" in rows[0]
    assert len(rows[0].split("|")[3].strip()) > 15


def test_no_other_code_is_documented() -> None:
    rows = [line.split("`")[1] for line in DOCUMENT.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert set(rows) == {code.value for code in ReasonCode}


def test_a_clean_candidate_passes() -> None:
    assert decided(comparison()) is Verdict.PASS


def test_red_before_green_is_needed_only_where_asked() -> None:
    assert decided(comparison(red=False)) is Verdict.INCONCLUSIVE
    assert decided(comparison(red=False), needs_red=False) is Verdict.PASS
    claim = replace(comparison(), claim=(Reason(ReasonCode.BASELINE_FLAKY, "t.py::a", "t"),))
    assert decided(claim) is Verdict.INCONCLUSIVE
    assert decided(claim, needs_red=False) is Verdict.PASS


def test_nothing_measured_is_not_a_pass() -> None:
    assert decided() is Verdict.INCONCLUSIVE
    assert decided(comparison(priority=Priority.SHOULD)) is Verdict.INCONCLUSIVE


def test_should_signals_block_beyond_their_threshold_only() -> None:
    soft = [comparison(ReasonCode.COMMAND_FAILED, priority=Priority.SHOULD, name=n) for n in ("x", "y")]
    assert decided(comparison(), *soft) is Verdict.PASS
    assert decided(comparison(), *soft, verify=VerifySpec(should_threshold=2)) is Verdict.PASS
    assert decided(comparison(), *soft, verify=VerifySpec(should_threshold=1)) is Verdict.FAIL


def test_policy_findings_count_where_they_block() -> None:
    finding = PolicyFinding(ReasonCode.SUSPICIOUS_CONSTRUCT, "a.py", "leaves", 3)
    assert decided(comparison(), policy=(finding,)) is Verdict.FAIL
    assert decided(comparison(), policy=(replace(finding, blocks=False),)) is Verdict.PASS
    asked = replace(finding, code=ReasonCode.TEST_CHANGE_NEEDED)
    assert decided(comparison(), policy=(asked,)) is Verdict.NEEDS_TEST_CHANGE


def test_the_worst_reason_comes_first() -> None:
    verdict, reasons = decide(
        comparisons=[comparison(ReasonCode.TEST_FLAKY, ReasonCode.TEST_BROKEN)],
        policy=[],
        extra=[Reason(ReasonCode.SIGNAL_ERROR, "x")],
        verify=VerifySpec(),
        needs_red=True,
    )
    assert verdict is Verdict.ERROR
    assert [reason.code for reason in reasons] == [
        ReasonCode.SIGNAL_ERROR, ReasonCode.TEST_BROKEN, ReasonCode.TEST_FLAKY,
    ]  # fmt: skip


CODES = st.lists(st.sampled_from(list(ReasonCode)), max_size=4)


@dataclass(frozen=True)
class Situation:
    """Reasons by where they come from, and the circumstances."""

    must: list[ReasonCode]
    should: list[ReasonCode]
    policy: list[ReasonCode]
    extra: list[ReasonCode]
    needs_red: bool
    red: bool
    threshold: int

    def rank(self) -> int:
        verdict = decided(
            comparison(*self.must, red=self.red),
            comparison(*self.should, priority=Priority.SHOULD, name="s"),
            policy=tuple(PolicyFinding(code, "a.py", "x") for code in self.policy),
            extra=tuple(Reason(code, "x") for code in self.extra),
            verify=VerifySpec(should_threshold=self.threshold),
            needs_red=self.needs_red,
        )
        return ORDER.index(verdict)


SITUATIONS = st.builds(
    Situation, CODES, CODES, CODES, CODES, needs_red=st.booleans(), red=st.booleans(), threshold=st.integers(-1, 2)
)


@given(SITUATIONS, st.sampled_from(list(ReasonCode)), st.sampled_from(["must", "should", "policy", "extra"]))
def test_adding_a_reason_anywhere_never_improves_the_verdict(
    situation: Situation, code: ReasonCode, where: str
) -> None:
    worse = copy.deepcopy(situation)
    {"must": worse.must, "should": worse.should, "policy": worse.policy, "extra": worse.extra}[where].append(code)
    assert worse.rank() >= situation.rank()
