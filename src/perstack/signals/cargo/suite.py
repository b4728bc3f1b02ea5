"""The adapter for `cargo test`: plans from `plan.py`, programs from `build.py`, runs from `suites/programs.py`."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from posixpath import join
from random import SystemRandom
from uuid import uuid4

import anyio.to_thread

from perstack.core.sandbox import ExecResult, Mount
from perstack.core.signals import SignalSpec, TestCase, TestStatus
from perstack.core.verdict import ReasonCode
from perstack.infrastructure import foreign
from perstack.signals.cargo.build import TARGET, CargoBuild, build_tests, cargo_environment, runtime_libraries
from perstack.signals.cargo.lexer import Unreadable
from perstack.signals.cargo.output import read_doctests, read_events, read_listed
from perstack.signals.cargo.plan import CargoPlan, plan_cargo
from perstack.signals.cargo.split import restore
from perstack.signals.environment import Variation
from perstack.signals.suites.builds import Builds, build_key
from perstack.signals.suites.concluding import concluded, failed
from perstack.signals.suites.contract import Framework, Place, SuiteRun
from perstack.signals.suites.programs import Outcome, Program, Runs, run_programs

_OUTPUT_LIMIT = 16_000_000
_DOC_SEPARATOR = "::doc "


@dataclass(frozen=True, slots=True)
class CargoDialect:
    """How Rust's test programs are asked, and what they answer."""

    plan: CargoPlan
    red_exit: int = 101

    def everything(self, program: Program, circumstances: Variation) -> Sequence[str]:
        seed = int.from_bytes(hashlib.sha256(circumstances.order.encode()).digest()[:4], "big")
        order = [f"--shuffle-seed={seed}", "--test-threads=2"] if circumstances.order else ["--test-threads=1"]
        return self._command(program, *order)

    def some(self, program: Program, names: Sequence[str]) -> Sequence[str]:
        return self._command(program, "--test-threads=1", "--exact", *names)

    def read(self, result: ExecResult) -> Mapping[str, Outcome]:
        return read_events(result.stdout)

    def top(self, name: str) -> str:
        return name

    def _command(self, program: Program, *more: str) -> Sequence[str]:
        fixed = ("-Zunstable-options", "--format=json", "--show-output")
        return (program.path, *fixed, *(["--include-ignored"] if self.plan.ignored else []), *more)


@dataclass(frozen=True, slots=True)
class CargoSuite:
    """A `cargo test` suite as the base has it."""

    plan: CargoPlan
    builds: Builds[CargoBuild]
    shuffles: bool = True

    def narrowed(self, targets: Sequence[str]) -> CargoSuite:
        programs = tuple(dict.fromkeys(t.partition("::")[0] for t in targets if _DOC_SEPARATOR not in t))
        documented = any(_DOC_SEPARATOR in target for target in targets)
        plan = replace(self.plan, only=programs, programs=bool(programs), doctests=self.plan.doctests and documented)
        return replace(self, plan=plan)

    async def run(self, spec: SignalSpec, place: Place) -> SuiteRun:
        started = time.monotonic()
        try:
            await anyio.to_thread.run_sync(restore_tests, self.plan, place.workspace)
        except Unreadable as error:
            problem = f"the tests inside the sources cannot be told from the product: {error}"
            return failed(problem, ReasonCode.COLLECTION_ERROR, started=started)
        key = await build_key(place.workspace, place.snapshot, "cargo", str(self.plan.programs))
        if self.plan.only and not self.builds.has(key):
            key = await build_key(place.workspace, place.snapshot, "cargo", *self.plan.only)
        folder = place.kept / f"cargo-{uuid4().hex}"
        build = CargoBuild(folder)
        if self.plan.programs:
            build = await self.builds.get(key, lambda: build_tests(spec, self.plan, place, folder))
        if build.problem:
            return failed(build.problem, build.code, started=started, output=build.output)
        return await self._measure(spec, place, build, started)

    async def _measure(self, spec: SignalSpec, place: Place, build: CargoBuild, started: float) -> SuiteRun:
        mount = Mount(build.folder, TARGET)
        mounts = (mount,) if build.programs else ()
        broken = {root: case for root, case in build.broken.items() if not self.plan.only or root in self.plan.only}
        async with place.sandbox.open(
            place.snapshot, place.workspace, mounts=mounts, limits=place.snapshot.limits
        ) as session:
            inside = session.inside(mount) if build.programs else ""
            runs = Runs(
                session=session,
                dialect=CargoDialect(self.plan),
                circumstances=place.variation,
                environment=self._environment(place, build, inside),
                deadline=time.monotonic() + spec.timeout_s,
                random=SystemRandom(),
            )
            programs: list[Program] = []
            for program in build.programs:
                if self.plan.only and program.name not in self.plan.only:
                    continue
                found = await _listed(replace(program, path=join(inside, program.path)), runs)
                if found is None:
                    problem = f"{program.name}: the program ended before it had listed its tests"
                    return failed(problem, ReasonCode.CANARY_FAILED, started=started)
                programs.append(found)
            tally = await run_programs(programs, runs)
        if self.plan.doctests and not tally.problem:
            broken |= await self._doctests(spec, place)
        return concluded(tally, broken, started=started)

    async def _doctests(self, spec: SignalSpec, place: Place) -> Mapping[str, TestCase]:
        """Documentation's examples: rustdoc builds and runs them, each as a process of its own."""
        target = place.scratch / "doctests"
        target.mkdir(parents=True)
        target.chmod(0o777)
        mount = Mount(target, TARGET, writable=True)
        async with place.sandbox.open(
            place.snapshot, place.workspace, mounts=(mount,), limits=place.snapshot.limits
        ) as session:
            result = await session.run(
                ["cargo", *self.plan.toolchain, "test", "--offline", "--doc", "--no-fail-fast", *self.plan.flags],
                cwd=spec.cwd,
                env={**place.variation.variables, **cargo_environment(self.plan, session.inside(mount))},
                timeout_s=spec.timeout_s,
                output_limit=_OUTPUT_LIMIT,
            )
        found = dict(read_doctests(result.stdout, "" if spec.cwd == "." else spec.cwd))
        if result.exit_code and all(case.status is not TestStatus.FAILED for case in found.values()):
            identity = "doctests"
            message = result.text()[-4000:]
            found = {identity: TestCase(identity, TestStatus.ERROR, message=message)}
        return found

    def _environment(self, place: Place, build: CargoBuild, target: str) -> Mapping[str, str]:
        configured = {**self.plan.environment, **dict(place.snapshot.env)}
        varied = {name: value for name, value in place.variation.variables.items() if name not in configured}
        # test programs of the stable tool chain write events only when asked like this
        ours = {"RUSTC_BOOTSTRAP": "1", "RUST_BACKTRACE": "0", "LD_LIBRARY_PATH": runtime_libraries(target, build)}
        return {**varied, **self.plan.environment, **ours}


async def _listed(program: Program, runs: Runs) -> Program | None:
    """The program with the names of its tests; None where its own canaries are not among them."""
    result = await runs.process(program, [program.path, "--list"])
    names = read_listed(result.stdout)
    if not {program.canaries.green, *program.canaries.red} <= set(names):
        return None
    tests = {name: f"{program.name}::{name}" for name in names if not program.canaries.is_mine(name)}
    return replace(program, tests=tests)


def restore_tests(plan: CargoPlan, workspace: Path) -> None:
    """Give a tree's sources the base's tests.

    Raises: Unreadable.
    """
    for path in sorted(workspace.rglob("*.rs")):
        name = path.relative_to(workspace).as_posix()
        if path.is_symlink() or not path.is_file() or plan.test_files(name):
            continue
        text = foreign.read_text(path, below=workspace)
        if name not in plan.sources and "test" not in text:
            continue
        restored = plan.whole.get(name) or _restored(plan, name, text)
        if restored != text:
            path.write_text(restored)


def _restored(plan: CargoPlan, name: str, text: str) -> str:
    try:
        return restore(plan.sources.get(name, ""), text)
    except Unreadable as error:
        raise Unreadable(f"{name}: {error}") from error


def _reads(path: str) -> bool:
    return path.endswith(".rs")


def _plan(spec: SignalSpec, files: Mapping[str, bytes], paths: Collection[str]) -> CargoSuite:
    return CargoSuite(plan_cargo(spec.run, files, paths), Builds())


CARGO = Framework("cargo", _reads, _plan)
