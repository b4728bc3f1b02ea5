"""What is asked of a run and what comes out of it. Data only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from perstack.core.contracts import Skill
from perstack.core.experts import ContextSpec, Expert
from perstack.core.usage import ExpertUsage, ModelUsage, Usage
from perstack.runtime.state import RunState

# Makes the skills of an expert, not open yet.
MakeSkills = Callable[[Expert], Awaitable[tuple[Skill, ...]]]


@dataclass(frozen=True, slots=True)
class RunRequest:
    """One expert to run. `experts` are all that may be delegated to, and may grow while it runs.

    `skills` are opened here and stay open: closing them is the caller's. Without any, `skills_for` makes them, for the
    expert and its delegates, else the runner's own does; those are closed with the run.

    `max_steps` is compared with the running step number, which starts at `first_step` and goes on through
    delegates. `reasoning_budget` is in tokens, 0 for none. `tool_tokens` is for replays, which do not know all tools:
    what they held when the job was run.
    """

    expert: Expert
    query: str
    model: str
    job_id: str
    skills: tuple[Skill, ...] = ()
    skills_for: MakeSkills | None = None
    experts: Mapping[str, Expert] = field(default_factory=dict)
    max_steps: int = 100
    max_retries: int = 5
    timeout_s: float = 300.0
    reasoning_budget: int = 0
    first_step: int = 1
    context: ContextSpec = field(default_factory=ContextSpec)
    tool_tokens: Callable[[RunState], int | None] | None = None


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """How a run ended. `status` is the public checkpoint status; `usage` covers the run and its delegates.

    `steps` counts those of the run and its delegates; `run_id` is the first segment's.
    """

    status: str
    text: str
    usage: Usage
    steps: int
    run_id: str
    error: str = ""
    cost_usd: float | None = None  # of the job so far; None where a price is not known
    models: tuple[ModelUsage, ...] = ()  # the same, by model
    experts: tuple[ExpertUsage, ...] = ()  # the same, by expert
    troubles: Mapping[str, int] = field(default_factory=dict)  # what was put right, by `TroubleKind`, and how often
