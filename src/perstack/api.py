"""Composition root and programmatic API: the only place that picks concrete classes.

Interface code and scripts come in here; everything below is handed its parts. Modules that are slow to import are
named in tables and loaded when they are first needed.
"""

from __future__ import annotations

import importlib
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

from anyio import from_thread

from perstack.core.contracts import Provider, Sandbox, Skill
from perstack.core.errors import SandboxUnavailable, UserError
from perstack.core.events import Event, EventSink
from perstack.core.experts import Config, Expert, PipelineSpec, ProviderSpec
from perstack.core.json import JsonObject
from perstack.core.outcome import FixOutcome
from perstack.core.sandbox import SandboxSpec, Snapshot
from perstack.core.signals import SignalSpec
from perstack.core.verdict import Report
from perstack.definition.builtin import builtin_config, merge
from perstack.definition.document import json_schema, reference
from perstack.definition.load import find_config, load_config, load_file, read_definition, validate_config
from perstack.definition.topology import tree_lines as expert_lines
from perstack.forge.contract import CommitRequest
from perstack.infrastructure.apply import apply_tree
from perstack.infrastructure.git import Identity, Repository
from perstack.infrastructure.secrets import Redactor
from perstack.providers import catalogue
from perstack.runtime.driver import Runner, RunOutcome, TokenBudget
from perstack.runtime.log import EventLog
from perstack.runtime.pipeline import FixPipeline, FixRequest, Tools, base_skill
from perstack.runtime.staff import SkillsFor, Staff
from perstack.signals.detect import Detection, detect, render_toml
from perstack.signals.protocol import Verifier, VerifyRequest

__all__ = [
    "CONFIG_NAME", "Detection", "Engine", "Fix", "GitRemote", "Host", "Job", "Repository", "Verify",
    "apply_tree",
    "commit", "detect_signals", "expert_lines", "find_config", "json_schema", "open_bare", "parse_config", "read_config",
    "reference", "render_toml", "validate",
]  # fmt: skip

CONFIG_NAME = "perstack.toml"
AUTHOR = Identity("perstack", "perstack@users.noreply.github.com")
SECRET_WORDS = ("KEY", "TOKEN", "SECRET", "PASSWORD", "CREDENTIAL")

# Sandboxes from strongest to weakest; `host` is never chosen automatically.
SANDBOXES = {
    "docker": ("perstack.infrastructure.sandbox.docker", "Docker"),
    "bubblewrap": ("perstack.infrastructure.sandbox.bubblewrap", "Bubblewrap"),
    "host": ("perstack.infrastructure.sandbox.host", "Host"),
}


@dataclass(frozen=True, slots=True)
class Host:
    """What the interface read from outside. `scratch` is private and temporary, `storage` keeps jobs."""

    env: Mapping[str, str]
    path: tuple[Path, ...]
    scratch: Path
    storage: Path
    sandbox: str = "auto"
    provider: str = ""
    model: str = ""

    def secrets(self) -> tuple[str, ...]:
        """Values that must never leave the process."""
        return tuple(
            value
            for name, value in self.env.items()
            if len(value) >= 8 and any(w in name.upper() for w in SECRET_WORDS)
        )


@dataclass(frozen=True, slots=True)
class Fix:
    """A fix to make: what people wrote, at which commit, with which configuration."""

    repository: Repository
    base: str
    config: Config
    title: str = ""
    text: str = ""
    targets: tuple[str, ...] = ()
    pipeline: str = "fix"


@dataclass(frozen=True, slots=True)
class Verify:
    """A patch to judge against a base commit."""

    repository: Repository
    base: str
    patch: str
    config: Config
    targets: tuple[str, ...] = ()
    needs_red: bool = False


def parse_config(text: str | None, path: str = CONFIG_NAME) -> Config:
    """The configuration in `text` over the built-in experts; None where the repository has no file.

    Raises: UserError with every problem at its line.
    """
    builtin = builtin_config()
    return builtin if text is None else merge(load_config(text, path), builtin)


def read_config(path: Path | None) -> Config:
    """The configuration file over the built-in experts; None for the built-in ones alone.

    Raises: UserError for a file that cannot be read or is wrong.
    """
    return builtin_config() if path is None else merge(load_file(path), builtin_config())


def validate(path: Path) -> Config:
    """Check a definition as a whole, delegates included. Raises: UserError with every problem at its line."""
    return validate_config(read_definition(path), str(path), known=builtin_config().experts)


async def open_bare(path: Path) -> Repository:
    """A bare git directory that already holds what was fetched."""
    return await Repository.create(path)


async def commit(repository: Repository, tree: str, parent: str, message: str) -> str:
    """A commit object of ours; nothing points to it yet."""
    return await repository.commit(tree, (parent,), message, author=AUTHOR, timestamp=int(time.time()))


@dataclass(frozen=True, slots=True)
class GitRemote:
    """The forge's git traffic (`forge.contract.Remote`). Called from worker threads of the event loop."""

    url: str
    header: str = ""

    def fetch(self, sha: str, into: Path, *, history: bool = False) -> None:
        async def work() -> None:
            repository = await Repository.create(into)
            await repository.fetch(self.url, sha, header=self.header, depth=None if history else 1)

        from_thread.run(work)

    def push(self, request: CommitRequest) -> None:
        async def work() -> None:
            repository = await Repository.create(request.repository)
            await repository.push(
                self.url, request.commit, request.branch, expected=request.expected, header=self.header
            )

        from_thread.run(work)


async def detect_signals(repository: Repository, commit: str) -> Detection:
    """Signals and a sandbox that fit the repository's own files."""
    files = await repository.list_files(commit)
    wanted = {name: await repository.read_file(commit, name) for name in _worth_reading([f.path for f in files])}
    return detect([f.path for f in files], wanted.get)


def _worth_reading(paths: list[str]) -> list[str]:
    endings = (".toml", ".cfg", ".ini", ".json", ".mod", ".xml", ".gradle", ".kts", ".txt", ".yml", ".yaml")
    names = {"Makefile", "CMakeLists.txt", "conftest.py", "setup.py"}
    return [p for p in paths if p.count("/") <= 2 and (p.endswith(endings) or p.rsplit("/", 1)[-1] in names)]


class Engine:
    """Makes jobs. One a process."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.redact = Redactor(host.secrets()).redact

    @asynccontextmanager
    async def job(self, kind: str, watch: EventSink | None = None) -> AsyncIterator[Job]:
        """A new job with its own event log and scratch directory."""
        job_id = new_id()
        folder = self.host.storage / "jobs" / job_id
        log = EventLog(folder / "events.jsonl", redact=self.redact)
        try:
            job = Job(self, job_id, folder, log, watch)
            job.emit("startJob", {"kind": kind})
            yield job
        finally:
            log.close()


@dataclass(slots=True)
class Job:
    """One job at work: everything it does becomes an event."""

    engine: Engine
    id: str
    folder: Path
    log: EventLog
    watch: EventSink | None = None
    providers: list[Provider] = field(default_factory=list)

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
            staff.check((pipeline.plan, pipeline.build, pipeline.verify))
            specs, sandbox, snapshot = await self._prepare(fix.repository, fix.base, fix.config)
            request = FixRequest(
                repository=fix.repository,
                base=fix.base,
                title=fix.title,
                text=fix.text,
                config=fix.config,
                specs=specs,
                snapshot=snapshot,
                scratch=self._scratch("fix"),
                out=self.folder,
                targets=fix.targets,
            )
            verifier = Verifier(sandbox, self.emit, self._scratch("verify"))
            tools = Tools(sandbox, verifier, staff, self.emit, time.monotonic)
            outcome = await FixPipeline(request, pipeline, tools).run()
        self.emit("finishJob", {"outcome": outcome.ending.value, "verdict": outcome.verdict.value,
                                "rounds": len(outcome.rounds), "usage": outcome.usage.to_json()})  # fmt: skip
        return outcome

    async def verify(self, verify: Verify, *, out: Path | None = None) -> Report:
        """The verification protocol on one patch."""
        specs, sandbox, snapshot = await self._prepare(verify.repository, verify.base, verify.config)
        verifier = Verifier(sandbox, self.emit, self._scratch("verify"))
        with self.stage("verify"):
            report = await verifier.verify(
                VerifyRequest(
                    repository=verify.repository,
                    base=verify.base,
                    patch=verify.patch,
                    specs=specs,
                    verify=verify.config.verify,
                    snapshot=snapshot,
                    out=out or self.folder,
                    targets=verify.targets,
                    needs_red=verify.needs_red,
                )
            )
            self.emit("decideVerdict", {"report": report.to_json()})
        self.emit("finishJob", {"outcome": "verified", "verdict": report.verdict.value})
        return report

    async def run(self, config: Config, key: str, query: str, workspace: Path) -> RunOutcome:
        """One expert over a workspace directory, delegates included."""
        expert = config.experts.get(key)
        if expert is None:
            known = ", ".join(sorted(config.experts)) or "none"
            raise UserError(f"expert `{key}` is not defined", hint=f"defined experts: {known}")
        sandbox, snapshot = await self._sandbox(config.sandbox, workspace)
        async with sandbox.open(snapshot, workspace) as session:

            async def skills_for(one: Expert) -> tuple[Skill, ...]:
                return (base_skill(one, workspace, session),)

            async with self._staff(config, config.max_steps, 0, skills_for) as staff:
                return await staff(expert, query, await skills_for(expert))

    async def _prepare(
        self, repository: Repository, base: str, config: Config
    ) -> tuple[tuple[SignalSpec, ...], Sandbox, Snapshot]:
        with self.stage("prepare"):
            specs, spec = config.signals, config.sandbox
            if not specs or not (spec.image or spec.build):
                detection = await detect_signals(repository, base)
                specs = specs or detection.signals
                spec = _with_suggestion(spec, detection.sandbox)
            if not specs:
                raise UserError(
                    f"no signals: {CONFIG_NAME} has no [signals] and no test suite was recognised",
                    hint='write one, for example [signals.tests] with kind = "test" and run = "python3 -m pytest"',
                )
            source = self._scratch("source")
            await repository.export(base, source)
            sandbox, snapshot = await self._sandbox(spec, source)
        return specs, sandbox, snapshot

    async def _sandbox(self, spec: SandboxSpec, source: Path) -> tuple[Sandbox, Snapshot]:
        """The strongest back end that works and can be prepared; says which and why not the others."""
        wanted = self.engine.host.sandbox
        names = ("docker", "bubblewrap") if wanted == "auto" else (wanted,)
        problems: list[str] = []
        for name in names:
            try:
                sandbox = await self._working(name)
                snapshot = await sandbox.prepare(spec, source, self.say)
            except SandboxUnavailable as error:
                problems.append(f"{name}: {error.message}")
                self.say(f"sandbox {name} cannot be used: {error.message}")
                continue
            self.say(f"sandbox: {name}")
            return sandbox, snapshot
        raise SandboxUnavailable(
            "no sandbox can be used (" + "; ".join(problems) + ")",
            hint="start a Docker engine, or install bubblewrap (apt-get install bubblewrap); "
            "`--sandbox host` runs without isolation, for code you trust",
        )

    async def _working(self, name: str) -> Sandbox:
        module_name, class_name = SANDBOXES.get(name) or ("", "")
        if not module_name:
            raise UserError(f"unknown sandbox `{name}`", hint=f"choose one of {', '.join(SANDBOXES)} or auto")
        module = importlib.import_module(module_name)
        if problem := await module.probe(self.engine.host.path):
            raise SandboxUnavailable(problem)
        return cast("Sandbox", getattr(module, class_name)(path=self.engine.host.path))

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
        provider = make_provider(spec, host.env, self.say)
        runner = Runner(
            provider, self.sink, new_id=new_id, now_ms=now_ms, tokens=TokenBudget(tokens), skills_for=skills_for
        )

        def model_of(expert: Expert) -> str:
            return catalogue.resolve(spec.name, wanted, expert.default_model_tier)

        try:
            yield Staff(runner, config, self.id, model_of, max_steps)
        finally:
            await provider.close()


def choose_provider(host: Host, config: Config) -> ProviderSpec:
    """The asked one, else the configured one, else the one whose key is there, else the model-free search."""
    configured = config.provider
    if host.provider:
        same = configured is not None and configured.name == host.provider
        return configured if same and configured else ProviderSpec(host.provider)
    if configured is not None:
        return configured
    for name in ("anthropic", "openai"):
        if host.env.get(f"{name.upper()}_API_KEY"):
            return ProviderSpec(name)
    return ProviderSpec("search")


def make_provider(spec: ProviderSpec, env: Mapping[str, str], say: Callable[[str], None]) -> Provider:
    """Raises: UserError for an unknown provider or a missing key."""
    entry = catalogue.entry(spec.name)
    credentials = catalogue.credentials(spec.name, env, spec.setting)
    factory = getattr(importlib.import_module(entry.module), entry.class_name)
    return cast("Provider", factory.create(credentials, say))


def _with_suggestion(spec: SandboxSpec, suggestion: SandboxSpec) -> SandboxSpec:
    """Fill in what the repository did not say."""
    if spec.image or spec.build:
        return spec
    return replace(spec, image=suggestion.image, setup=spec.setup or suggestion.setup)


def new_id() -> str:
    """Unique within a storage; carries no meaning."""
    return secrets.token_hex(12)


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000
