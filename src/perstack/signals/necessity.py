"""Is every part of the patch needed? Each hunk is taken out in turn; something that it fixed must be red again.

A hunk nobody notices is reported, not refused: a docstring is such a hunk. Works within a budget.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import anyio.to_thread

from perstack.core.errors import UserError
from perstack.core.signals import SignalKind, SignalRun, SignalStatus, TestStatus
from perstack.core.verdict import HunkNecessity
from perstack.infrastructure.git import Repository
from perstack.signals.measure import Measured, Meter, Subject
from perstack.signals.sections import Section, without_part
from perstack.signals.tree import make_tree


@dataclass(frozen=True, slots=True)
class Budget:
    """How much may be spent: hunks looked at, and seconds in total."""

    hunks: int = 8
    seconds: float = 60.0


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


async def check_hunks(
    repository: Repository, base: str, sections: Sequence[Section], *, shown: Subject, probe: Probe, budget: Budget
) -> tuple[HunkNecessity, ...]:
    """One entry for each part that was looked at, in patch order. `shown` is what is red on the base.

    A patch of one part needs no run: without it there is the base, where the targets were seen red.
    """
    parts = [(section.path, index) for section in sections for index in range(section.parts)]
    if len(parts) == 1:
        return (HunkNecessity(parts[0][0], 1, verified=True),)
    until = time.monotonic() + budget.seconds
    found: list[HunkNecessity] = []
    for path, index in parts[: budget.hunks]:
        if time.monotonic() >= until:
            break
        folder = probe.scratch / f"without-{uuid4().hex[:8]}"
        try:
            tree_sha = await repository.apply(base, without_part(sections, path, index))
            tree = await make_tree(repository, tree_sha, f"without {path} #{index + 1}", folder)
            run = await probe.meter.once(replace(shown, tree=tree))
        except UserError:
            continue  # the rest of the file's hunks does not apply without this one
        finally:
            await anyio.to_thread.run_sync(shutil.rmtree, folder, True)
        found.append(HunkNecessity(path, index + 1, verified=probe.is_red(run)))
    return tuple(found)
