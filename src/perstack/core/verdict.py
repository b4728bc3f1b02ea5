"""The verdict: its words, its reasons, its report. How it is decided is in `signals/verdict.py`."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from perstack.core.errors import ExitCode
from perstack.core.json import JsonObject
from perstack.core.signals import (
    Diagnostic,
    DiagnosticDelta,
    Priority,
    SignalKind,
    SignalStatus,
    TestCase,
    TestDelta,
)


class Verdict(StrEnum):
    """What the protocol says about a candidate. Only `pass` lets anything be pushed."""

    PASS = "pass"  # noqa: S105  # a verdict word, not a password
    FAIL = "fail"
    NEEDS_TEST_CHANGE = "needs-test-change"
    INCONCLUSIVE = "inconclusive"
    ERROR = "error"

    @property
    def exit_code(self) -> ExitCode:
        return _EXIT_CODES[self]


_EXIT_CODES = {
    Verdict.PASS: ExitCode.OK,
    Verdict.FAIL: ExitCode.FAIL,
    Verdict.NEEDS_TEST_CHANGE: ExitCode.INCONCLUSIVE,
    Verdict.INCONCLUSIVE: ExitCode.INCONCLUSIVE,
    Verdict.ERROR: ExitCode.INFRASTRUCTURE,
}


class ReasonCode(StrEnum):
    """Every way a verdict can get worse. Closed and documented in `docs/reason-codes.md`."""

    # candidate
    EMPTY_PATCH = "empty-patch"
    PATCH_DOES_NOT_APPLY = "patch-does-not-apply"
    PROTECTED_PATH = "protected-path"
    PATH_ESCAPE = "path-escape"
    SPECIAL_FILE = "special-file"
    BINARY_FILE = "binary-file"
    MODE_CHANGE = "mode-change"
    SHADOWED_MODULE = "shadowed-module"
    HIDDEN_CHARACTERS = "hidden-characters"
    SUPPRESSION_ADDED = "suppression-added"
    SUSPICIOUS_CONSTRUCT = "suspicious-construct"
    SECRET_IN_PATCH = "secret-in-patch"  # noqa: S105  # a reason code
    PATCH_TOO_LARGE = "patch-too-large"
    REJECT_RULE = "reject-rule"
    # baseline
    NO_SIGNALS = "no-signals"
    NOTHING_RED = "nothing-red"
    RED_NOT_BEHAVIOURAL = "red-not-behavioural"
    BASELINE_ERROR = "baseline-error"
    BASELINE_FLAKY = "baseline-flaky"
    NO_TESTS = "no-tests"
    # candidate run
    STILL_FAILING = "still-failing"
    TEST_BROKEN = "test-broken"
    TEST_VANISHED = "test-vanished"
    TEST_SKIPPED = "test-skipped"
    TEST_FLAKY = "test-flaky"
    COMMAND_FAILED = "command-failed"
    COLLECTION_ERROR = "collection-error"
    REPORT_MISSING = "report-missing"
    REPORT_INVALID = "report-invalid"
    RESULTS_DISAGREE = "results-disagree"
    FOREIGN_MODULE = "foreign-module"
    CANARY_FAILED = "canary-failed"
    TIMED_OUT = "timed-out"
    OUTPUT_LIMIT = "output-limit"
    DISK_LIMIT = "disk-limit"
    MEMORY_LIMIT = "memory-limit"
    SIGNAL_ERROR = "signal-error"
    NOT_RUN = "not-run"
    HELD_OUT_FAILED = "held-out-failed"
    HELD_OUT_DOUBTFUL = "held-out-doubtful"
    EXPERT_CHECK_FAILED = "expert-check-failed"
    REVERT_STILL_GREEN = "revert-still-green"
    NEW_DIAGNOSTIC = "new-diagnostic"
    STAGE_VANISHED = "stage-vanished"
    TYPES_LOOSENED = "types-loosened"
    TEST_CHANGE_NEEDED = "test-change-needed"


@dataclass(frozen=True, slots=True)
class Reason:
    """One way the verdict got worse. `signal` is empty where the candidate itself is the reason."""

    code: ReasonCode
    detail: str
    signal: str = ""

    def to_json(self) -> JsonObject:
        return {"code": self.code.value, "signal": self.signal, "detail": self.detail}


@dataclass(frozen=True, slots=True)
class PolicyFinding:
    """What the diff policy found at one place. `blocks` findings fail the candidate; others ask for a look."""

    code: ReasonCode
    path: str
    detail: str
    line: int = 0
    blocks: bool = True

    def to_json(self) -> JsonObject:
        return {"code": self.code.value, "path": self.path, "line": self.line, "detail": self.detail,
                "blocks": self.blocks}  # fmt: skip


@dataclass(frozen=True, slots=True)
class SignalReport:
    """One signal's share of the report. `failures` are the worst test cases, for people and for the builder.

    `diagnostics` are the candidate's, new ones first; `changes` compares them with the base's.
    `pictures` are PNG files (before | after | difference), relative to the evidence's folder.
    """

    name: str
    kind: SignalKind
    priority: Priority
    status: SignalStatus
    baseline: SignalStatus
    runs: int
    seconds: float
    tests: TestDelta | None = None
    diagnostics: tuple[Diagnostic, ...] = ()
    failures: tuple[TestCase, ...] = ()
    output: str = ""
    changes: DiagnosticDelta | None = None
    pictures: tuple[str, ...] = ()
    quarantined: tuple[TestCase, ...] = ()  # ran, and did not count
    note: str = ""  # why there is no result

    def to_json(self) -> JsonObject:
        return {
            "name": self.name,
            "kind": self.kind.value,
            "priority": self.priority.value,
            "status": self.status.value,
            "baseline": self.baseline.value,
            "runs": self.runs,
            "seconds": round(self.seconds, 3),
            "tests": self.tests.to_json() if self.tests else None,
            "quarantined": [{"id": case.id, "status": case.status.value} for case in self.quarantined],
            "diagnostics": [d.to_json() for d in self.diagnostics],
            "changes": self.changes.to_json() if self.changes else None,
            "pictures": list(self.pictures),
            "note": self.note,
            "failures": [
                {"id": f.id, "status": f.status.value, "message": f.message, "path": f.path, "line": f.line}
                for f in self.failures
            ],
        }


@dataclass(frozen=True, slots=True)
class HunkNecessity:
    """Whether a hunk is needed: `verified` when a FAIL_TO_PASS test turns red without it."""

    path: str
    hunk: int
    verified: bool

    def to_json(self) -> JsonObject:
        return {"path": self.path, "hunk": self.hunk, "verified": self.verified}


@dataclass(frozen=True, slots=True)
class Report:
    """The whole answer of the verification protocol about one candidate."""

    verdict: Verdict
    reasons: tuple[Reason, ...]
    signals: tuple[SignalReport, ...]
    policy: tuple[PolicyFinding, ...] = ()
    necessity: tuple[HunkNecessity, ...] = ()
    evidence: str = ""
    base: str = ""
    candidate_digest: str = ""
    seconds: float = 0.0
    remarks: tuple[str, ...] = field(default=())

    def to_json(self) -> JsonObject:
        return {
            "verdict": self.verdict.value,
            "reasons": [r.to_json() for r in self.reasons],
            "signals": [s.to_json() for s in self.signals],
            "policy": [p.to_json() for p in self.policy],
            "necessity": [n.to_json() for n in self.necessity],
            "evidence": self.evidence,
            "base": self.base,
            "candidate": self.candidate_digest,
            "seconds": round(self.seconds, 3),
            "remarks": list(self.remarks),
        }
