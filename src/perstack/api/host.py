"""What the outside hands in (the machine, and what is asked for), and what a job has prepared. Data only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from perstack.api.hidden import secrets_in
from perstack.core.contracts import Provider, Sandbox, Skill
from perstack.core.experts import Config
from perstack.core.json import Json, JsonObject
from perstack.core.sandbox import Snapshot
from perstack.core.signals import SignalSpec
from perstack.core.storage import Store
from perstack.infrastructure.git import Repository
from perstack.infrastructure.secrets import Redactor


@dataclass(frozen=True, slots=True)
class Host:
    """What the interface read from outside. `scratch` is private and temporary, `storage` keeps jobs.

    `key_origins` says of keys in `env` where they came from, `masks` are those that no CI system can know, `warnings`
    are for people.
    """

    env: Mapping[str, str] = field(repr=False)
    path: tuple[Path, ...]
    scratch: Path
    storage: Path
    sandbox: str = "auto"
    provider: str = ""
    model: str = ""
    store: Store | None = None  # in place of files below `storage`
    model_provider: Provider | None = None  # in place of a provider by name; closed with each job
    around: Callable[[Provider], Provider] | None = None  # what a program puts around the model, whichever it is
    key_origins: Mapping[str, str] = field(default_factory=dict)
    masks: tuple[str, ...] = field(default=(), repr=False)
    warnings: tuple[str, ...] = ()
    hiding: Redactor = field(default_factory=Redactor, repr=False, compare=False)

    def redactor(self) -> Redactor:
        """One for all that works on this machine: what a configuration adds is hidden everywhere."""
        self.hiding.learn(self.secrets())
        return self.hiding

    @property
    def cache(self) -> Path:
        """Where what can be had again is kept between jobs."""
        home = self.env.get("XDG_CACHE_HOME") or (f"{self.env['HOME']}/.cache" if self.env.get("HOME") else "")
        return Path(home) / "perstack" if home.startswith("/") else self.storage / "cache"

    @property
    def own_places(self) -> tuple[Path, ...]:
        """Folders of ours that may lie in somebody's checkout or workspace, and are part of neither."""
        jobs = self.storage / "jobs"  # with a store elsewhere: of other jobs, where there are any
        return (*((jobs,) if self.store is None or jobs.is_dir() else ()), self.cache, self.scratch)

    def secrets(self) -> tuple[str, ...]:
        """Values that must never leave the process."""
        return secrets_in(self.env)


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
    plan: str = ""  # an approved plan, to be carried out as it is


@dataclass(frozen=True, slots=True)
class Verify:
    """A patch to judge against a base commit. `everything`: go on once a signal has decided, for all the facts.

    `shards` are folders of measurements that other machines made for this very patch. `checks` are those of an expert,
    as evidence keeps them.
    """

    repository: Repository
    base: str
    patch: str
    config: Config
    targets: tuple[str, ...] = ()
    needs_red: bool = False
    everything: bool = False
    shards: tuple[Path, ...] = ()
    checks: JsonObject | None = None


@dataclass(frozen=True, slots=True)
class Review:
    """A change to look at: what a person asks, the diff from `base` to `head`, the expert that looks."""

    repository: Repository
    head: str
    patch: str
    config: Config
    title: str = ""
    text: str = ""
    expert: str = "@fix/review"


@dataclass(frozen=True, slots=True)
class Run:
    """One expert to run over a workspace, or an old job of it to go on with.

    Limits of 0 or "" are the configuration's; `max_tokens` and `max_cost` (US dollars): 0 is no limit. With `job_id`
    and neither `resume`, `proceed` nor `answer`, a new job of that id. `resume`: go on where the log of that job ends,
    after a crash. `proceed`: say `query` to it, from `checkpoint` where given (a branch), else from its end. `answer`:
    `query` is the result of the interactive tool it waits for. `note` is kept in the record of a new job, for whoever
    goes on.
    """

    config: Config
    expert: str
    query: str
    workspace: Path
    job_id: str = ""
    resume: bool = False
    proceed: bool = False
    answer: bool = False
    checkpoint: str = ""
    max_steps: int = 0
    max_retries: int = -1
    timeout_ms: int = 0
    max_tokens: int = 0
    max_cost: float = 0.0
    reasoning_budget: str | int = ""
    skills: tuple[Skill, ...] = ()  # of the caller's own, for the expert itself and not for delegates
    note: Mapping[str, Json] = field(default_factory=dict)

    @property
    def goes_on(self) -> bool:
        """Whether an old job goes on."""
        return self.resume or self.proceed or self.answer


@dataclass(frozen=True, slots=True)
class Ground:
    """What a job has prepared: signals, the sandbox to run them in, a private directory, where events go."""

    specs: tuple[SignalSpec, ...]
    sandbox: Sandbox
    snapshot: Snapshot
    scratch: Path
    emit: Callable[[str, JsonObject], None]
