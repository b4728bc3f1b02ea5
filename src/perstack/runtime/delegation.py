"""What a delegate gets and what its caller gets back. Pure: running it is the driver's part.

Isolation: a child gets its own instruction and the query, nothing of its caller; the caller gets the final text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from perstack.core.experts import Expert
from perstack.core.messages import TextPart, ToolCall, ToolResult
from perstack.core.usage import Usage
from perstack.runtime.request import RunRequest
from perstack.runtime.rules import Rules, query_of
from perstack.runtime.state import DelegatedBy, RunState, RunStatus
from perstack.skills.truncation import truncate_middle

MAX_DEPTH = 16
# Delegates of one reply that run at the same time, at the top of a job.
PARALLEL = 8


@dataclass(frozen=True, slots=True)
class ChildEnd:
    """How one delegate ended. `error` is empty where it completed; `last_step` is its last step number."""

    call: ToolCall
    text: str
    error: str
    usage: Usage
    last_step: int


def child_request(request: RunRequest, expert: Expert, call: ToolCall, *, model: str, first_step: int) -> RunRequest:
    """What a caller's request becomes for its delegate: the same limits, its own skills, the query of the call."""
    return replace(request, expert=expert, model=model, query=query_of(call), skills=(), first_step=first_step)


def failure_of(end: RunState) -> str:
    """Why a delegate's end is no result; empty where it completed."""
    if end.status is RunStatus.COMPLETED:
        return ""
    return end.error.message if end.error else f"it ended as {end.status.value}"


def lineage(state: RunState, expert: Expert, call: ToolCall) -> DelegatedBy:
    """Who starts the child: this run's current segment, of `expert`, by this call."""
    name = expert.name or expert.key
    return DelegatedBy(
        state.expert_key, state.run_id, call.id, call.tool_name, state.checkpoint_id, name, expert.version
    )


def refusal(state: RunState, rules: Rules, depth: int) -> str:
    """Why no child may be started now; empty where it may.

    Without it, experts that delegate to each other would never reach the check at the end of a step.
    """
    if state.step >= rules.max_steps:
        return f"no steps left (maxSteps is {rules.max_steps})"
    if depth >= MAX_DEPTH:
        return f"delegations are nested {MAX_DEPTH} deep, which is the limit"
    return ""


def parallel_at(depth: int) -> int:
    """How many delegates of one reply run at once: half as many at each level, so that a job has at most 8 · 4 · 2.

    Each holds servers and sandboxes; waiting for a slot of the whole job instead could wait for itself.
    """
    return max(1, PARALLEL >> depth)


def child_result(end: ChildEnd, rules: Rules) -> ToolResult:
    """What the caller sees: the child's final text, or that it failed and why."""
    key = rules.routes[end.call.tool_name].expert_key
    text = end.text or f"{key} completed and returned no text."
    if end.error:
        text = f"Delegation to {key} failed: {end.error}"
    return ToolResult(
        end.call.id, end.call.tool_name, (TextPart(truncate_middle(text)),), f"delegate/{key}", is_error=bool(end.error)
    )


def total_usage(ends: Sequence[ChildEnd]) -> Usage:
    """The sum over all children."""
    return sum((end.usage for end in ends), start=Usage())


def last_step(state: RunState, ends: Sequence[ChildEnd]) -> int:
    """The highest step number reached by the caller or a child: parallel branches count from the same base."""
    return max((end.last_step for end in ends), default=state.step)
