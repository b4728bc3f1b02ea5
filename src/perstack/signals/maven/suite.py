"""The adapter for Maven: plans from `plan.py`, runs from `run.py`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from perstack.core.signals import SignalSpec
from perstack.signals.maven.plan import MavenPlan, plan_maven
from perstack.signals.maven.run import run_maven
from perstack.signals.suites.contract import Framework, Place, SuiteRun


@dataclass(frozen=True, slots=True)
class MavenSuite:
    """A Maven project's tests as the base has them."""

    plan: MavenPlan
    shuffles: bool = False

    def narrowed(self, targets: Sequence[str]) -> MavenSuite:
        return replace(self, plan=self.plan.narrowed(targets))

    async def run(self, spec: SignalSpec, place: Place) -> SuiteRun:
        return await run_maven(place, spec=spec, plan=self.plan)


def _reads(_path: str) -> bool:
    return False


def _plan(spec: SignalSpec, _files: Mapping[str, bytes], paths: Collection[str]) -> MavenSuite:
    return MavenSuite(plan_maven(spec, paths))


MAVEN = Framework("maven", _reads, _plan)
