"""The adapters for node:test, jest and vitest: plans from `plan.py`, runs from `run.py`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from perstack.core.signals import SignalSpec
from perstack.signals.node.plan import NodePlan, is_configuration, named_files, plan_node_test, plan_runner
from perstack.signals.node.run import run_node
from perstack.signals.suites.contract import Framework, Place, SuiteRun


@dataclass(frozen=True, slots=True)
class NodeSuite:
    """A JavaScript suite as the base has it."""

    plan: NodePlan
    shuffles: bool = True

    def narrowed(self, targets: Sequence[str]) -> NodeSuite:
        return replace(self, plan=self.plan.narrowed(targets))

    async def run(self, spec: SignalSpec, place: Place) -> SuiteRun:
        return await run_node(place, spec=spec, plan=self.plan)


def _node_test(spec: SignalSpec, files: Mapping[str, bytes], paths: Collection[str]) -> NodeSuite:
    return NodeSuite(plan_node_test(spec, files, paths))


def _jest(spec: SignalSpec, files: Mapping[str, bytes], _paths: Collection[str]) -> NodeSuite:
    return NodeSuite(plan_runner("jest", spec, files))


def _vitest(spec: SignalSpec, files: Mapping[str, bytes], _paths: Collection[str]) -> NodeSuite:
    return NodeSuite(plan_runner("vitest", spec, files))


NODE_TEST = Framework("node:test", is_configuration, _node_test, named_files)
JEST = Framework("jest", is_configuration, _jest, named_files)
VITEST = Framework("vitest", is_configuration, _vitest, named_files)
