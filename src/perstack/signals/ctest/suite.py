"""The adapter for ctest: plans from `plan.py`, runs from `run.py`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from perstack.core.signals import SignalSpec
from perstack.signals.ctest.plan import CtestPlan, plan_ctest
from perstack.signals.ctest.run import run_ctest
from perstack.signals.suites.contract import Framework, Place, SuiteRun


@dataclass(frozen=True, slots=True)
class CtestSuite:
    """A CMake project's tests as the base has them."""

    plan: CtestPlan
    shuffles: bool = False

    def narrowed(self, targets: Sequence[str]) -> CtestSuite:
        return replace(self, plan=self.plan.narrowed(targets))

    async def run(self, spec: SignalSpec, place: Place) -> SuiteRun:
        return await run_ctest(place, spec=spec, plan=self.plan)


def _reads(_path: str) -> bool:
    return False


def _plan(spec: SignalSpec, _files: Mapping[str, bytes], paths: Collection[str]) -> CtestSuite:
    return CtestSuite(plan_ctest(spec, paths))


CTEST = Framework("ctest", _reads, _plan)
