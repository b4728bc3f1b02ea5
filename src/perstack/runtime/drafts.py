"""Events to be, and the checkpoints and steps they carry, as JSON of the public format. Pure.

A public checkpoint repeats all messages; ours counts them, since the log holds each once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from perstack.core.experts import Expert
from perstack.core.json import Json, JsonObject
from perstack.core.messages import ToolCall, ToolResult, UserMessage
from perstack.core.usage import Usage
from perstack.runtime.rules import Rules
from perstack.runtime.state import DelegatedBy, RunState, RunStatus
from perstack.runtime.wire import (
    call_json,
    instruction_json,
    message_json,
    object_of,
    result_json,
    result_reference,
)


@dataclass(frozen=True, slots=True)
class Stamp:
    """Id and time (milliseconds since 1970) of the event to be; messages and checkpoints it makes take its id."""

    id: str
    ms: int


@dataclass(frozen=True, slots=True)
class Draft:
    """An event without its envelope."""

    type: str
    payload: Mapping[str, Json] = field(default_factory=dict)


def expert_json(expert: Expert) -> JsonObject:
    """The expert as checkpoints name it."""
    return {"key": expert.key, "name": expert.name or expert.key, "version": expert.version}


def checkpoint_at(
    state: RunState, rules: Rules, status: RunStatus, stamp: Stamp, *, generated: Usage | None = None
) -> dict[str, Json]:
    """The checkpoint at the end of a step or run; `generated` is a generation that the state does not hold yet.

    How full the model's window is, is what its last generation has read and written, not what the job has used.
    """
    usage = state.usage + (generated or Usage())
    data = checkpoint_json(state, rules.expert, status, stamp.id, usage=usage)
    if rules.context_window:
        data["contextWindow"] = rules.context_window
        last = generated or state.step_usage
        data["contextWindowUsage"] = round(last.total_tokens / rules.context_window, 4)
    return data


def checkpoint_json(
    state: RunState, expert: Expert, status: RunStatus, checkpoint_id: str, *, usage: Usage | None = None
) -> dict[str, Json]:
    """A checkpoint; `usage` where it differs from the state's."""
    data: dict[str, Json] = {
        "id": checkpoint_id,
        "jobId": state.job_id,
        "runId": state.run_id,
        "status": status.value,
        "stepNumber": state.step,
        "messageCount": len(state.history),
        "expert": expert_json(expert),
        "usage": (usage or state.usage).to_json(),
    }
    if state.retries:
        data["retryCount"] = state.retries
    if state.delegated_by and status is not RunStatus.PROCEEDING:
        data["delegatedBy"] = delegated_by_json(state.delegated_by)
    if state.pending and status is not RunStatus.COMPLETED:
        data["pendingToolCalls"] = [call_json(call) for call in state.pending]
    if state.partial and status is not RunStatus.COMPLETED:
        data["partialToolResults"] = [result_reference(result) for result in state.partial]
    return data


def delegated_by_json(delegated_by: DelegatedBy) -> JsonObject:
    """Who started a run."""
    expert: JsonObject = {
        "key": delegated_by.expert_key,
        "name": delegated_by.expert_name,
        "version": delegated_by.expert_version,
    }
    return {
        "expert": expert,
        "toolCallId": delegated_by.tool_call_id,
        "toolName": delegated_by.tool_name,
        "checkpointId": delegated_by.checkpoint_id,
        "runId": delegated_by.run_id,
    }


def step_json(state: RunState, stamp: Stamp) -> JsonObject:
    """The step that ends now."""
    return {
        "stepNumber": state.step,
        "usage": state.step_usage.to_json(),
        "startedAt": state.step_started_ms,
        "finishedAt": stamp.ms,
    }


def start_fresh(state: RunState, expert: Expert, stamp: Stamp, *, system: str, query: UserMessage) -> Draft:
    """The `startRun` of a new run. `state` carries the job, the run, its caller and the first step."""
    checkpoint = checkpoint_json(state, expert, RunStatus.INIT, stamp.id)
    messages: list[Json] = [instruction_json(f"{stamp.id}.system", system), message_json(query)]
    return Draft("startRun", {"initialCheckpoint": checkpoint, "inputMessages": messages})


def start_again(  # one event with many parts, all named
    state: RunState,
    expert: Expert,
    stamp: Stamp,
    *,
    segment: tuple[str, int],
    results: Sequence[ToolResult],
    usage: Usage | None = None,
    said: UserMessage | None = None,
) -> Draft:
    """The `startRun` of a stopped run's next segment (run id, step): `results` answer calls that were pending.

    `usage` is what the answers have cost; `said` is new input, allowed where `results` answer all that was pending.
    """
    answered = {result.id for result in results}
    checkpoint = checkpoint_json(state, expert, state.status, stamp.id, usage=state.usage + (usage or Usage()))
    checkpoint["runId"], checkpoint["stepNumber"] = segment
    checkpoint["resumedFrom"] = {"runId": state.run_id, "checkpointId": state.checkpoint_id}
    checkpoint["pendingToolCalls"] = [call_json(call) for call in state.pending if call.id not in answered]
    old: list[Json] = [result_reference(result) for result in state.partial]
    checkpoint["partialToolResults"] = [*old, *(result_json(result) for result in results)]
    messages: list[Json] = [message_json(said)] if said else []
    return Draft("startRun", {"initialCheckpoint": checkpoint, "inputMessages": messages})


def branch_off(draft: Draft, checkpoint_id: str) -> Draft:
    """The `startRun` of `start_again` as the beginning of a branch: a run of its own, from an older checkpoint on.

    The state it was drafted for is the one of `JobState.checkpoints` with that id.
    """
    checkpoint = object_of(draft.payload.get("initialCheckpoint"))
    origin: JsonObject = {**object_of(checkpoint.get("resumedFrom")), "checkpointId": checkpoint_id, "branch": True}
    return Draft(draft.type, {**draft.payload, "initialCheckpoint": {**checkpoint, "resumedFrom": origin}})


def start_generation(state: RunState, occupancy: JsonObject | None = None) -> Draft:
    """The beginning of a step; `occupancy` is how full the model's window will be."""
    told: JsonObject = {"occupancy": occupancy} if occupancy else {}
    return Draft("startGeneration", {"messageCount": len(state.history), **told})


def start_tool_call(call: ToolCall, results: Sequence[ToolResult]) -> Draft:
    """The record that a call is about to be made that may not be made twice.

    `results` are those of the same reply's calls that no event holds yet.
    """
    return Draft("startToolCall", {"toolCallId": call.id, "partialToolResults": [result_json(r) for r in results]})
