"""The agent loop as a pure machine: what has to happen in a state. No clock, no ids, no I/O.

Three pure functions make the loop: `next_effect` here says what to do, `decisions.py` turns the outcome into an
event, `apply.py` folds the event into the state. "I am done" from a model ends the run, never the job: verdicts
are made elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass

from perstack.core.json import Json, JsonObject, compact
from perstack.core.messages import TextPart, ToolCall, ToolResult
from perstack.runtime.apply import tool_message
from perstack.runtime.drafts import Draft, Stamp, checkpoint_at, start_generation, step_json
from perstack.runtime.rules import Kind, Route, Rules, query_of
from perstack.runtime.state import Phase, RunState, RunStatus
from perstack.runtime.wire import call_json, message_reference, result_reference


@dataclass(frozen=True, slots=True)
class Emit:
    """Nothing to do outside: append this event."""

    draft: Draft


@dataclass(frozen=True, slots=True)
class AskModel:
    """Ask the model for one reply; answer with `decisions.decide_reply` or `decide_failure`."""


@dataclass(frozen=True, slots=True)
class RunTools:
    """Run these calls (possibly none); answer with `decide_results`. `completion` comes last and may end the run."""

    calls: tuple[ToolCall, ...]
    completion: ToolCall | None = None
    refused: tuple[ToolResult, ...] = ()


@dataclass(frozen=True, slots=True)
class RunDelegates:
    """Run these delegates; answer with a `startRun` that resumes this run."""

    calls: tuple[ToolCall, ...]


@dataclass(frozen=True, slots=True)
class Halt:
    """The run has stopped."""


Effect = Emit | AskModel | RunTools | RunDelegates | Halt


def next_effect(state: RunState, rules: Rules, stamp: Stamp) -> Effect:
    """What has to happen now."""
    if state.phase is Phase.GENERATING:
        return AskModel()
    if state.phase is Phase.CALLING_TOOLS:
        return _tools_effect(state, rules)
    if state.phase is Phase.STOPPED:
        delegates = rules.calls_of(Kind.DELEGATE, state.pending)
        return RunDelegates(delegates) if state.status is RunStatus.STOPPED_BY_DELEGATE else Halt()
    return Emit(_EMITTERS[state.phase](state, rules, stamp))


def _prepare(state: RunState, _rules: Rules, stamp: Stamp) -> Draft:
    if state.pending:
        left: list[Json] = [call_json(call) for call in state.pending]
        done: list[Json] = [result_reference(result) for result in state.partial]
        return Draft("resumeToolCalls", {"pendingToolCalls": left, "partialToolResults": done})
    if state.partial:
        return Draft("finishAllToolCalls", {"newMessages": [message_reference(tool_message(state, stamp.id))]})
    return start_generation(state)


def _resolve(state: RunState, _rules: Rules, stamp: Stamp) -> Draft:
    return Draft("finishToolCall", {"newMessages": [message_reference(tool_message(state, stamp.id))]})


def _stop_for_delegates(state: RunState, rules: Rules, stamp: Stamp) -> Draft:
    delegates: list[Json] = [
        _delegation(rules.routes[call.tool_name], call) for call in rules.calls_of(Kind.DELEGATE, state.pending)
    ]
    checkpoint = checkpoint_at(state, rules, RunStatus.STOPPED_BY_DELEGATE, stamp)
    checkpoint["pendingToolCalls"] = [
        call_json(call) for call in state.pending if rules.kind_of(call) is not Kind.DELEGATE
    ]
    return Draft(
        "stopRunByDelegate", {"checkpoint": {**checkpoint, "delegateTo": delegates}, "step": step_json(state, stamp)}
    )


def _delegation(route: Route, call: ToolCall) -> JsonObject:
    expert: JsonObject = {"key": route.expert_key, "name": route.skill_name, "version": route.version}
    return {"expert": expert, "toolCallId": call.id, "toolName": call.tool_name, "query": query_of(call)}


def _stop_for_answer(state: RunState, rules: Rules, stamp: Stamp) -> Draft:
    checkpoint = checkpoint_at(state, rules, RunStatus.STOPPED_BY_INTERACTIVE_TOOL, stamp)
    return Draft("stopRunByInteractiveTool", {"checkpoint": checkpoint, "step": step_json(state, stamp)})


def _finish(state: RunState, rules: Rules, stamp: Stamp) -> Draft:
    if state.step >= rules.max_steps:
        checkpoint = checkpoint_at(state, rules, RunStatus.STOPPED_BY_EXCEEDED_MAX_STEPS, stamp)
        return Draft("stopRunByExceededMaxSteps", {"checkpoint": checkpoint, "step": step_json(state, stamp)})
    following: JsonObject = {"id": f"{stamp.id}.next", "stepNumber": state.step + 1}
    checkpoint = checkpoint_at(state, rules, RunStatus.PROCEEDING, stamp)
    return Draft(
        "continueToNextStep", {"checkpoint": checkpoint, "step": step_json(state, stamp), "nextCheckpoint": following}
    )


_EMITTERS = {
    Phase.PREPARING: _prepare,
    Phase.RESOLVING: _resolve,
    Phase.CALLING_DELEGATES: _stop_for_delegates,
    Phase.CALLING_INTERACTIVE: _stop_for_answer,
    Phase.FINISHING: _finish,
}


def _tools_effect(state: RunState, rules: Rules) -> RunTools:
    """MCP calls first; a claim of completion last, and only where nothing else of the reply is left open."""
    calls = rules.calls_of(Kind.MCP, state.pending)
    claims = tuple(call for call in calls if rules.is_completion(call))
    work = tuple(call for call in calls if not rules.is_completion(call))
    waiting = len(calls) < len(state.pending)
    if waiting:
        why = "Not completed: the same reply also asks a delegate or a person. Wait for the answer first."
        return RunTools(work, None, tuple(_refusal(call, why) for call in claims))
    extra = tuple(_refusal(call, "Completion was already claimed in this reply.") for call in claims[1:])
    return RunTools(work, claims[0] if claims else None, extra)


def _refusal(call: ToolCall, why: str) -> ToolResult:
    text = compact({"error": "Error", "message": why})
    return ToolResult(call.id, call.tool_name, (TextPart(text),), call.skill_name, is_error=True)
