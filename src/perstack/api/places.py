"""Where a job works: the sandbox it gets, and the grounds on which it measures. Knows no models and no experts."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from perstack.api.choice import attempts, working_sandbox
from perstack.api.configuration import CONFIG_NAME
from perstack.api.guarantees import ESSENTIAL, known, lacks
from perstack.api.host import Ground, Host, Review
from perstack.api.repository import detect_signals
from perstack.api.snapshots import with_mirrors
from perstack.core.capabilities import Capabilities
from perstack.core.contracts import Sandbox
from perstack.core.errors import SandboxUnavailable, UserError
from perstack.core.experts import Config
from perstack.core.json import JsonObject
from perstack.core.sandbox import SandboxSpec, Snapshot
from perstack.infrastructure.egress.ready import PROXY_GATE, make_ready
from perstack.infrastructure.git import Repository


@dataclass(frozen=True, slots=True)
class _Measured:
    """A back end that works, what it is to be prepared with, and what it holds. `snapshot` where it is prepared."""

    sandbox: Sandbox
    spec: SandboxSpec
    capabilities: Capabilities
    snapshot: Snapshot | None


@dataclass(frozen=True, slots=True)
class _Refused:
    """Why back ends cannot be used. Where `strict`, what the configuration has wrong is everybody's end."""

    say: Callable[[str], None]
    strict: bool
    problems: list[str] = field(default_factory=list)
    hints: set[str] = field(default_factory=set)

    @contextlib.contextmanager
    def by(self, name: str) -> Iterator[None]:
        """What is raised here keeps one back end out, and not the next."""
        try:
            yield
        except (SandboxUnavailable, UserError) as error:
            if isinstance(error, UserError) and self.strict:
                raise  # no other back end makes it right
            self.problems.append(f"{name}: {error.message}")
            self.hints.add(error.hint)
            self.say(f"sandbox {name} cannot be used: {error.message}")


@dataclass(slots=True)
class Places:
    """The places of one job. `emit` writes an event of the job, `say` tells people."""

    host: Host
    job_id: str
    emit: Callable[[str, JsonObject], None]
    say: Callable[[str], None]
    grounds: int = 0

    async def to_measure(self, repository: Repository, base: str, config: Config) -> Ground:
        """The ground on which the signals of a commit run: its own or detected ones.

        Raises: UserError where there are no signals; SandboxUnavailable.
        """
        specs, suggestion = config.signals, SandboxSpec()
        if not specs or not config.sandbox.needs_images:
            detection = await detect_signals(repository, base)
            specs, suggestion = specs or detection.signals, detection.sandbox
        if not specs:
            raise UserError(
                f"no signals: {CONFIG_NAME} has no [signals] and no test suite was recognised",
                hint='write one, for example [signals.tests] with kind = "test" and run = "python3 -m pytest"',
            )
        scratch = self._next_ground()
        source = scratch / "source"
        await repository.export(base, source)
        sandbox, snapshot = await self.sandbox(config.sandbox, source, suggestion)
        return Ground(specs, sandbox, snapshot, scratch, self.emit)

    async def to_review(self, review: Review) -> Ground:
        """What a review needs: a sandbox, and no signals. Raises: UserError, SandboxUnavailable."""
        source = self.scratch("source")
        await review.repository.export(review.head, source)
        suggestion = (await detect_signals(review.repository, review.head)).sandbox
        sandbox, snapshot = await self.sandbox(review.config.sandbox, source, suggestion)
        return Ground((), sandbox, snapshot, self.host.scratch / self.job_id, self.emit)

    async def sandbox(
        self, spec: SandboxSpec, source: Path, suggestion: SandboxSpec | None = None
    ) -> tuple[Sandbox, Snapshot]:
        """The strongest back end that works and can be prepared; says which and why not the others.

        Several are measured before set-up runs, in the chosen one only.
        Raises: SandboxUnavailable; UserError where what the configuration asks for is wrong.
        """
        host, refused, weaker = self.host, _Refused(self.say, strict=spec.needs_images or bool(spec.setup)), []
        wanted = attempts(host.sandbox, with_mirrors(spec, host.env), suggestion or SandboxSpec())
        for name, variant in wanted:
            with refused.by(name):
                found = await self._measured(name, variant, source, alone=len(wanted) == 1)
                if not lacks(found.capabilities):
                    return await self._chosen(found, source)
                weaker.append(found)  # the next one may hold more
        for found in sorted(weaker, key=lambda one: lacks(one.capabilities)):
            with refused.by(found.sandbox.name):
                return await self._chosen(found, source)
        raise SandboxUnavailable(
            "no sandbox can be used (" + "; ".join(dict.fromkeys(refused.problems)) + ")",
            # What all have in common (a full disk) is to be mended; another back end would not help.
            hint=(next(iter(refused.hints)) if len(refused.hints) == 1 else "")
            or f"start a Docker engine{' (the configuration needs one)' if spec.needs_images else ''}, "
            "or install bubblewrap (apt-get install bubblewrap) and choose `--sandbox bubblewrap`; "
            "`--sandbox host` runs without isolation, for code you trust",
        )

    async def _measured(self, name: str, variant: SandboxSpec, source: Path, *, alone: bool) -> _Measured:
        """A back end and what it holds. Where there are others to choose from, no set-up runs for it."""
        sandbox = await working_sandbox(name, self.host.path, host=self.host, tell=self.emit, spec=variant)
        spec = variant if alone else replace(variant, setup=())
        snapshot = await self._prepared(sandbox, spec, source)
        capabilities = await known(self.host, sandbox, snapshot, variant)
        return _Measured(sandbox, variant, capabilities, snapshot if spec == variant else None)

    async def _prepared(self, sandbox: Sandbox, spec: SandboxSpec, source: Path) -> Snapshot:
        host = self.host
        if sandbox.name != "host" and spec.network.open and (spec.setup or spec.devcontainer):
            await make_ready(host.env, self.say, host.scratch / PROXY_GATE)
        return await sandbox.prepare(spec, source, self.say)

    async def _chosen(self, found: _Measured, source: Path) -> tuple[Sandbox, Snapshot]:
        """This one, with its set-up; told, and put on record with what it guarantees."""
        sandbox, capabilities = found.sandbox, found.capabilities
        snapshot = found.snapshot or await self._prepared(sandbox, found.spec, source)
        missing = [each.value for each in ESSENTIAL if not capabilities.holds(each)]
        without = f" (it does not guarantee: {', '.join(missing)})" if missing else ""
        self.say(f"sandbox: {sandbox.name}{without}")
        self.emit("useSandbox", capabilities.document())
        held = tuple(each.value for each in capabilities.facts if capabilities.holds(each))
        return sandbox, replace(snapshot, guarantees=held)

    def scratch(self, name: str) -> Path:
        """A private directory of the job."""
        return self.host.scratch / self.job_id / name

    def _next_ground(self) -> Path:
        """A private directory for what is proved next: one job may prove several things."""
        self.grounds += 1
        name = self.job_id if self.grounds == 1 else f"{self.job_id}-{self.grounds}"
        return self.host.scratch / name
