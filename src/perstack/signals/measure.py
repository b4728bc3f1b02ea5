"""Measuring a signal on a tree: N runs, each in a fresh sandbox on a fresh copy, each in varied circumstances.

Says what happened, never what it means: that is `compare.py`.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import anyio
import anyio.to_thread

from perstack.core.contracts import Sandbox, Session
from perstack.core.errors import InfrastructureError, SandboxUnavailable
from perstack.core.json import Json, JsonObject
from perstack.core.sandbox import ExecResult, Snapshot
from perstack.core.signals import Measurement, SignalKind, SignalRun, SignalSpec, SignalStatus, TestStatus
from perstack.core.verdict import ReasonCode
from perstack.infrastructure.owned import remove_tree
from perstack.infrastructure.secrets import Redactor
from perstack.signals.command import OUTPUT_LIMIT, judge_command, kept_output
from perstack.signals.compiler import run_compiler
from perstack.signals.environment import Variation, variation
from perstack.signals.junit_run import clear_reports, judge_reports, report_pattern, without_report
from perstack.signals.limits import Noted
from perstack.signals.schedule import Slots
from perstack.signals.suites.contract import Place, SuitePlan, SuiteRun
from perstack.signals.tree import Tree, copy_tree
from perstack.signals.unsaid import cleared

# Not those of a machine in trouble, such as a full disk.
_LEFT_SO = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM, errno.ELOOP, errno.EINVAL,
                      errno.EFBIG, errno.ENXIO, errno.EXDEV, errno.ENAMETOOLONG})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Measured:
    """A measurement and what else was seen.

    `shuffled` is a run in another order of test files whose difference to the plain run was shown to come from the
    order alone; it is not among the measurement's runs. `order_dependent` are the tests it concerns.
    `replaced` are functions of the test runner that were replaced while it ran. `cached`: seen by an earlier job.
    """

    measurement: Measurement
    shuffled: SignalRun | None = None
    order_dependent: frozenset[str] = frozenset()
    replaced: frozenset[str] = frozenset()
    cached: bool = False


@dataclass(frozen=True, slots=True)
class Subject:
    """One signal on one tree. `plan` is set for suites that an adapter runs; it comes from the base for both trees.

    `plant` changes the copy of the tree that a run gets.
    """

    spec: SignalSpec
    tree: Tree
    plan: SuitePlan | None = None
    leave_out: Callable[[str], bool] | None = None
    plant: Callable[[Path], None] | None = None


class Meter:
    """Runs signals where a slot is free. `rank` says who goes first: the lowest."""

    def __init__(
        self,
        sandbox: Sandbox,
        snapshot: Snapshot,
        scratch: Path,
        emit: Callable[[str, JsonObject], None],
        *,
        slots: Slots,
        rank: int = 0,
        secrets: Redactor | None = None,
    ) -> None:
        self._secrets = secrets or Redactor()
        self._sandbox = sandbox
        self._snapshot = snapshot
        self._scratch = scratch
        self._emit = emit
        self._slots = slots
        self._rank = rank

    async def measure(self, subject: Subject, *, runs: int | None = None) -> Measured:
        """All runs of a signal on a tree. An error or a hang ends it: more runs would not make it better."""
        wanted = max(1, subject.spec.repeat if runs is None else runs)
        done: list[SuiteRun] = []
        for index in range(wanted):
            done.append(await self._run(subject, index, variation(index)))
            if done[-1].run.status is SignalStatus.ERROR or done[-1].run.problem_code:
                break
        else:
            if wanted > 1 and subject.plan is not None and subject.plan.shuffles:
                return await self._explain_order(subject, done)
        return _measured(subject.spec, done)

    async def once(self, subject: Subject) -> SignalRun:
        """The plain run, alone."""
        return (await self._run(subject, 0, variation(0))).run

    async def _explain_order(self, subject: Subject, done: list[SuiteRun]) -> Measured:
        """Where the shuffled run disagrees, find out whether the order is why, by two more runs."""
        plain, shuffled = done[0].run, done[1].run
        different = differing(plain, shuffled)
        if not different:
            return _measured(subject.spec, done)
        in_order = await self._run(subject, 1, variation(1, in_order=True))
        again = await self._run(subject, 1, variation(1))
        everything = [*done, in_order, again]
        if differing(plain, in_order.run) or differing(shuffled, again.run):
            return _measured(subject.spec, everything)
        measured = _measured(subject.spec, [done[0], in_order, *done[2:]])
        return replace(measured, shuffled=shuffled, order_dependent=different)

    async def _run(self, subject: Subject, index: int, circumstances: Variation) -> SuiteRun:
        async with self._slots.at(self._rank):
            head: dict[str, Json] = {"name": subject.spec.name, "tree": subject.tree.name, "run": index + 1}
            self._emit("startSignal", head)
            started = time.monotonic()
            folder = self._scratch / f"run-{uuid4().hex}"
            status = SignalStatus.NOT_RUN  # where somebody else's result puts an end to it
            try:
                folder.mkdir(parents=True)
                workspace = folder / "workspace"
                await copy_tree(subject.tree, workspace, leave_out=subject.leave_out)
                if subject.plant is not None:
                    await anyio.to_thread.run_sync(subject.plant, workspace)
                noted = Noted(self._sandbox)
                place = Place(
                    noted, self._snapshot, workspace, folder / "runner", circumstances, self._scratch / "builds"
                )
                done = await self._safely(subject, place)
                done = replace(done, run=noted.judged(done.run, self._snapshot.limits))
            except SandboxUnavailable:
                raise
            except InfrastructureError as error:
                done = SuiteRun(failed_run(error.message, seconds=time.monotonic() - started))
            else:
                status = done.run.status
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.to_thread.run_sync(remove_tree, folder)
                seconds = round(time.monotonic() - started, 3)
                self._emit("finishSignal", {**head, "status": status.value, "seconds": seconds})
            return replace(done, run=await anyio.to_thread.run_sync(cleared, done.run, self._secrets))

    async def _safely(self, subject: Subject, place: Place) -> SuiteRun:
        """Files that a run left in a form that cannot be read are a problem of the run, not of the harness."""
        try:
            return await self._dispatch(subject, place)
        except OSError as error:
            if error.errno not in _LEFT_SO:
                raise
            text = f"what the run left cannot be read: {error.strerror} ({Path(str(error.filename)).name})"
            return SuiteRun(failed_run(text, code=ReasonCode.RESULTS_DISAGREE))
        except RecursionError:  # what walks a tree goes one call deeper for each folder
            text = "what the run left cannot be read: folders nested too deeply"
            return SuiteRun(failed_run(text, code=ReasonCode.RESULTS_DISAGREE))

    async def _dispatch(self, subject: Subject, place: Place) -> SuiteRun:
        spec = subject.spec
        if subject.plan is not None:
            return await subject.plan.run(spec, place)
        if spec.kind is SignalKind.COMMAND:
            return SuiteRun(judge_command(spec, await self._result(spec, place)))
        if spec.kind is SignalKind.COMPILER:
            variables = self._variables(place.variation)
            async with self._opened(place) as session:
                return SuiteRun(await run_compiler(session, spec, place.workspace, variables))
        if spec.kind is SignalKind.TEST:
            return SuiteRun(await self._reported(spec, place))
        return SuiteRun(failed_run(f"signals of kind `{spec.kind.value}` cannot be measured by this version"))

    def _opened(self, place: Place) -> AbstractAsyncContextManager[Session]:
        return place.sandbox.open(place.snapshot, place.workspace, limits=place.snapshot.limits)

    async def _result(self, spec: SignalSpec, place: Place) -> ExecResult:
        async with self._opened(place) as session:
            return await session.run(
                spec.run,
                cwd=spec.cwd,
                env=self._variables(place.variation),
                timeout_s=spec.timeout_s,
                output_limit=OUTPUT_LIMIT,
            )

    async def _reported(self, spec: SignalSpec, place: Place) -> SignalRun:
        """A test tool that writes JUnit XML itself."""
        pattern = report_pattern(spec)
        if not pattern:
            return failed_run(without_report(spec))
        await anyio.to_thread.run_sync(clear_reports, place.workspace, pattern)
        result = await self._result(spec, place)
        run = await anyio.to_thread.run_sync(judge_reports, spec, result, place.workspace, pattern)
        return replace(run, output=kept_output(result))

    def _variables(self, circumstances: Variation) -> Mapping[str, str]:
        """What the user configured wins over a variation."""
        configured = dict(self._snapshot.env)
        return {name: value for name, value in circumstances.variables.items() if name not in configured}


def failed_run(problem: str, *, code: ReasonCode = ReasonCode.SIGNAL_ERROR, seconds: float = 0.0) -> SignalRun:
    """A run that could not be had."""
    return SignalRun(SignalStatus.ERROR, seconds, problem=problem, problem_code=code.value)


def differing(one: SignalRun, other: SignalRun) -> frozenset[str]:
    """Ids whose outcome differs between two runs; a run that went wrong differs in everything."""
    if SignalStatus.ERROR in {one.status, other.status} and one.status is not other.status:
        return frozenset({*one.tests, *other.tests, one.problem or other.problem})
    ids = {*one.tests, *other.tests}
    return frozenset(identity for identity in ids if _status(one, identity) is not _status(other, identity))


def _status(run: SignalRun, identity: str) -> TestStatus:
    case = run.tests.get(identity)
    return case.status if case else TestStatus.MISSING


def _measured(spec: SignalSpec, runs: list[SuiteRun]) -> Measured:
    return Measured(
        Measurement(spec, tuple(done.run for done in runs)),
        replaced=frozenset(name for done in runs for name in done.replaced),
    )
