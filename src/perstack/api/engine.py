"""Jobs: each with its own event log, scratch directory, sandbox and staff. Made here, worked in the runtime."""

from __future__ import annotations

import importlib
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from anyio import to_thread

from perstack.api.choice import attempts, choose_provider, load_early, make_provider, working_sandbox
from perstack.api.configuration import CONFIG_NAME
from perstack.api.host import Fix, Ground, Host, Verify
from perstack.api.repository import detect_signals
from perstack.core.contracts import Sandbox, Session, Skill
from perstack.core.errors import SandboxUnavailable, UserError
from perstack.core.events import Event, EventSink
from perstack.core.experts import Config, Expert, PipelineSpec
from perstack.core.json import JsonObject
from perstack.core.outcome import FixOutcome
from perstack.core.sandbox import SandboxSpec, Snapshot
from perstack.core.storage import EventWriter, JobRecord
from perstack.core.usage import Usage
from perstack.core.verdict import Report
from perstack.definition.topology import check_delegates, resolve_expert
from perstack.infrastructure.git import Repository
from perstack.infrastructure.sandbox.ownership import given_back
from perstack.infrastructure.secrets import Redactor
from perstack.providers import catalogue
from perstack.runtime.driver import Runner, RunOutcome, TokenBudget
from perstack.runtime.staff import SkillsFor, Staff
from perstack.runtime.store import JobStore
from perstack.skills.base import base_skill
from perstack.skills.selection import require_available

# The verifier and its pipeline: a fifth of all modules, and a plain run needs none of them.
_PROVING = "perstack.api.proving"


class Engine:
    """Makes jobs. One a process."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.redact = Redactor(host.secrets()).redact

    @asynccontextmanager
    async def job(self, kind: str, watch: EventSink | None = None) -> AsyncIterator[Job]:
        """A new job with its own event log and scratch directory."""
        store = JobStore(self.host.storage, self.redact)
        record = JobRecord(new_id(), "", now_ms(), extra={"kind": kind})
        store.create(record)
        log = store.open_log(record.id)
        job, status = Job(self, record.id, store.folder(record.id), log, watch), "stoppedByError"
        try:
            job.emit("startJob", {"kind": kind})
            yield job
            status = "completed"
        finally:
            log.close()
            store.save(
                replace(
                    record,
                    coordinator_expert_key=job.expert,
                    status=status,
                    total_steps=job.steps,
                    usage=job.usage,
                    finished_at=now_ms(),
                )
            )


@dataclass(slots=True)
class Job:
    """One job at work: everything it does becomes an event."""

    engine: Engine
    id: str
    folder: Path
    log: EventWriter
    watch: EventSink | None = None
    expert: str = ""
    steps: int = 0
    usage: Usage = field(default_factory=Usage)

    def sink(self, event: Event) -> None:
        """Log first, then show: what people saw is in the log."""
        self.log(event)
        if self.watch is not None:
            self.watch(event)

    def emit(self, kind: str, payload: JsonObject) -> None:
        """One event of the job itself."""
        self.sink(Event(type=kind, id=new_id(), timestamp=now_ms(), job_id=self.id, payload=payload))

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
        pipeline = fix.config.pipelines.get(fix.pipeline) or PipelineSpec(name=fix.pipeline)
        budgets = pipeline.budgets
        async with self._staff(fix.config, budgets.steps, budgets.tokens, None) as staff:
            self.expert = pipeline.name
            staff.check((pipeline.plan, pipeline.build, pipeline.verify))
            proving = await to_thread.run_sync(importlib.import_module, _PROVING)
            ground = await self._prepare(fix.repository, fix.base, fix.config)
            outcome: FixOutcome = await proving.fixed(fix, pipeline, staff, ground, out=self.folder)
        self.steps, self.usage = sum(r.steps for r in outcome.rounds), outcome.usage
        self.emit("finishJob", {"outcome": outcome.ending.value, "verdict": outcome.verdict.value,
                                "rounds": len(outcome.rounds), "usage": outcome.usage.to_json()})  # fmt: skip
        return outcome

    async def verify(self, verify: Verify, *, out: Path | None = None) -> Report:
        """The verification protocol on one patch."""
        proving = await to_thread.run_sync(importlib.import_module, _PROVING)
        ground = await self._prepare(verify.repository, verify.base, verify.config)
        with self.stage("verify"):
            report: Report = await proving.verified(verify, ground, out=out or self.folder)
            self.emit("decideVerdict", {"report": report.to_json()})
        self.emit("finishJob", {"outcome": "verified", "verdict": report.verdict.value})
        return report

    async def run(self, config: Config, key: str, query: str, workspace: Path) -> RunOutcome:
        """One expert over a workspace directory, delegates included."""
        expert, self.expert = resolve_expert(config, key), key
        load_early(choose_provider(self.engine.host, config))
        for one in (expert, *check_delegates(config, key)):
            require_available(one)
        with given_back(workspace):
            async with self.session(config, workspace) as session:
                return await self._run_in(session, config, expert, query, workspace)

    async def _run_in(
        self, session: Session, config: Config, expert: Expert, query: str, workspace: Path
    ) -> RunOutcome:
        async def skills_for(one: Expert) -> tuple[Skill, ...]:
            return (base_skill(one, workspace, session),)

        async with self._staff(config, config.max_steps, 0, skills_for) as staff:
            outcome = await staff(expert, query, await skills_for(expert))
        self.steps, self.usage = outcome.steps, outcome.usage
        return outcome

    @asynccontextmanager
    async def session(self, config: Config, workspace: Path) -> AsyncIterator[Session]:
        """A sandbox of its own over one directory."""
        sandbox, snapshot = await self._sandbox(config.sandbox, workspace)
        async with sandbox.open(snapshot, workspace) as session:
            yield session

    async def _prepare(self, repository: Repository, base: str, config: Config) -> Ground:
        with self.stage("prepare"):
            specs, suggestion = config.signals, SandboxSpec()
            if not specs or not (config.sandbox.image or config.sandbox.build):
                detection = await detect_signals(repository, base)
                specs, suggestion = specs or detection.signals, detection.sandbox
            if not specs:
                raise UserError(
                    f"no signals: {CONFIG_NAME} has no [signals] and no test suite was recognised",
                    hint='write one, for example [signals.tests] with kind = "test" and run = "python3 -m pytest"',
                )
            source = self._scratch("source")
            await repository.export(base, source)
            sandbox, snapshot = await self._sandbox(config.sandbox, source, suggestion)
        return Ground(specs, sandbox, snapshot, self.engine.host.scratch / self.id, self.emit)

    async def _sandbox(
        self, spec: SandboxSpec, source: Path, suggestion: SandboxSpec | None = None
    ) -> tuple[Sandbox, Snapshot]:
        """The strongest back end that works and can be prepared; says which and why not the others."""
        problems: list[str] = []
        for name, variant in attempts(self.engine.host.sandbox, spec, suggestion or SandboxSpec()):
            try:
                sandbox = await working_sandbox(name, self.engine.host.path)
                snapshot = await sandbox.prepare(variant, source, self.say)
            except (SandboxUnavailable, UserError) as error:
                if isinstance(error, UserError) and (spec.image or spec.build or spec.setup):
                    raise  # what the configuration says is wrong, and no other back end makes it right
                problems.append(f"{name}: {error.message}")
                self.say(f"sandbox {name} cannot be used: {error.message}")
                continue
            self.say(f"sandbox: {name}")
            return sandbox, snapshot
        raise SandboxUnavailable(
            "no sandbox can be used (" + "; ".join(dict.fromkeys(problems)) + ")",
            hint=f"start a Docker engine{' (the configuration names an image)' if spec.image or spec.build else ''}, "
            "or install bubblewrap (apt-get install bubblewrap) and choose `--sandbox bubblewrap`; "
            "`--sandbox host` runs without isolation, for code you trust",
        )

    def say(self, message: str) -> None:
        """Progress for people."""
        self.emit("progress", {"message": self.engine.redact(message)})

    def _scratch(self, name: str) -> Path:
        return self.engine.host.scratch / self.id / name

    @asynccontextmanager
    async def _staff(
        self, config: Config, max_steps: int, tokens: int, skills_for: SkillsFor | None
    ) -> AsyncIterator[Staff]:
        host = self.engine.host
        spec = choose_provider(host, config)
        wanted = host.model or config.model

        def model_of(expert: Expert) -> str:
            return catalogue.resolve(spec.name, wanted, expert.default_model_tier)

        provider = make_provider(spec, host.env, self.say)
        runner = Runner(
            provider,
            self.sink,
            new_id=new_id,
            now_ms=now_ms,
            tokens=TokenBudget(tokens),
            skills_for=skills_for,
            model_for=model_of,
        )

        try:
            yield Staff(runner, config, self.id, model_of, max_steps)
        finally:
            await provider.close()


def new_id() -> str:
    """Unique within a storage; carries no meaning."""
    return secrets.token_hex(12)


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000
