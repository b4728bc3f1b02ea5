"""The verdict: one table from reason to verdict, and the worst row wins.

Pure and total. It never looks at how a candidate was made, and nothing can be added that improves the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import Final

from perstack.core.experts import VerifySpec
from perstack.core.signals import Priority, SignalStatus
from perstack.core.verdict import PolicyFinding, Reason, ReasonCode, Verdict
from perstack.signals.compare import Comparison

ORDER: Final = (Verdict.PASS, Verdict.INCONCLUSIVE, Verdict.NEEDS_TEST_CHANGE, Verdict.FAIL, Verdict.ERROR)
"""From best to worst."""

TABLE: Final = MappingProxyType(
    {
        ReasonCode.EMPTY_PATCH: Verdict.FAIL,
        ReasonCode.PATCH_DOES_NOT_APPLY: Verdict.FAIL,
        ReasonCode.PROTECTED_PATH: Verdict.FAIL,
        ReasonCode.PATH_ESCAPE: Verdict.FAIL,
        ReasonCode.SPECIAL_FILE: Verdict.FAIL,
        ReasonCode.BINARY_FILE: Verdict.FAIL,
        ReasonCode.MODE_CHANGE: Verdict.FAIL,
        ReasonCode.SHADOWED_MODULE: Verdict.FAIL,
        ReasonCode.HIDDEN_CHARACTERS: Verdict.FAIL,
        ReasonCode.SUPPRESSION_ADDED: Verdict.FAIL,
        ReasonCode.SUSPICIOUS_CONSTRUCT: Verdict.FAIL,
        ReasonCode.SECRET_IN_PATCH: Verdict.FAIL,
        ReasonCode.PATCH_TOO_LARGE: Verdict.FAIL,
        ReasonCode.REJECT_RULE: Verdict.FAIL,
        ReasonCode.NO_SIGNALS: Verdict.INCONCLUSIVE,
        ReasonCode.NOTHING_RED: Verdict.INCONCLUSIVE,
        ReasonCode.RED_NOT_BEHAVIOURAL: Verdict.INCONCLUSIVE,
        ReasonCode.BASELINE_ERROR: Verdict.ERROR,
        ReasonCode.BASELINE_FLAKY: Verdict.INCONCLUSIVE,
        ReasonCode.NO_TESTS: Verdict.INCONCLUSIVE,
        ReasonCode.STILL_FAILING: Verdict.FAIL,
        ReasonCode.TEST_BROKEN: Verdict.FAIL,
        ReasonCode.TEST_VANISHED: Verdict.FAIL,
        ReasonCode.TEST_SKIPPED: Verdict.FAIL,
        ReasonCode.TEST_FLAKY: Verdict.INCONCLUSIVE,
        ReasonCode.COMMAND_FAILED: Verdict.FAIL,
        ReasonCode.COLLECTION_ERROR: Verdict.FAIL,
        ReasonCode.REPORT_MISSING: Verdict.FAIL,
        ReasonCode.REPORT_INVALID: Verdict.FAIL,
        ReasonCode.RESULTS_DISAGREE: Verdict.FAIL,
        ReasonCode.FOREIGN_MODULE: Verdict.FAIL,
        ReasonCode.CANARY_FAILED: Verdict.FAIL,
        ReasonCode.TIMED_OUT: Verdict.FAIL,
        ReasonCode.OUTPUT_LIMIT: Verdict.FAIL,
        ReasonCode.DISK_LIMIT: Verdict.FAIL,
        ReasonCode.MEMORY_LIMIT: Verdict.FAIL,
        ReasonCode.SIGNAL_ERROR: Verdict.ERROR,
        ReasonCode.NOT_RUN: Verdict.INCONCLUSIVE,
        ReasonCode.HELD_OUT_FAILED: Verdict.FAIL,
        ReasonCode.HELD_OUT_DOUBTFUL: Verdict.INCONCLUSIVE,
        ReasonCode.EXPERT_CHECK_FAILED: Verdict.INCONCLUSIVE,
        ReasonCode.REVERT_STILL_GREEN: Verdict.INCONCLUSIVE,
        ReasonCode.NEW_DIAGNOSTIC: Verdict.FAIL,
        ReasonCode.STAGE_VANISHED: Verdict.FAIL,
        ReasonCode.TYPES_LOOSENED: Verdict.INCONCLUSIVE,
        ReasonCode.TEST_CHANGE_NEEDED: Verdict.NEEDS_TEST_CHANGE,
    }
)


def verdict_of(code: ReasonCode) -> Verdict:
    """What one reason makes of an otherwise perfect candidate."""
    return TABLE[code]


def worst(reasons: Sequence[Reason]) -> Verdict:
    """The worst verdict any of the reasons asks for; `pass` for none."""
    return max((TABLE[reason.code] for reason in reasons), key=ORDER.index, default=Verdict.PASS)


def decide(
    *,
    comparisons: Sequence[Comparison],
    policy: Sequence[PolicyFinding],
    extra: Sequence[Reason],
    verify: VerifySpec,
    needs_red: bool,
) -> tuple[Verdict, tuple[Reason, ...]]:
    """The verdict and the reasons that made it, worst first.

    `needs_red`: something must have been red on the base and be green now. Policy findings that do not block
    and failures of `should` signals within the threshold are in the report, not among the reasons.
    """
    reasons = [*extra, *(_from_policy(finding) for finding in policy if finding.blocks)]
    if not any(_can_prove(comparison) for comparison in comparisons):
        reasons.append(Reason(ReasonCode.NO_SIGNALS, _nothing_gates(comparisons)))
    for comparison in comparisons:
        if _gates(comparison):
            reasons.extend(comparison.reasons)
            reasons.extend(comparison.claim if needs_red else ())
    reasons.extend(_beyond_threshold(comparisons, verify.should_threshold))
    if needs_red and comparisons and not any(_turned_green(comparison) for comparison in comparisons):
        reasons.append(Reason(ReasonCode.NOTHING_RED, "nothing that was red on the base is green now"))
    unique = tuple(dict.fromkeys(reasons))
    ranked = sorted(unique, key=lambda reason: -ORDER.index(TABLE[reason.code]))
    return worst(unique), tuple(ranked)


def settles(comparison: Comparison, *, needs_red: bool) -> bool:
    """Whether this signal alone decides that the candidate is refused, whatever the others would say."""
    reasons = (*comparison.reasons, *(comparison.claim if needs_red else ()))
    return _gates(comparison) and worst(reasons) in {Verdict.FAIL, Verdict.ERROR}


def _gates(comparison: Comparison) -> bool:
    return comparison.report.priority is Priority.MUST


def _can_prove(comparison: Comparison) -> bool:
    """Whether a signal's green says something: a reject signal that does not match is no proof."""
    return _gates(comparison) and not comparison.rejects


def _nothing_gates(comparisons: Sequence[Comparison]) -> str:
    kinds = [f"`{c.report.name}` {'only rejects' if c.rejects else 'is `should`'}" for c in comparisons[:5]]
    said = f": {', '.join(kinds)}" if kinds else ""
    return f'nothing here can prove a candidate{said}; set `priority = "must"` for a signal that checks it'


def _turned_green(comparison: Comparison) -> bool:
    """Whether a gating signal shows red on the base and green now."""
    report = comparison.report
    if not _can_prove(comparison):
        return False
    if report.tests is not None:
        return bool(report.tests.fail_to_pass)
    if report.changes is not None and report.changes.fixed:
        return True
    return report.baseline is SignalStatus.FAIL and report.status is SignalStatus.PASS


def _beyond_threshold(comparisons: Sequence[Comparison], threshold: int) -> list[Reason]:
    failed = [c for c in comparisons if not _gates(c) and c.reasons and c.report.status is not SignalStatus.NOT_RUN]
    if threshold < 0 or len(failed) <= threshold:
        return []
    return [reason for comparison in failed for reason in comparison.reasons]


def _from_policy(finding: PolicyFinding) -> Reason:
    place = f"{finding.path}:{finding.line}" if finding.line else finding.path
    return Reason(finding.code, f"{place}: {finding.detail}" if place else finding.detail)
