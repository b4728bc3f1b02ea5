"""What a job came to: data the forge texts, the terminal and the programmatic API are rendered from."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from perstack.core.json import JsonObject
from perstack.core.signals import TestCase
from perstack.core.usage import ModelUsage, Usage
from perstack.core.verdict import Report, Verdict


class Ending(StrEnum):
    """How a fix job ended. Only `fixed` carries a proved candidate."""

    FIXED = "fixed"
    NOTHING_TO_FIX = "nothing-to-fix"
    CANNOT_START = "cannot-start"
    NO_CANDIDATE = "no-candidate"
    ROUNDS_USED = "rounds-used"
    NO_PROGRESS = "no-progress"
    BUDGET_USED = "budget-used"
    MODEL_FAILED = "model-failed"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A patch the harness computed from the workspace. `tree` is the git tree of base + patch."""

    patch: str
    digest: str
    tree: str
    files: tuple[str, ...]
    insertions: int
    deletions: int


@dataclass(frozen=True, slots=True)
class Round:
    """One turn of build and verify. `failing` are the tests still red, by id."""

    number: int
    candidate: str
    verdict: Verdict | None
    reasons: tuple[str, ...]
    failing: tuple[str, ...]
    steps: int
    tokens: int
    seconds: float

    def to_json(self) -> JsonObject:
        return {
            "round": self.number,
            "candidate": self.candidate,
            "verdict": self.verdict.value if self.verdict else None,
            "reasons": list(self.reasons),
            "failing": list(self.failing),
            "steps": self.steps,
            "tokens": self.tokens,
            "seconds": round(self.seconds, 3),
        }


@dataclass(frozen=True, slots=True)
class FixOutcome:
    """The end of a fix job. `report` and `candidate` are the best seen; `why` is one sentence for people."""

    ending: Ending
    why: str
    base: str
    report: Report | None = None
    candidate: Candidate | None = None
    failing: tuple[TestCase, ...] = ()
    plan: str = ""
    rounds: tuple[Round, ...] = ()
    remarks: tuple[str, ...] = ()
    usage: Usage = field(default_factory=Usage)
    seconds: float = 0.0
    cost_usd: float | None = None  # None where a price is not known
    models: tuple[ModelUsage, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """`pass` only for a proved fix; what could not start or finish is never better than `inconclusive`."""
        if self.ending is Ending.FIXED:
            return Verdict.PASS
        if self.ending is Ending.MODEL_FAILED:
            return Verdict.ERROR
        if self.report is not None and self.report.verdict is not Verdict.PASS:
            return self.report.verdict
        return Verdict.INCONCLUSIVE

    def to_json(self) -> JsonObject:
        return {
            "ending": self.ending.value,
            "verdict": self.verdict.value,
            "why": self.why,
            "base": self.base,
            "plan": self.plan,
            "rounds": [r.to_json() for r in self.rounds],
            "patch": self.candidate.patch if self.candidate else "",
            "files": list(self.candidate.files) if self.candidate else [],
            "report": self.report.to_json() if self.report else None,
            "remarks": list(self.remarks),
            "usage": self.usage.to_json(),
            "seconds": round(self.seconds, 3),
            "costUsd": self.cost_usd,
            "models": [one.to_json() for one in self.models],
        }


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan for what is red at `base`, or why there is none: then `ended` says how and `why` is one sentence."""

    base: str
    text: str
    ended: Ending | None = None
    why: str = ""
    failing: tuple[TestCase, ...] = ()
    usage: Usage = field(default_factory=Usage)
    seconds: float = 0.0
    cost_usd: float | None = None
    models: tuple[ModelUsage, ...] = ()


@dataclass(frozen=True, slots=True)
class Reviewed:
    """What a review expert said about a change: soft, never a verdict."""

    text: str
    usage: Usage = field(default_factory=Usage)
    error: str = ""  # how the expert was stopped, empty where it came to its end
    cost_usd: float | None = None
    models: tuple[ModelUsage, ...] = ()
