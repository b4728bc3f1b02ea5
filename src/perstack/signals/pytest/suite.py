"""The adapter for pytest: plans from `configuration.py`, runs from `run.py`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from perstack.core.signals import SignalSpec
from perstack.signals.pytest.configuration import CONFIG_NAMES, PytestPlan, plan_pytest
from perstack.signals.pytest.run import run_pytest
from perstack.signals.suites.contract import Framework, Part, Place, SuiteRun


@dataclass(frozen=True, slots=True)
class PytestSuite:
    """A pytest suite as the base has it."""

    plan: PytestPlan
    shuffles: bool = True

    def narrowed(self, targets: Sequence[str]) -> PytestSuite:
        return replace(self, plan=self.plan.narrowed(targets))

    def part(self, part: Part) -> PytestSuite:
        """Only the tests of some files; all are collected, so that a file says the same in every part."""
        return replace(self, plan=replace(self.plan, part=(part.number, part.of)))

    async def run(self, spec: SignalSpec, place: Place) -> SuiteRun:
        return await run_pytest(place, spec=spec, plan=self.plan)


def _reads(path: str) -> bool:
    return path.rpartition("/")[2] in CONFIG_NAMES


def _plan(spec: SignalSpec, files: Mapping[str, bytes], paths: Collection[str]) -> PytestSuite:
    return PytestSuite(plan_pytest(spec, files, paths))


PYTEST = Framework("pytest", _reads, _plan)
