"""Is every part of the patch needed? Each hunk is taken out in turn; something that it fixed must be red again.

A hunk nobody notices is reported, not refused: a docstring is such a hunk. Works within a budget.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import uuid4

import anyio.to_thread

from perstack.core.errors import UserError
from perstack.core.signals import SignalKind, SignalRun, SignalStatus, TestStatus
from perstack.core.verdict import HunkNecessity, Reason, ReasonCode
from perstack.infrastructure.git import Repository
from perstack.infrastructure.owned import remove_tree
from perstack.signals.measure import Measured, Meter, Subject
from perstack.signals.sections import Section, without_part
from perstack.signals.tree import make_tree


@dataclass(frozen=True, slots=True)
class Budget:
    """How much may be spent: hunks looked at, and seconds in total."""

    hunks: int = 8
    seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class Bench:
    """With what, where (a directory of ours) and for how long parts are tried."""

    meter: Meter
    scratch: Path
    budget: Budget = field(default_factory=Budget)


@dataclass(frozen=True, slots=True)
class Claim:
    """What one signal says is fixed. `subject.tree` is the base's, `before` what was measured there.

    `targets` are the fixed tests, or the fingerprints of fixed diagnostics; empty where the signal as a whole turned
    green. `seconds` is what a run costs.
    """

    subject: Subject
    targets: Sequence[str]
    before: Measured
    seconds: float


@dataclass(frozen=True, slots=True)
class Answer:
    """The parts that were looked at, in patch order; why the candidate cannot pass; a sentence for people."""

    parts: tuple[HunkNecessity, ...]
    reasons: tuple[Reason, ...] = ()
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Probe:
    """With what to measure. `subject.tree` is the base's; `scratch` is ours.

    `targets` are the fixed tests, or the fingerprints of fixed diagnostics.
    """

    subject: Subject
    targets: Sequence[str]
    meter: Meter
    scratch: Path

    @property
    def narrowed(self) -> Subject:
        """The same signal, only the files of the fixed tests."""
        plan = self.subject.plan
        return replace(self.subject, plan=plan.narrowed(self.targets) if plan else None)

    def is_red(self, run: SignalRun) -> bool:
        """Whether some target no longer passes. A run that could not be read shows a difference too."""
        if run.status is SignalStatus.ERROR:
            return True
        if self.subject.spec.kind is SignalKind.COMPILER:
            return not {d.fingerprint for d in run.diagnostics}.isdisjoint(self.targets)
        if self.subject.spec.kind is not SignalKind.TEST:
            return run.status is not SignalStatus.PASS
        cases = (run.tests.get(target) for target in self.targets)
        return any(case is None or case.status is not TestStatus.PASSED for case in cases)


async def red_on_base(probe: Probe, before: Measured) -> Subject | None:
    """What shows the targets red on the base, measured after the candidate was; None where nothing does.

    First the targets alone; where they are green so, or cannot be run, the whole suite decides, since tests may
    depend on others. Compilers depend on nothing but files: several runs of this job (`before`) are enough.
    """
    runs = before.measurement.runs
    if probe.subject.spec.kind is SignalKind.COMPILER and not before.cached and len(runs) > 1:
        return probe.subject if all(map(probe.is_red, runs)) else None
    alone = await probe.meter.once(probe.narrowed)
    if alone.status is not SignalStatus.ERROR and probe.is_red(alone):
        return probe.narrowed
    shown = alone if probe.subject.plan is None else await probe.meter.once(probe.subject)
    return probe.subject if probe.is_red(shown) else None


async def check_necessity(
    repository: Repository, base: str, sections: Sequence[Section], *, claims: Sequence[Claim], bench: Bench
) -> Answer:
    """Take the patch back, whole and in parts, asking the cheapest signal first.

    A part that one signal does not miss is put before the next one. A patch of one part needs no run: without it
    there is the base, where the claims were seen red.
    """
    parts = [(section.path, index) for section in sections for index in range(section.parts)]
    found: dict[tuple[str, int], bool] = {}
    until = time.monotonic() + bench.budget.seconds
    for number, claim in enumerate(sorted(claims, key=lambda claim: claim.seconds)):
        left = [part for part in parts if not found.get(part)][: bench.budget.hunks]
        if number and (not left or time.monotonic() >= until):
            break
        probe = Probe(claim.subject, claim.targets, bench.meter, bench.scratch)
        shown = await red_on_base(probe, claim.before)
        if shown is None:
            detail = "what the patch fixes is green on the base as well, measured again"
            return Answer((), (Reason(ReasonCode.REVERT_STILL_GREEN, detail, claim.subject.spec.name),))
        if len(parts) == 1:
            found[parts[0]] = True
            break
        for part in left:
            if time.monotonic() >= until:
                break
            missed = await _is_missed(repository, base, sections, part=part, shown=shown, probe=probe)
            if missed is not None:
                found[part] = missed
    looked = tuple(HunkNecessity(*_numbered(part), verified=found[part]) for part in parts if part in found)
    left_out = len(parts) - len(looked) if claims else 0
    return Answer(looked, (), f"{left_out} of {len(parts)} parts of the patch were not taken back" if left_out else "")


def _numbered(part: tuple[str, int]) -> tuple[str, int]:
    return part[0], part[1] + 1


async def _is_missed(
    repository: Repository,
    base: str,
    sections: Sequence[Section],
    *,
    part: tuple[str, int],
    shown: Subject,
    probe: Probe,
) -> bool | None:
    """Whether something is red without one part; None where the rest of its file does not apply without it."""
    path, index = part
    folder = probe.scratch / f"without-{uuid4().hex[:8]}"
    try:
        tree_sha = await repository.apply(base, without_part(sections, path, index))
        tree = await make_tree(repository, tree_sha, f"without {path} #{index + 1}", folder)
        return probe.is_red(await probe.meter.once(replace(shown, tree=tree)))
    except UserError:
        return None
    finally:
        await anyio.to_thread.run_sync(remove_tree, folder)
