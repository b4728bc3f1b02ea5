"""Where a job works: the sandbox it gets, and the grounds on which it measures. Knows no models and no experts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
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

        Raises: SandboxUnavailable; UserError where what the configuration asks for is wrong.
        """
        problems: list[str] = []
        hints: set[str] = set()
        found: list[tuple[Sandbox, Snapshot, Capabilities]] = []
        host = self.host
        for name, variant in attempts(host.sandbox, with_mirrors(spec, host.env), suggestion or SandboxSpec()):
            try:
                found.append(await self._prepared(name, variant, source))
            except (SandboxUnavailable, UserError) as error:
                if isinstance(error, UserError) and (spec.needs_images or spec.setup):
                    raise  # what the configuration says is wrong, and no other back end makes it right
                problems.append(f"{name}: {error.message}")
                hints.add(error.hint)
                self.say(f"sandbox {name} cannot be used: {error.message}")
                continue
            if not lacks(found[-1][2]):
                break  # otherwise the next one may hold more
        if found:
            return self._chosen(found)
        raise SandboxUnavailable(
            "no sandbox can be used (" + "; ".join(dict.fromkeys(problems)) + ")",
            # What all have in common (a full disk) is to be mended; another back end would not help.
            hint=(hints.pop() if len(hints) == 1 else "")
            or f"start a Docker engine{' (the configuration needs one)' if spec.needs_images else ''}, "
            "or install bubblewrap (apt-get install bubblewrap) and choose `--sandbox bubblewrap`; "
            "`--sandbox host` runs without isolation, for code you trust",
        )

    async def _prepared(self, name: str, variant: SandboxSpec, source: Path) -> tuple[Sandbox, Snapshot, Capabilities]:
        host = self.host
        sandbox = await working_sandbox(name, host.path, host=host, tell=self.emit, spec=variant)
        if name != "host" and variant.network.open and (variant.setup or variant.devcontainer):
            await make_ready(host.env, self.say, host.scratch / PROXY_GATE)
        snapshot = await sandbox.prepare(variant, source, self.say)
        return sandbox, snapshot, await known(host, sandbox, snapshot, variant)

    def _chosen(self, found: Sequence[tuple[Sandbox, Snapshot, Capabilities]]) -> tuple[Sandbox, Snapshot]:
        """The one that lacks least, the first of equals; told, and put on record with what it guarantees."""
        sandbox, snapshot, capabilities = min(found, key=lambda one: lacks(one[2]))
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
