"""Folding one event into a run's state: the only way a state changes, live or from a log. Pure.

What a run does next is in `machine.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from perstack.core.errors import InvariantBroken
from perstack.core.events import RUN_EVENTS, Event
from perstack.core.json import Json, JsonObject
from perstack.core.messages import ExpertMessage, Message, ToolCall, ToolMessage, ToolResult
from perstack.runtime.state import DelegatedBy, History, Phase, RunError, RunState, RunStatus
from perstack.runtime.wire import by_id, int_of, message_from, object_of, objects_of, results_from, text_of, usage_from


def apply(state: RunState, event: Event) -> RunState:
    """The state after `event`. Streaming and runtime events change nothing.

    Raises: InvariantBroken where the event cannot follow on this state.
    """
    if event.type not in RUN_EVENTS:
        return state
    sources, fold = _TRANSITIONS[event.type]
    if state.phase not in sources:
        raise InvariantBroken(f"event {event.type} ({event.id}) cannot happen in state {state.phase.value}")
    return fold(state, event)


def ordered_results(state: RunState) -> tuple[ToolResult, ...]:
    """The results so far, in the order in which the last reply made its calls."""
    last = state.history.last()
    calls = last.tool_calls if isinstance(last, ExpertMessage) else ()
    order = {call.id: number for number, call in enumerate(calls)}
    return tuple(sorted(state.partial, key=lambda result: order.get(result.id, len(order))))


def _start_run(state: RunState, event: Event) -> RunState:
    checkpoint = object_of(event.payload.get("initialCheckpoint"))
    if text_of(checkpoint.get("status")) == RunStatus.INIT:
        return _start_fresh(event, checkpoint)
    if state.phase is not Phase.STOPPED:
        raise InvariantBroken(f"startRun ({event.id}) resumes a run that has not stopped")
    answered = results_from(checkpoint.get("partialToolResults"), by_id(state.partial))
    left = _without(state.pending, answered)
    history, said = state.history, _input(event)
    if said and answered:  # the last reply's calls are answered before anything else is said
        history = history.grow(tool_message(replace(state, partial=answered), f"{event.id}.results"))
        answered = ()
    return replace(
        state,
        phase=Phase.PREPARING,
        status=RunStatus.PROCEEDING,
        run_id=event.run_id,
        step=event.step_number,
        history=history.grow(*said),
        pending=left,
        partial=answered,
        usage=usage_from(checkpoint.get("usage")),
        retries=0,
        checkpoint_id=text_of(checkpoint.get("id")),
        text="",
        error=None,
    )


def _start_fresh(event: Event, checkpoint: JsonObject) -> RunState:
    system = ""
    for message in objects_of(event.payload.get("inputMessages")):
        if message.get("type") == "instructionMessage":
            system = "".join(text_of(part.get("text")) for part in objects_of(message.get("contents")))
    return RunState(
        phase=Phase.PREPARING,
        status=RunStatus.PROCEEDING,
        job_id=event.job_id,
        run_id=event.run_id,
        origin_run_id=event.run_id,
        expert_key=event.expert_key,
        delegated_by=_delegated_by(checkpoint.get("delegatedBy")),
        step=event.step_number,
        system=system,
        history=History(_input(event)),
        usage=usage_from(checkpoint.get("usage")),
        checkpoint_id=text_of(checkpoint.get("id")),
    )


def _input(event: Event) -> tuple[Message, ...]:
    messages = objects_of(event.payload.get("inputMessages"))
    return tuple(message_from(item, {}) for item in messages if item.get("type") != "instructionMessage")


def _delegated_by(value: Json) -> DelegatedBy | None:
    data = object_of(value)
    if not data:
        return None
    expert = object_of(data.get("expert"))
    return DelegatedBy(
        text_of(expert.get("key")),
        text_of(data.get("runId")),
        text_of(data.get("toolCallId")),
        text_of(data.get("toolName")),
    )


def _start_generation(state: RunState, event: Event) -> RunState:
    return replace(state, phase=Phase.GENERATING, step_started_ms=event.timestamp)


def _retry(state: RunState, event: Event) -> RunState:
    usage = usage_from(event.payload.get("usage"))
    return replace(
        state,
        phase=Phase.FINISHING,
        history=_grown(state, event),
        usage=state.usage + usage,
        step_usage=usage,
        retries=state.retries + 1,
    )


def _call_tools(state: RunState, event: Event) -> RunState:
    message = message_from(object_of(event.payload.get("newMessage")), {})
    usage = usage_from(event.payload.get("usage"))
    return replace(
        state,
        phase=Phase.CALLING_TOOLS,
        history=state.history.grow(message),
        pending=message.tool_calls if isinstance(message, ExpertMessage) else (),
        partial=(),
        usage=state.usage + usage,
        step_usage=usage,
        retries=0,
    )


def _resolve(state: RunState, event: Event) -> RunState:
    results = results_from(event.payload.get("toolResults"), by_id(state.partial))
    return replace(state, phase=Phase.RESOLVING, partial=results, pending=())


def _finish_calls(state: RunState, event: Event) -> RunState:
    return replace(state, phase=Phase.FINISHING, history=_grown(state, event), partial=(), pending=())


def _leave_tools(state: RunState, event: Event) -> RunState:
    """`callDelegate`, `callInteractiveTool`: MCP results are in, what is left stays pending."""
    partial = state.partial + results_from(event.payload.get("partialToolResults"), {})
    left = _without(state.pending, partial)
    phase = Phase.CALLING_DELEGATES if event.type == "callDelegate" else Phase.CALLING_INTERACTIVE
    return replace(state, phase=phase, partial=partial, pending=left)


def _without(calls: tuple[ToolCall, ...], results: tuple[ToolResult, ...]) -> tuple[ToolCall, ...]:
    answered = {result.id for result in results}
    return tuple(call for call in calls if call.id not in answered)


def _resume_calls(state: RunState, _event: Event) -> RunState:
    return replace(state, phase=Phase.CALLING_TOOLS)


def _continue(state: RunState, event: Event) -> RunState:
    following = object_of(event.payload.get("nextCheckpoint"))
    checkpoint = object_of(event.payload.get("checkpoint"))
    return replace(
        state,
        phase=Phase.PREPARING,
        step=int_of(following.get("stepNumber")) or state.step + 1,
        usage=usage_from(checkpoint.get("usage")),
        checkpoint_id=text_of(following.get("id")),
    )


def _stop(state: RunState, event: Event) -> RunState:
    checkpoint, error = object_of(event.payload.get("checkpoint")), object_of(event.payload.get("error"))
    completed = event.type == "completeRun"
    return replace(
        state,
        phase=Phase.STOPPED,
        status=RunStatus(text_of(checkpoint.get("status"), RunStatus.STOPPED_BY_ERROR)),
        history=_grown(state, event),
        pending=() if completed else state.pending,
        partial=() if completed else state.partial,
        usage=usage_from(checkpoint.get("usage")),
        checkpoint_id=text_of(checkpoint.get("id")),
        text=text_of(event.payload.get("text")),
        error=RunError(text_of(error.get("name")), text_of(error.get("message")), error.get("isRetryable") is True)
        if error
        else None,
    )


def _grown(state: RunState, event: Event) -> History:
    """The history with the event's `newMessages`, whose results may be references to those in hand."""
    known = by_id(state.partial)
    return state.history.grow(*(message_from(item, known) for item in objects_of(event.payload.get("newMessages"))))


def tool_message(state: RunState, message_id: str) -> ToolMessage:
    """All results in hand as one message."""
    return ToolMessage(message_id, ordered_results(state))


_ANY = frozenset(Phase)
_RUNNING = _ANY - {Phase.STOPPED}

_TRANSITIONS: dict[str, tuple[frozenset[Phase], Callable[[RunState, Event], RunState]]] = {
    "startRun": (frozenset({Phase.INIT, Phase.STOPPED}), _start_run),
    "startGeneration": (frozenset({Phase.PREPARING}), _start_generation),
    "retry": (frozenset({Phase.GENERATING}), _retry),
    "callTools": (frozenset({Phase.GENERATING}), _call_tools),
    "resolveToolResults": (frozenset({Phase.CALLING_TOOLS}), _resolve),
    "finishToolCall": (frozenset({Phase.RESOLVING}), _finish_calls),
    "callDelegate": (frozenset({Phase.CALLING_TOOLS}), _leave_tools),
    "callInteractiveTool": (frozenset({Phase.CALLING_TOOLS}), _leave_tools),
    "resumeToolCalls": (frozenset({Phase.PREPARING}), _resume_calls),
    "finishAllToolCalls": (frozenset({Phase.PREPARING}), _finish_calls),
    "continueToNextStep": (frozenset({Phase.FINISHING}), _continue),
    "stopRunByInteractiveTool": (frozenset({Phase.CALLING_INTERACTIVE}), _stop),
    "stopRunByDelegate": (frozenset({Phase.CALLING_DELEGATES}), _stop),
    "stopRunByExceededMaxSteps": (frozenset({Phase.FINISHING}), _stop),
    "stopRunByError": (_RUNNING, _stop),
    "completeRun": (frozenset({Phase.GENERATING, Phase.CALLING_TOOLS}), _stop),
}
