"""The adapter for unittest: plans from `plan.py`, runs from `run.py`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from perstack.core.signals import SignalSpec
from perstack.signals.suites.contract import Framework, Place, SuiteRun
from perstack.signals.unittest.plan import UnittestPlan, plan_unittest
from perstack.signals.unittest.run import run_unittest


@dataclass(frozen=True, slots=True)
class UnittestSuite:
    """A unittest suite as the base has it."""

    plan: UnittestPlan
    shuffles: bool = True

    def narrowed(self, targets: Sequence[str]) -> UnittestSuite:
        return replace(self, plan=self.plan.narrowed(targets))

    async def run(self, spec: SignalSpec, place: Place) -> SuiteRun:
        return await run_unittest(place, spec=spec, plan=self.plan)


def _reads(path: str) -> bool:
    return path.rpartition("/")[2] == "pyproject.toml"  # says which version files the build writes


def _plan(spec: SignalSpec, files: Mapping[str, bytes], paths: Collection[str]) -> UnittestSuite:
    return UnittestSuite(plan_unittest(spec, files, paths))


UNITTEST = Framework("unittest", _reads, _plan)
