"""Plan, build, verify: the loop that turns a task into a proved candidate, or says why not.

The harness decides; experts propose. A `pass` comes from the verifier's report and from nothing else, and the
protocol runs whether or not the verify expert asks for it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import anyio

from perstack.context.fix_queries import FixFacts, build_query, plan_query, verify_query
from perstack.context.review_queries import review_query
from perstack.core.contracts import Sandbox, Skill
from perstack.core.errors import BudgetExceeded, ProviderError, ToolError
from perstack.core.experts import Config, Expert, PipelineSpec
from perstack.core.json import JsonObject
from perstack.core.outcome import Candidate, Ending, FixOutcome, Planned, Round
from perstack.core.sandbox import Snapshot
from perstack.core.signals import SignalSpec
from perstack.core.usage import Usage
from perstack.core.verdict import ReasonCode, Report, Verdict
from perstack.infrastructure.git import Repository
from perstack.runtime.baseline import failing_tests, first_output, gating, is_red, unusable
from perstack.runtime.checks import MAX_TRIES, write_checks
from perstack.runtime.driver import RunOutcome
from perstack.runtime.kits import OpenKit, RunExpert, base_tools_only
from perstack.runtime.named_source import named_source
from perstack.runtime.stage import Stage
from perstack.signals.compare import unknown_targets
from perstack.signals.held_out.written import WrittenChecks
from perstack.signals.protocol import Verifier, VerifyRequest
from perstack.skills.signals import RunSignalsSkill


@dataclass(frozen=True, slots=True)
class FixRequest:
    """One fix job. `base` is the commit to fix; `out` gets evidence; `scratch` is private to the harness.

    `plan` is one that a person approved: it is carried out as it is, and nobody is asked for another.
    """

    repository: Repository
    base: str
    title: str
    text: str
    config: Config
    specs: tuple[SignalSpec, ...]
    snapshot: Snapshot
    scratch: Path
    out: Path
    targets: tuple[str, ...] = ()
    plan: str = ""


@dataclass(frozen=True, slots=True)
class Tools:
    """The concrete parts the pipeline works with. `now_s` is a monotonic clock."""

    sandbox: Sandbox
    verifier: Verifier
    run_expert: RunExpert
    emit: Callable[[str, JsonObject], None]
    now_s: Callable[[], float]
    kit: OpenKit = base_tools_only


@dataclass(slots=True)
class _Progress:
    """What is known so far; becomes the outcome however the job ends."""

    plan: str = ""
    rounds: tuple[Round, ...] = ()
    remarks: tuple[str, ...] = ()
    usage: Usage = field(default_factory=Usage)
    steps: int = 0
    best: tuple[Candidate, Report] | None = None
    rejected: tuple[str, ...] = ()
    feedback: Report | None = None
    refused: str = ""
    checks: WrittenChecks | None = None


class FixPipeline:
    """One job. Use once."""

    def __init__(self, request: FixRequest, pipeline: PipelineSpec, tools: Tools) -> None:
        self._request = request
        self._pipeline = pipeline
        self._tools = tools
        self._progress = _Progress()
        self._facts = FixFacts(request.title, request.text, request.specs, ())
        self._started = tools.now_s()

    async def run(self) -> FixOutcome:
        """Work until proved, until a budget ends, or until there is no progress."""
        return await self._within_limits(self._run)

    async def plan(self) -> Planned:
        """Measure the base and have a plan made; nothing is built."""
        outcome = await self._within_limits(self._plan_only)
        ended = None if outcome.plan else outcome.ending
        return Planned(
            outcome.base, outcome.plan, ended, outcome.why, outcome.failing, outcome.usage, outcome.seconds
        )  # fmt: skip

    async def _within_limits(self, work: Callable[[], Awaitable[FixOutcome]]) -> FixOutcome:
        budgets = self._pipeline.budgets
        outcome: FixOutcome | None = None
        with anyio.move_on_after(budgets.wall_time_s or None) as scope:
            try:
                outcome = await work()
            except BudgetExceeded as error:
                outcome = self._end(Ending.BUDGET_USED, error.message)
            except ProviderError as error:
                outcome = self._end(Ending.MODEL_FAILED, str(error))
        if outcome is None or scope.cancelled_caught:
            outcome = self._end(Ending.BUDGET_USED, f"the job's time of {budgets.wall_time_s:g} s was used up")
        return outcome

    async def _run(self) -> FixOutcome:
        if (ended := await self._baseline()) is not None:
            return ended
        await self._plan()
        await self._write_checks()
        workspace = self._request.scratch / "build"
        await self._request.repository.export(self._request.base, workspace)
        for number in range(1, self._pipeline.budgets.rounds + 1):
            if (ended := await self._round(number, workspace)) is not None:
                return ended
        return self._end(Ending.ROUNDS_USED, f"no proved fix in {self._pipeline.budgets.rounds} rounds")

    async def _plan_only(self) -> FixOutcome:
        if (ended := await self._baseline()) is not None:
            return ended
        await self._plan()
        return self._end(Ending.NO_CANDIDATE, "the plan expert had nothing to say")

    async def _baseline(self) -> FixOutcome | None:
        request = self._request
        with self._stage("baseline"):
            baseline = await self._tools.verifier.baseline(
                request.repository, request.base, request.specs, request.snapshot
            )
            measured = gating(baseline.measurements.values())
            red = tuple(m for m in measured if is_red(m))
            self._facts = replace(
                self._facts,
                failing=failing_tests(red),
                output=first_output(red),
                protected=request.config.verify.protect,
                source=await named_source(request.repository, request.base, red),
            )
        # a slip of the pen costs no model's answer: nothing that is built could turn it green
        if unknown := unknown_targets(tuple(baseline.measurements.values()), request.targets):
            return self._end(Ending.NOTHING_TO_FIX, unknown[0].detail)
        if problem := unusable(measured):
            return self._end(Ending.CANNOT_START, problem)
        if not red:
            return self._end(Ending.NOTHING_TO_FIX, "every signal is green on the base commit: nothing to fix")
        return None

    async def _plan(self) -> None:
        if self._request.plan:
            self._progress.plan = self._request.plan
            return
        with self._stage("plan"):
            workspace = self._request.scratch / "plan"
            await self._request.repository.export(self._request.base, workspace)
            expert = self._expert(self._pipeline.plan)
            outcome = await self._with_base_tools(expert, workspace, plan_query(self._facts), read_only=True)
            self._progress.plan = outcome.text

    async def _write_checks(self) -> None:
        """Before anything is built, and without a word of the plan: the author knows the task alone."""
        request, key = self._request, self._pipeline.checks
        if key in {"", "off"} or request.config.verify.held_out == "off":
            return
        draft = await self._tools.verifier.draft(
            request.repository, request.base, request.specs, request.snapshot, request.config.verify
        )
        if draft is None:
            return
        expert = self._expert(key)

        async def ask(query: str, workspace: Path, skill: Skill) -> None:
            await self._with_base_tools(expert, workspace, query, read_only=True, extra=(skill,))

        with self._stage("checks"):
            scratch = request.scratch / "checks"
            self._progress.checks = await write_checks(draft, self._facts, ask, self._tools.emit, scratch)

    async def _round(self, number: int, workspace: Path) -> FixOutcome | None:
        progress, started = self._progress, self._tools.now_s()
        before = (progress.steps, progress.usage.total_tokens)
        with self._stage("build", number):
            candidate = await self._built(number, workspace)
            if candidate is not None and (advice := await self._reviewed(candidate)):
                candidate = await self._built(number, workspace, advice)
        report = None
        if candidate is not None and candidate.digest not in {r.candidate for r in progress.rounds}:
            with self._stage("verify", number):
                report = await self._verify(candidate)
        record = Round(
            number=number,
            candidate=candidate.digest if candidate else "",
            verdict=report.verdict if report else None,
            reasons=tuple(r.code.value for r in report.reasons) if report else (),
            failing=_still_failing(report),
            steps=progress.steps - before[0],
            tokens=progress.usage.total_tokens - before[1],
            seconds=self._tools.now_s() - started,
        )
        earlier, progress.rounds = progress.rounds, (*progress.rounds, record)
        return self._judge(candidate, report, record, earlier)

    async def _built(self, number: int, workspace: Path, advice: str = "") -> Candidate | None:
        progress = self._progress
        query = build_query(
            self._facts, progress.plan, feedback=progress.feedback, rejected=progress.rejected, advice=advice
        )
        await self._with_base_tools(self._expert(self._pipeline.build), workspace, query)
        return await self._candidate(number, workspace)

    async def _reviewed(self, candidate: Candidate) -> str:
        """A review of the candidate, before the gate: advice to the builder, and nothing else ever reads it."""
        if self._pipeline.review in {"", "off"}:
            return ""
        query = review_query(self._request.title, self._request.text, candidate.patch)
        return await self._soft("review", candidate, query)

    def _judge(
        self, candidate: Candidate | None, report: Report | None, record: Round, earlier: Sequence[Round]
    ) -> FixOutcome | None:
        """What a finished round means. None: go on with the next."""
        if candidate is None:
            return self._end(Ending.NO_CANDIDATE, self._progress.refused or "the build expert changed nothing")
        if report is None:
            return self._end(Ending.NO_PROGRESS, "the same candidate was built twice")
        self._keep_best(candidate, report)
        if report.verdict is Verdict.PASS:
            return self._end(Ending.FIXED, "every signal that gates is green and the protocol found no doubt")
        if sum(ReasonCode.EXPERT_CHECK_FAILED.value in one.reasons for one in (*earlier, record)) >= MAX_TRIES:
            return self._end(Ending.NO_PROGRESS, "checks written from the task alone spoke against every attempt")
        if (
            earlier
            and record.failing
            and record.failing == earlier[-1].failing
            and record.reasons == earlier[-1].reasons
        ):
            return self._end(Ending.NO_PROGRESS, "two rounds in a row failed in the same way")
        self._progress.feedback = report
        self._progress.rejected = (*self._progress.rejected, candidate.patch)
        return None

    async def _candidate(self, number: int, workspace: Path) -> Candidate | None:
        """Computed by the harness from the files; an expert never hands in a patch."""
        try:
            tree, patch = await self._request.repository.snapshot(self._request.base, workspace)
        except ToolError as error:
            self._tools.emit("refuse", {"code": "workspace", "message": error.message})
            self._progress.refused = error.message
            return None
        if patch.is_empty:
            return None
        self._tools.emit(
            "computeCandidate",
            {
                "round": number,
                "digest": patch.digest,
                "files": list(patch.files),
                "insertions": patch.insertions,
                "deletions": patch.deletions,
                "patch": patch.text,
            },
        )
        return Candidate(patch.text, patch.digest, tree, patch.files, patch.insertions, patch.deletions)

    async def _verify(self, candidate: Candidate) -> Report:
        request = self._request
        report: Report | None = None

        async def run_signals() -> Report:
            nonlocal report
            if report is None:
                report = await self._tools.verifier.verify(
                    VerifyRequest(
                        repository=request.repository,
                        base=request.base,
                        patch=candidate.patch,
                        specs=request.specs,
                        verify=request.config.verify,
                        snapshot=request.snapshot,
                        out=request.out,
                        targets=request.targets,
                        everything=True,  # a builder works with every fact there is
                        checks=self._progress.checks,
                    )
                )
                self._tools.emit("decideVerdict", {"report": report.to_json()})
            return report

        await self._remark(candidate, run_signals)
        return await run_signals()

    async def _remark(self, candidate: Candidate, run_signals: Callable[[], Awaitable[Report]]) -> None:
        """The verify expert's own look."""
        query = verify_query(self._facts, self._progress.plan, candidate.patch)
        await self._soft("verify", candidate, query, (RunSignalsSkill(run_signals),))

    async def _soft(self, role: str, candidate: Candidate, query: str, extra: tuple[Skill, ...] = ()) -> str:
        """What an expert says of a candidate: a soft signal, so its failure costs a remark and nothing else."""
        workspace = self._request.scratch / f"{role}-{candidate.digest[:16]}"
        if not workspace.exists():
            await self._request.repository.export(candidate.tree, workspace)
        expert = self._expert(getattr(self._pipeline, role))
        try:
            outcome = await self._with_base_tools(expert, workspace, query, read_only=True, extra=extra)
        except (ProviderError, BudgetExceeded) as error:
            self._tools.emit("progress", {"message": f"the {role} expert could not answer: {error.message}"})
            return ""
        if outcome.text:
            self._progress.remarks = (*self._progress.remarks, outcome.text)
            self._tools.emit("remark", {"text": outcome.text, "by": role, "soft": True})
        return outcome.text

    async def _with_base_tools(
        self,
        expert: Expert,
        workspace: Path,
        query: str,
        *,
        read_only: bool = False,
        extra: tuple[Skill, ...] = (),
    ) -> RunOutcome:
        tools = self._tools
        async with (
            tools.sandbox.open(self._request.snapshot, workspace) as session,
            tools.kit(session, workspace, read_only=read_only) as make,
        ):

            async def skills_for(one: Expert) -> tuple[Skill, ...]:
                return (*await make(one), *(extra if one.key == expert.key else ()))

            outcome = await tools.run_expert(expert, query, skills_for)
        self._progress.usage += outcome.usage
        self._progress.steps += outcome.steps
        if outcome.status == "stoppedByError":
            raise ProviderError(f"expert `{expert.key}` stopped: {outcome.error}")
        return outcome

    def _expert(self, key: str) -> Expert:
        return self._request.config.experts[key]

    def _keep_best(self, candidate: Candidate, report: Report) -> None:
        best = self._progress.best
        if best is None or _badness(report) <= _badness(best[1]):
            self._progress.best = (candidate, report)

    def _end(self, ending: Ending, why: str) -> FixOutcome:
        progress = self._progress
        candidate, report = progress.best or (None, None)
        return FixOutcome(
            ending=ending,
            why=why,
            base=self._request.base,
            report=report,
            candidate=candidate,
            failing=self._facts.failing,
            plan=progress.plan,
            rounds=progress.rounds,
            remarks=progress.remarks,
            usage=progress.usage,
            seconds=self._tools.now_s() - self._started,
        )

    def _stage(self, stage: str, number: int = 0) -> Stage:
        rounds = self._pipeline.budgets.rounds if number else 0
        return Stage(self._tools.emit, self._tools.now_s, {"stage": stage, "round": number, "rounds": rounds})


def _still_failing(report: Report | None) -> tuple[str, ...]:
    if report is None:
        return ()
    return tuple(sorted({case.id for signal in report.signals for case in signal.failures}))


def _badness(report: Report) -> tuple[bool, int, int]:
    return (report.verdict is not Verdict.PASS, len(_still_failing(report)), len(report.reasons))
