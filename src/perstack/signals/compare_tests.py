"""What happened to each test between base and candidate.

Pure. Not a reader of reports: it gets test cases by identity, several runs of each tree.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from perstack.core.signals import SignalRun, SignalStatus, TestCase, TestDelta, TestStatus
from perstack.core.verdict import Reason, ReasonCode

_BAD = frozenset({TestStatus.FAILED, TestStatus.ERROR})
_STRICT_XPASS = "XPASS(strict)"
_FAILURES = 50

# A base failure with such a message says that the sandbox lacks something, not that the code is wrong.
_ENVIRONMENT = re.compile(
    r"Temporary failure in name resolution|Name or service not known|nodename nor servname|Network is unreachable"
    r"|socket\.gaierror|NewConnectionError|Failed to establish a new connection|ENETUNREACH|EAI_AGAIN"
    r"|cannot open display|no display name|Cannot connect to the Docker daemon|Operation not permitted: '/proc"
    r"|locale\.Error: unsupported locale setting",
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """All runs of one test on one tree: the worst status, and whether runs disagree about `passed`.

    `parts` is the least number of its subtests.
    """

    status: TestStatus
    flaky: bool
    message: str = ""
    parts: int = 0

    @property
    def passed(self) -> bool:
        return self.status is TestStatus.PASSED and not self.flaky

    @property
    def red(self) -> bool:
        return self.status in _BAD and not self.flaky


@dataclass(frozen=True, slots=True)
class TestComparison:
    """The delta; the reasons (detail is the exact test id); why red cannot be shown; ids worth showing."""

    __test__ = False

    delta: TestDelta
    reasons: tuple[Reason, ...]
    claim: tuple[Reason, ...]
    worth_showing: tuple[str, ...]


@dataclass(slots=True)
class _Tally:
    fail_to_pass: list[str] = field(default_factory=list)
    still_failing: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    vanished: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    flaky: list[str] = field(default_factory=list)
    kept: int = 0
    reasons: list[Reason] = field(default_factory=list)


def outcomes(runs: Sequence[SignalRun]) -> Mapping[str, Outcome]:
    """Merge runs by identity, worst first; a test missing from one of several runs is `missing`."""
    if len(runs) == 1:
        return {i: Outcome(case.status, False, case.message, case.parts) for i, case in runs[0].tests.items()}
    identities = dict.fromkeys(identity for run in runs for identity in run.tests)
    return {identity: _merge([run.tests.get(identity) for run in runs]) for identity in identities}


def _merge(cases: Sequence[TestCase | None]) -> Outcome:
    statuses = [case.status if case else TestStatus.MISSING for case in cases]
    worst = max(statuses, key=lambda status: status.badness)
    message = next((case.message for case in cases if case and case.status is worst), "")
    parts = min(case.parts if case else 0 for case in cases)
    return Outcome(worst, TestStatus.PASSED in statuses and worst is not TestStatus.PASSED, message, parts)


def is_target(identity: str, targets: Sequence[str]) -> bool:
    """Whether a target names this test, its class, its file or its parameter set."""
    return any(identity == t or identity.startswith((f"{t}[", f"{t}::")) for t in targets)


def compare_tests(
    base_runs: Sequence[SignalRun], candidate_runs: Sequence[SignalRun], targets: Sequence[str]
) -> TestComparison:
    """Judge every test of the base, then what is new; see `compare` for `targets`."""
    before, after = outcomes(base_runs), outcomes(candidate_runs)
    tally = _Tally()
    for identity, base in before.items():
        _judge(tally, identity, base, after.get(identity), targets)
    added = [identity for identity in after if identity not in before]
    for identity in added:
        if after[identity].status in _BAD:
            tally.broken.append(identity)
            tally.reasons.append(Reason(ReasonCode.TEST_BROKEN, identity))
    claim = _claim(tally, before, targets)
    tally.reasons.extend(_disagreement(candidate_runs))
    delta = TestDelta(
        fail_to_pass=tuple(tally.fail_to_pass),
        still_failing=tuple(tally.still_failing),
        pass_to_pass=tally.kept,
        broken=tuple(tally.broken),
        vanished=tuple(tally.vanished),
        skipped=tuple(tally.skipped),
        flaky=tuple(dict.fromkeys(tally.flaky)),
        added=tuple(added),
    )
    worth_showing = (*tally.broken, *tally.still_failing, *tally.skipped, *delta.flaky)
    return TestComparison(delta, tuple(tally.reasons), claim, tuple(dict.fromkeys(worth_showing))[:_FAILURES])


def _judge(tally: _Tally, identity: str, base: Outcome, now: Outcome | None, targets: Sequence[str]) -> None:
    """Book one test of the base."""
    if now is None:
        # absent from some base runs already: nothing can be said about it
        if base.status is TestStatus.MISSING:
            tally.flaky.append(identity)
            return
        tally.vanished.append(identity)
        tally.reasons.append(Reason(ReasonCode.TEST_VANISHED, identity))
    elif now.passed and now.parts < base.parts:
        tally.vanished.append(identity)
        detail = f"{identity}: {now.parts} of its {base.parts} subtests ran"
        tally.reasons.append(Reason(ReasonCode.TEST_VANISHED, detail))
    elif base.flaky or base.status is TestStatus.MISSING:
        tally.flaky.append(identity)
    elif base.red:
        _judge_red(tally, identity, base, now, targets)
    elif base.passed:
        _judge_green(tally, identity, now)
    elif now.status in _BAD:
        # was skipped or expected to fail, and fails now
        tally.broken.append(identity)
        strict = base.status is TestStatus.XFAILED and _STRICT_XPASS in now.message
        tally.reasons.append(Reason(ReasonCode.TEST_CHANGE_NEEDED if strict else ReasonCode.TEST_BROKEN, identity))


def _judge_red(tally: _Tally, identity: str, base: Outcome, now: Outcome, targets: Sequence[str]) -> None:
    wanted = is_target(identity, targets) if targets else True
    if now.passed and not is_collection_error(identity, base):
        tally.fail_to_pass.append(identity)
    elif now.flaky:
        tally.flaky.append(identity)
        if wanted:
            tally.reasons.append(Reason(ReasonCode.TEST_FLAKY, identity))
    elif now.status in {TestStatus.SKIPPED, TestStatus.XFAILED, TestStatus.XPASSED}:
        tally.skipped.append(identity)
        tally.reasons.append(Reason(ReasonCode.TEST_SKIPPED, identity))
    elif not now.passed:
        tally.still_failing.append(identity)
        explained = not targets and (is_environmental(base) or is_collection_error(identity, base))
        if wanted and not explained:
            tally.reasons.append(Reason(ReasonCode.STILL_FAILING, identity))


def _judge_green(tally: _Tally, identity: str, now: Outcome) -> None:
    if now.passed:
        tally.kept += 1
    elif now.flaky:
        tally.flaky.append(identity)
        tally.reasons.append(Reason(ReasonCode.TEST_FLAKY, identity))
    elif now.status in _BAD or now.status is TestStatus.MISSING:
        tally.broken.append(identity)
        tally.reasons.append(Reason(ReasonCode.TEST_BROKEN, identity))
    else:
        tally.skipped.append(identity)
        tally.reasons.append(Reason(ReasonCode.TEST_SKIPPED, identity))


def _claim(tally: _Tally, before: Mapping[str, Outcome], targets: Sequence[str]) -> tuple[Reason, ...]:
    """Why nothing can be proved, where the base offers no usable red."""
    found: list[Reason] = []
    for identity, base in before.items():
        if not is_target(identity, targets):
            continue
        if base.passed:
            found.append(Reason(ReasonCode.NOTHING_RED, f"{identity} passes on the base already"))
        elif base.flaky:
            found.append(Reason(ReasonCode.BASELINE_FLAKY, identity))
        elif is_collection_error(identity, base):
            found.append(Reason(ReasonCode.RED_NOT_BEHAVIOURAL, identity))
    judged_red = any(reason.code is ReasonCode.STILL_FAILING for reason in tally.reasons)
    if targets or tally.fail_to_pass or judged_red:
        return tuple(found)
    for identity, base in before.items():
        if base.flaky:
            found.append(Reason(ReasonCode.BASELINE_FLAKY, identity))
        elif base.red and (is_collection_error(identity, base) or is_environmental(base)):
            found.append(Reason(ReasonCode.RED_NOT_BEHAVIOURAL, identity))
    return tuple(found)


def is_collection_error(identity: str, outcome: Outcome) -> bool:
    """Whether this is a file that could not be collected: red, but no test said anything about behaviour."""
    return outcome.status is TestStatus.ERROR and "::" not in identity


def is_environmental(outcome: Outcome) -> bool:
    """Whether a failure on the base is the sandbox's lack of network, display or daemon."""
    return outcome.red and _ENVIRONMENT.search(outcome.message) is not None


def _disagreement(runs: Sequence[SignalRun]) -> list[Reason]:
    for run in runs:
        bad = [case for case in run.tests.values() if case.status in _BAD]
        if run.status is SignalStatus.FAIL and run.tests and not bad:
            detail = f"the run failed with exit code {run.exit_code}, yet no test did"
            return [Reason(ReasonCode.RESULTS_DISAGREE, detail)]
        if run.status is SignalStatus.PASS and bad:
            return [Reason(ReasonCode.RESULTS_DISAGREE, f"the run passed, yet {bad[0].id} did not")]
    return []


def excused(delta: TestDelta, own_runs: Sequence[SignalRun], changed: Collection[str]) -> set[str]:
    """Ids that fail with the base's tests and pass with the candidate's edits of the same files."""
    now = outcomes(own_runs)
    unhappy = (*delta.broken, *delta.still_failing)
    return {i for i in unhappy if any(lies_in(i, path) for path in changed) and i in now and now[i].passed}


def lies_in(identity: str, file: str) -> bool:
    """Whether a test id belongs to a test file: `path::rest`, or dotted names as unittest has them.

    `file` is a path, or the dotted name of a module that could not be loaded.
    """
    front, separator, _ = identity.partition("::")
    if separator or identity == file:
        return front == file
    parts = file.removesuffix(".py").split("/" if "/" in file or file.endswith(".py") else ".")
    # the directory that discovery starts in may be any of the path's
    return any(identity.startswith(".".join(parts[start:]) + ".") for start in range(len(parts)))
