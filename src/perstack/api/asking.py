"""What a program asks for and what it gets back: options, ways to go on with a job, the end of a run. Data only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

from perstack.core.contracts import Provider, Skill
from perstack.core.events import EventSink
from perstack.core.experts import Config, Expert
from perstack.core.messages import ToolCall
from perstack.core.storage import Store
from perstack.core.usage import ExpertUsage, ModelUsage, Usage

# A Config built in Python, a file, an https address, or TOML text (a str of more than one line).
Configured = Config | Path | str


class Options(TypedDict, total=False):
    """Options of every function.

    `config`: see `Configured`. `env`: the environment, for keys and proxies; by default the process's own.
    `sandbox`: auto, docker, bubblewrap or host. `store`: where jobs are kept, by default files below `storage`, which
    is by default `./perstack`. `on_event` is called with every event as it happens, in order, and must not block.
    """

    config: Configured | None
    env: Mapping[str, str] | None
    sandbox: str
    store: Store | None
    storage: Path | str | None
    on_event: EventSink | None


class ModelOptions(Options, total=False):
    """Options of what asks a model. `provider` is a name or an object of your own, which you close yourself."""

    provider: str | Provider | None
    model: str | None


class GoOnOptions(ModelOptions, total=False):
    """Options of a run, a new one or one that goes on.

    `workspace` is the one directory the expert may read and write. `max_steps`, `max_retries`, `timeout_ms` (one
    generation) and `reasoning_budget` are by default the configuration's; `max_tokens` and `max_cost` (US dollars):
    0 is no limit. `skills` are tools of your own for the expert itself, not for its delegates.
    """

    workspace: Path | str | None
    max_steps: int
    max_retries: int
    timeout_ms: int
    max_tokens: int
    max_cost: float
    reasoning_budget: str | int
    skills: Sequence[Skill]


class RunOptions(GoOnOptions, total=False):
    """Options of a new run: also `job_id`, the id its job gets."""

    job_id: str


class VerifyOptions(Options, total=False):
    """Options of a verification.

    `base` is a revision, by default where HEAD left the main branch. What is judged is `patch` (diff text), or the
    commit `head`, or else the working tree. `targets` are tests that must turn from red to green. `out` gets the
    evidence. Without `config`, the base commit's own counts.
    """

    base: str
    head: str
    patch: str | None
    targets: Sequence[str]
    out: Path | str | None


class FixOptions(ModelOptions, total=False):
    """Options of a fix. `base` is the commit to fix, by default HEAD; `apply` writes a proved fix into the checkout."""

    repo: Path | str
    base: str
    targets: Sequence[str]
    apply: bool


@dataclass(frozen=True, slots=True)
class Resume:
    """Go on with an interrupted job where its log ends."""

    job_id: str


@dataclass(frozen=True, slots=True)
class Proceed:
    """Say something more to a job that has ended, from `checkpoint` where given (a branch), else from its end."""

    job_id: str
    query: str
    checkpoint: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer the question of an interactive tool that a job has stopped at."""

    job_id: str
    text: str


# An expert by its key in the configuration, an expert built in Python, or an old job to go on with.
Task = str | Expert | Resume | Proceed | Answer


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended.

    `status` is the public one: completed, stoppedByInteractiveTool, stoppedByExceededMaxSteps or stoppedByError, and
    `error` says why for the last. `text` is the expert's result. `usage` and `steps` cover its delegates. `question` is
    the interactive call that waits for an `answer`. `cost_usd` (US dollars; None where a price is not known),
    `models` and `experts` are of the whole job; `troubles` says how often each kind of thing was wrong and no end, such
    as `refusal`.
    """

    status: str
    text: str
    usage: Usage
    steps: int
    job_id: str
    run_id: str
    error: str = ""
    question: ToolCall | None = None
    cost_usd: float | None = None
    models: tuple[ModelUsage, ...] = ()
    experts: tuple[ExpertUsage, ...] = ()
    troubles: Mapping[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether the expert completed."""
        return self.status == "completed"
