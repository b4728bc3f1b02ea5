"""Which signal goes first, and what may be given up once one has decided."""

from __future__ import annotations

from itertools import product

import anyio
import pytest

from perstack.core.experts import VerifySpec
from perstack.core.signals import Measurement, Priority, SignalKind, SignalSpec, SignalStatus
from perstack.core.verdict import Reason, ReasonCode, SignalReport, Verdict
from perstack.signals.compare import Comparison, not_run
from perstack.signals.schedule import GUESSED_S, Slots, in_order
from perstack.signals.verdict import ORDER, decide, settles, verdict_of


def spec(name: str, kind: SignalKind = SignalKind.COMMAND, priority: Priority = Priority.MUST) -> SignalSpec:
    return SignalSpec(name, kind, ("true",), priority=priority)


def judged(name: str, *codes: ReasonCode, priority: Priority = Priority.MUST, rejects: bool = False) -> Comparison:
    status = SignalStatus.FAIL if codes else SignalStatus.PASS
    report = SignalReport(name, SignalKind.COMMAND, priority, status, SignalStatus.FAIL, 1, 0.1)
    return Comparison(report, tuple(Reason(code, "why", name) for code in codes), (), rejects)


def test_compilers_come_before_tests_and_pictures_and_what_does_not_gate_comes_last() -> None:
    shot, test, note, types = (
        spec("shot", SignalKind.SCREENSHOT),
        spec("test", SignalKind.TEST),
        spec("note", SignalKind.COMPILER, Priority.SHOULD),
        spec("types", SignalKind.COMPILER),
    )
    assert in_order((shot, test, note, types), lambda _: None) == (types, test, shot, note)
    assert set(GUESSED_S) == set(SignalKind)


def test_what_was_seen_counts_for_more_than_the_kind() -> None:
    quick, slow = spec("quick", SignalKind.TEST), spec("slow", SignalKind.COMPILER)
    seen = {"quick": 0.5, "slow": 90.0}
    assert in_order((slow, quick), lambda one: seen[one.name]) == (quick, slow)


@pytest.mark.anyio
async def test_a_free_slot_goes_to_the_lowest_rank_and_a_cancelled_one_takes_none() -> None:
    slots, came, scope = Slots(1), list[int](), anyio.CancelScope()

    async def one(rank: int) -> None:
        async with slots.at(rank):
            came.append(rank)

    async def gives_up() -> None:
        with scope:
            await one(-1)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group, slots.at(0):
            for rank in (3, 1, 2):
                group.start_soon(one, rank)
            group.start_soon(gives_up)
            await anyio.wait_all_tasks_blocked()
            scope.cancel()
            await anyio.wait_all_tasks_blocked()
        assert came == [1, 2, 3]
        await one(9)


def verdict(*comparisons: Comparison) -> Verdict:
    return decide(comparisons=comparisons, policy=(), extra=(), verify=VerifySpec(), needs_red=False)[0]


def test_giving_up_never_turns_a_refusal_into_anything_better() -> None:
    for first, other in product(ReasonCode, (None, *ReasonCode)):
        decides, rest = judged("a", first), judged("b", *([other] if other else []))
        left = not_run(spec("b"), "`a` decides", Measurement(spec("b"), ()))
        if settles(decides, needs_red=False):
            assert {verdict(decides, left), verdict(decides, rest)} <= {Verdict.FAIL, Verdict.ERROR}
            assert verdict(decides, left) is verdict_of(first)
        else:
            assert verdict_of(first) not in {Verdict.FAIL, Verdict.ERROR}
        assert verdict(judged("a"), left) is Verdict.INCONCLUSIVE


def test_what_does_not_gate_settles_nothing_and_neither_does_a_doubt() -> None:
    assert not settles(judged("a", ReasonCode.TEST_BROKEN, priority=Priority.SHOULD), needs_red=True)
    assert not settles(judged("a", ReasonCode.TEST_FLAKY), needs_red=True)
    assert not settles(judged("a", ReasonCode.TEST_CHANGE_NEEDED), needs_red=True)
    assert not settles(judged("a"), needs_red=True)


def test_signals_that_only_reject_or_only_report_prove_nothing() -> None:
    rejecting, reporting = judged("todo", rejects=True), judged("lint", priority=Priority.SHOULD)
    found, reasons = decide(
        comparisons=(rejecting, reporting), policy=(), extra=(), verify=VerifySpec(), needs_red=False
    )
    assert found is Verdict.INCONCLUSIVE
    assert "`todo` only rejects, `lint` is `should`" in reasons[0].detail
    assert verdict(rejecting, judged("tests")) is Verdict.PASS
    assert ORDER.index(verdict(judged("todo", ReasonCode.COMMAND_FAILED, rejects=True))) >= ORDER.index(Verdict.FAIL)


def test_a_reject_signal_that_does_not_match_shows_no_red_that_turned_green() -> None:
    comparisons = (judged("todo", rejects=True), judged("lint", priority=Priority.SHOULD))
    _, reasons = decide(comparisons=comparisons, policy=(), extra=(), verify=VerifySpec(), needs_red=True)
    assert {reason.code for reason in reasons} == {ReasonCode.NO_SIGNALS, ReasonCode.NOTHING_RED}
