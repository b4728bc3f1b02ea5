"""Jobs: each with its own event log, scratch directory, sandbox and staff. Made here, worked in the runtime."""

from __future__ import annotations

import importlib
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from anyio import to_thread

from perstack.api.choice import (
    choose_checks,
    choose_provider,
    load_early,
    make_provider,
)
from perstack.api.cover import cover
from perstack.api.hidden import secrets_of
from perstack.api.host import Fix, Ground, Host, Review, Run, Verify
from perstack.api.kit import Kit, Shared, Workplace, closing, open_kit
from perstack.api.locked import locked_by
from perstack.api.places import Places
from perstack.api.running import carried_out
from perstack.api.stamps import new_id, now_ms
from perstack.core.contracts import Session
from perstack.core.errors import PerstackError
from perstack.core.events import RECORD_EVENTS, Event, EventSink
from perstack.core.experts import Config, Expert, PipelineSpec
from perstack.core.faults import machine_faults
from perstack.core.json import JsonObject
from perstack.core.outcome import FixOutcome, Planned, Reviewed
from perstack.core.storage import JOB_STATUS, EventWriter, JobRecord, Store
from perstack.core.unicode import well_formed
from perstack.core.usage import Usage
from perstack.core.verdict import Report
from perstack.definition.load import read_experts
from perstack.definition.topology import check_delegates, resolve_expert
from perstack.infrastructure.git import Repository
from perstack.infrastructure.sandbox.ownership import given_back
from perstack.providers import catalogue
from perstack.providers.facts import facts
from perstack.providers.prices import pricing
from perstack.runtime.driver import Runner, RunOutcome, TokenBudget
from perstack.runtime.fold import fold
from perstack.runtime.log import redacted
from perstack.runtime.past import recorded_calls
from perstack.runtime.request import MakeSkills
from perstack.runtime.staff import Staff
from perstack.runtime.store import JobStore
from perstack.skills.team import Team

if TYPE_CHECKING:
    from perstack.signals.sensitivity import Sensitivity

# The verifier and its pipeline: a fifth of all modules, and a plain run needs none of them.
_PROVING = "perstack.api.proving"


class Engine:
    """Makes jobs. One a process."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.secrets = host.redactor()
        self.redact = self.secrets.redact
        self.store: Store = host.store or JobStore(host.storage, self.redact)

    @asynccontextmanager
    async def job(
        self, kind: str, watch: EventSink | None = None, run: Run | None = None, *, job_id: str = ""
    ) -> AsyncIterator[Job]:
        """A job with its own log and scratch directory: a new one (of that id), or the old one `run` goes on with.

        Raises: UserError where the old one is not there or is being worked on.
        """
        goes_on = run is not None and run.goes_on
        record = self._again(run) if run and goes_on else self._new(kind, run, job_id)
        log = self.store.open_log(record.id)
        job = Job(self, record.id, self.store.folder(record.id), log, watch)
        try:
            self.store.save(record)
            if not goes_on:
                job.emit("startJob", {"kind": kind})
            with machine_faults():
                yield job
            job.status = "completed" if job.status == "running" else job.status
        except PerstackError as error:
            job.status, job.error = "stoppedByError", self.redact(error.message)
            raise
        finally:
            # What was interrupted stays `running` for whoever reads the record: its log can be resumed.
            with machine_faults():
                log.close()
            self.store.save(job.record(record))

    def _new(self, kind: str, run: Run | None, job_id: str) -> JobRecord:
        job_id, expert, note = (run.job_id, run.expert, run.note) if run else (job_id, "", {})
        record = JobRecord(job_id or new_id(), expert, now_ms(), extra={**note, "kind": kind})
        self.store.create(record)
        return record

    def _again(self, run: Run) -> JobRecord:
        return replace(self.store.load(run.job_id), status="running", finished_at=0)


@dataclass(slots=True)
class Job:
    """One job at work: everything it does becomes an event."""

    engine: Engine
    id: str
    folder: Path
    log: EventWriter
    watch: EventSink | None = None
    expert: str = ""
    status: str = "running"
    error: str = ""
    steps: int = 0
    max_steps: int = 0
    usage: Usage = field(default_factory=Usage)
    places: Places = field(init=False)

    def __post_init__(self) -> None:
        self.places = Places(self.engine.host, self.id, self.emit, self.say)

    def sink(self, event: Event) -> None:
        """Log first, then show: what people saw is in the log."""
        self.log(event)
        if self.watch is not None and event.type not in RECORD_EVENTS:
            self.watch(event)

    def record(self, before: JobRecord) -> JobRecord:
        """The job's record as it is now. What was never counted (an interrupted job's steps) stays as it was."""
        extra = {key: value for key, value in before.extra.items() if key != "error"}
        return replace(
            before,
            extra=extra | ({"error": self.error} if self.error else {}),
            coordinator_expert_key=self.expert or before.coordinator_expert_key,
            status=self.status,
            total_steps=self.steps or before.total_steps,
            max_steps=self.max_steps or before.max_steps,
            usage=self.usage if self.steps else before.usage,
            finished_at=0 if self.status == "running" else now_ms(),
        )

    def emit(self, kind: str, payload: JsonObject) -> None:
        """One event of the job itself."""
        shown = redacted(payload, self.engine.redact)
        self.sink(Event(type=kind, id=new_id(), timestamp=now_ms(), job_id=self.id, payload=shown))

    @contextmanager
    def stage(self, stage: str) -> Iterator[None]:
        """Tell that a stage started and how it ended."""
        started, ok = time.monotonic(), False
        self.emit("startStage", {"stage": stage, "round": 0})
        try:
            yield
            ok = True
        finally:
            seconds = round(time.monotonic() - started, 3)
            self.emit("finishStage", {"stage": stage, "round": 0, "seconds": seconds, "ok": ok})

    async def fix(self, fix: Fix) -> FixOutcome:
        """Plan, build and verify. Raises: UserError and InfrastructureErrors before there is anything to tell."""
        pipeline = _pipeline_of(fix)
        budgets = pipeline.budgets
        if not pipeline.checks:
            pipeline = replace(pipeline, checks=choose_checks(self.engine.host, fix.config))
        async with self.staff(fix.config, budgets.steps, budgets.tokens, None, budgets.cost) as staff:
            self.expert = pipeline.name
            helpers = {pipeline.checks, pipeline.review} - {"", "off"}
            staff.check((pipeline.plan, pipeline.build, pipeline.verify, *sorted(helpers)))
            proving = await to_thread.run_sync(importlib.import_module, _PROVING)
            ground = await self._prepare(fix.repository, fix.base, fix.config)
            outcome: FixOutcome = await proving.fixed(
                fix, pipeline, staff, ground, host=self.engine.host, out=self.folder
            )
        outcome = staff.billed(outcome)
        self.steps, self.usage = staff.next_step - 1, outcome.usage
        self.emit("finishJob", {"outcome": outcome.ending.value, "verdict": outcome.verdict.value,
                                "rounds": len(outcome.rounds), "usage": outcome.usage.to_json()})  # fmt: skip
        return outcome

    async def plan(self, fix: Fix) -> Planned:
        """Measure the base and have a plan made; nothing is built. Raises: as `fix`."""
        pipeline = _pipeline_of(fix)
        budgets = pipeline.budgets
        async with self.staff(fix.config, budgets.steps, budgets.tokens, None, budgets.cost) as staff:
            self.expert = pipeline.plan
            staff.check((pipeline.plan,))
            proving = await to_thread.run_sync(importlib.import_module, _PROVING)
            ground = await self._prepare(fix.repository, fix.base, fix.config)
            planned: Planned = await proving.planned(
                fix, pipeline, staff, ground, host=self.engine.host, out=self.folder
            )
        planned = staff.billed(planned)
        self.steps, self.usage = staff.next_step - 1, planned.usage
        self.emit("finishJob", {"outcome": "planned" if planned.text else "no-plan", "usage": planned.usage.to_json()})
        return planned

    async def review(self, review: Review) -> Reviewed:
        """Have an expert remark on a change. Raises: UserError and InfrastructureErrors."""
        budgets = _pipeline_of(Fix(review.repository, review.head, review.config)).budgets
        async with self.staff(review.config, budgets.steps, budgets.tokens, None, budgets.cost) as staff:
            self.expert = review.expert
            staff.check((review.expert,))
            proving = await to_thread.run_sync(importlib.import_module, _PROVING)
            with self.stage("prepare"):
                ground = await self.places.to_review(review)
            reviewed: Reviewed = await proving.reviewed(review, staff, ground, host=self.engine.host)
        reviewed = staff.billed(reviewed)
        self.steps, self.usage = staff.next_step - 1, reviewed.usage
        self.emit("finishJob", {"outcome": "reviewed", "usage": reviewed.usage.to_json()})
        return reviewed

    async def verify(self, verify: Verify, *, out: Path | None = None) -> Report:
        """The verification protocol on one patch."""
        proving = await to_thread.run_sync(importlib.import_module, _PROVING)
        ground = await self._prepare(verify.repository, verify.base, verify.config)
        with self.stage("verify"):
            report: Report = await proving.verified(verify, ground, host=self.engine.host, out=out or self.folder)
            self.emit("decideVerdict", {"report": report.to_json()})
        self.emit("finishJob", {"outcome": "verified", "verdict": report.verdict.value})
        return report

    async def sense(self, repository: Repository, base: str, config: Config) -> tuple[Sensitivity, ...]:
        """Whether each signal can be red at all, tried on a commit. Raises: UserError and InfrastructureErrors."""
        proving = await to_thread.run_sync(importlib.import_module, _PROVING)
        ground = await self._prepare(repository, base, config)
        with self.stage("baseline"):
            found: tuple[Sensitivity, ...] = await proving.sensed(repository, base, config.verify, ground)
        return found

    async def shares(self, verify: Verify, of: int) -> tuple[tuple[str, ...], ...]:
        """What each of `of` machines would measure, in words."""
        proving = await to_thread.run_sync(importlib.import_module, _PROVING)
        ground = await self._prepare(verify.repository, verify.base, verify.config)
        units = await proving.shares(verify, ground, of, host=self.engine.host)
        return tuple(tuple(map(str, share)) for share in units)

    async def measure(self, verify: Verify, share: tuple[int, int], out: Path) -> tuple[str, ...]:
        """Measure one machine's share of a verification (number, of) into `out`; what was measured, in words."""
        proving = await to_thread.run_sync(importlib.import_module, _PROVING)
        ground = await self._prepare(verify.repository, verify.base, verify.config)
        with self.stage("measure"):
            units = await proving.measured_share(verify, ground, share, host=self.engine.host, out=out)
        self.emit("finishJob", {"outcome": "measured", "units": [*map(str, units)]})
        return tuple(map(str, units))

    async def run(self, run: Run) -> RunOutcome:
        """One expert over a workspace directory, delegates included; or what `run` says of an old job.

        Raises: UserError and InfrastructureErrors. What a model or its limits ended is an outcome.
        """
        run = replace(run, query=well_formed(run.query))  # an argument of a process may be bytes that are no text
        config, host = run.config, self.engine.host
        expert = resolve_expert(config, run.expert)
        self.expert, self.max_steps = expert.key, run.max_steps or config.max_steps
        check_delegates(config, expert.key)
        if host.model_provider is None:
            load_early(choose_provider(host, config))
        past = self.engine.store.read(self.id).events if run.goes_on else ()
        team = Team(config.experts, read_experts)
        team.restore(recorded_calls(past, until=run.checkpoint))
        shared = Shared(
            team=team,
            locked=locked_by(config),
            own=lambda one: run.skills if one.key == run.expert else (),
            patience_s=(run.timeout_ms or config.timeout_ms) / 1000,
        )
        async with (
            closing(run.skills),
            self.kit(config, run.workspace, shared) as kit,
            self.staff(config, self.max_steps, run.max_tokens, kit.skills_of, run.max_cost) as staff,
        ):
            outcome = await carried_out(run, staff, team.experts, fold(past) if run.goes_on else None)
        self.steps, self.usage = outcome.steps, outcome.usage
        self.status = JOB_STATUS[outcome.status]
        return outcome

    @asynccontextmanager
    async def kit(self, config: Config, workspace: Path, shared: Shared | None = None) -> AsyncIterator[Kit]:
        """The skills of experts over one directory, in a sandbox of its own."""
        with given_back(workspace):
            sandbox, snapshot = await self.places.sandbox(config.sandbox, workspace)
            covers = cover(self.engine.host.own_places, workspace, self.places.scratch("cover"))
            async with sandbox.open(snapshot, workspace, mounts=covers) as session:
                place = Workplace(sandbox, snapshot, session, workspace, covers=covers)
                async with open_kit(self.engine.host, place, self.emit, shared) as kit:
                    yield kit

    @asynccontextmanager
    async def session(self, config: Config, workspace: Path) -> AsyncIterator[Session]:
        """A sandbox of its own over one directory."""
        sandbox, snapshot = await self.places.sandbox(config.sandbox, workspace)
        async with sandbox.open(snapshot, workspace) as session:
            yield session

    async def _prepare(self, repository: Repository, base: str, config: Config) -> Ground:
        with self.stage("prepare"):
            return await self.places.to_measure(repository, base, config)

    def say(self, message: str) -> None:
        """Progress for people."""
        self.emit("progress", {"message": self.engine.redact(message)})

    @asynccontextmanager
    async def staff(
        self, config: Config, max_steps: int, tokens: int, skills_for: MakeSkills | None, cost: float = 0.0
    ) -> AsyncIterator[Staff]:
        host = self.engine.host
        given, wanted = host.model_provider, host.model or config.model
        spec = choose_provider(host, config)
        self.engine.secrets.learn(secrets_of(config, host.env))

        def model_of(expert: Expert) -> str:
            if given is not None:  # a program's own: the catalogue knows neither it nor its models
                return wanted or given.name
            return catalogue.resolve(spec.name, wanted, expert.default_model_tier)

        budget = TokenBudget(tokens, cost_limit=cost, cost_of=pricing("" if given else spec.name, now_ms, spec.models))
        provider = given or make_provider(spec, host.env, self.say, budget.affordable)
        if host.around is not None:
            provider = host.around(provider)
        runner = Runner(
            provider,
            self.sink,
            new_id=new_id,
            now_ms=now_ms,
            tokens=budget,
            skills_for=skills_for,
            model_for=model_of,
            secrets=self.engine.secrets,
            traits_for=partial(facts, given.name if given else spec.name, own=spec.models),
        )

        try:
            yield Staff(runner, config, self.id, model_of, max_steps)
        finally:
            await provider.close()


def _pipeline_of(fix: Fix) -> PipelineSpec:
    return fix.config.pipelines.get(fix.pipeline) or PipelineSpec(name=fix.pipeline)
