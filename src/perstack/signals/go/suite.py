"""The adapter for `go test`: plans from `plan.py`, binaries from `build.py`, runs from `suites/programs.py`."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from posixpath import dirname, join
from random import SystemRandom
from uuid import uuid4

from perstack.core.sandbox import ExecResult, Mount
from perstack.core.signals import SignalSpec
from perstack.signals.environment import Variation
from perstack.signals.go.build import BINARIES, GoBuild, build_tests
from perstack.signals.go.canary import PATTERN, RED_PATTERN
from perstack.signals.go.output import read_outcomes
from perstack.signals.go.plan import GoPlan, plan_go
from perstack.signals.suites.builds import Builds, build_key
from perstack.signals.suites.concluding import concluded, failed
from perstack.signals.suites.contract import Framework, Place, SuiteRun
from perstack.signals.suites.programs import Outcome, Program, Runs, run_programs


@dataclass(frozen=True, slots=True)
class GoDialect:
    """How Go's test binaries are asked, and what they answer."""

    plan: GoPlan
    red_exit: int = 1

    def everything(self, program: Program, circumstances: Variation) -> Sequence[str]:
        seed = int.from_bytes(hashlib.sha256(circumstances.order.encode()).digest()[:4], "big")
        shuffle = [f"-test.shuffle={seed}"] if circumstances.order else []
        return self._command(program, *shuffle)

    def some(self, program: Program, names: Sequence[str]) -> Sequence[str]:
        # canaries by their shape: what code under test can read must not tell their names
        mine = [name for name in names if not program.canaries.is_mine(name)]
        shape = PATTERN if program.canaries.green in names else RED_PATTERN
        return self._command(program, f"-test.run=^({'|'.join([*map(re.escape, mine), shape])})$")

    def read(self, result: ExecResult) -> Mapping[str, Outcome]:
        return read_outcomes(result.stdout)

    def top(self, name: str) -> str:
        return name.partition("/")[0]

    def _command(self, program: Program, *more: str) -> Sequence[str]:
        fixed = ("-test.v=test2json", "-test.paniconexit0", "-test.count=1", "-test.timeout=0")
        return (program.path, *fixed, *self.plan.run, *more, *self.plan.arguments)


@dataclass(frozen=True, slots=True)
class GoSuite:
    """A `go test` suite as the base has it."""

    plan: GoPlan
    builds: Builds[GoBuild]
    shuffles: bool = True

    def narrowed(self, targets: Sequence[str]) -> GoSuite:
        folders = dict.fromkeys(dirname(target.partition("::")[0]) or "." for target in targets)
        return replace(self, plan=replace(self.plan, only=tuple(folders)))

    async def run(self, spec: SignalSpec, place: Place) -> SuiteRun:
        started = time.monotonic()
        key = await build_key(place.workspace, place.snapshot, "go")
        if self.plan.only and not self.builds.has(key):
            key = await build_key(place.workspace, place.snapshot, "go", *self.plan.only)
        folder = place.kept / f"go-{uuid4().hex}"
        build = await self.builds.get(key, lambda: build_tests(spec, self.plan, place, folder))
        if build.problem:
            return failed(build.problem, build.code, started=started, output=build.output)
        programs = [p for p in build.programs if not self.plan.only or p.name in self.plan.only]
        mount = Mount(build.folder, BINARIES)
        async with place.sandbox.open(
            place.snapshot, place.workspace, mounts=(mount,), limits=place.snapshot.limits
        ) as session:
            inside = [replace(program, path=join(session.inside(mount), program.path)) for program in programs]
            runs = Runs(
                session=session,
                dialect=GoDialect(self.plan),
                circumstances=place.variation,
                environment=self._environment(place),
                deadline=time.monotonic() + spec.timeout_s,
                random=SystemRandom(),
            )
            tally = await run_programs(inside, runs)
        return concluded(tally, build.broken, started=started)

    def _environment(self, place: Place) -> Mapping[str, str]:
        processors = {"GOMAXPROCS": "1"} if place.variation.order else {}
        configured = {**self.plan.environment, **dict(place.snapshot.env)}
        varied = {**place.variation.variables, **processors}
        return {**{name: value for name, value in varied.items() if name not in configured}, **self.plan.environment}


def _reads(_path: str) -> bool:
    return False


def _plan(spec: SignalSpec, _files: Mapping[str, bytes], _paths: Collection[str]) -> GoSuite:
    return GoSuite(plan_go(spec.run), Builds())


GO = Framework("go", _reads, _plan)
