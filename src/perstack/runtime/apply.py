"""Folding events into a run's state: the only way a state changes, live or from a log. Pure.

`RunFold` changes in place, which makes an event cost a microsecond or two; `RunState` is what everybody else sees of
it, and never changes. What a run does next is in `machine.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter

from perstack.context.compaction import SUMMARY_ID, carried_out
from perstack.context.elision import Elision, LeftOut, left_out
from perstack.core.errors import InvariantBroken
from perstack.core.events import Event
from perstack.core.json import Json, JsonObject
from perstack.core.messages import ExpertMessage, Message, ToolCall, ToolMessage, ToolResult
from perstack.core.usage import Usage
from perstack.runtime.state import DelegatedBy, History, Phase, RunError, RunState, RunStatus
from perstack.runtime.wire import by_id, int_of, message_from, object_of, objects_of, results_from, text_of, usage_from

_ELISION = ("id", "messageId", "toolCallId", "note")
_ALL = attrgetter(*RunState.__slots__)


def apply(state: RunState, event: Event) -> RunState:
    """The state after `event`. Streaming and runtime events change nothing.

    Raises: InvariantBroken where the event cannot follow on this state.
    """
    if event.type not in _TRANSITIONS:
        return state
    folding = RunFold(state)
    folding(event)
    return folding.state()


def ordered_results(state: RunState) -> tuple[ToolResult, ...]:
    """The results so far, in the order in which the last reply made its calls."""
    return _in_call_order(state.history.last(), state.partial)


def tool_message(state: RunState, message_id: str) -> ToolMessage:
    """All results in hand as one message."""
    return ToolMessage(message_id, ordered_results(state))


class RunFold:
    """One run while its events are folded. The fields are those of `RunState`; `state()` is a snapshot of them."""

    __slots__ = (*RunState.__slots__, "_snapshot")

    phase: Phase
    status: RunStatus
    job_id: str
    run_id: str
    origin_run_id: str
    expert_key: str
    delegated_by: DelegatedBy | None
    step: int
    system: str
    history: History
    pending: tuple[ToolCall, ...]
    partial: tuple[ToolResult, ...]
    started: frozenset[str]
    usage: Usage
    step_usage: Usage
    step_started_ms: int
    retries: int
    checkpoint_id: str
    text: str
    error: RunError | None
    measured: int
    measured_messages: int
    outputs: Mapping[str, LeftOut]
    dropped: History
    limit: int
    _snapshot: RunState | None

    def __init__(self, state: RunState) -> None:
        self._take(state)

    def __call__(self, event: Event) -> None:
        """Fold one event of the run.

        Raises: InvariantBroken where it cannot follow.
        """
        sources, fold = _TRANSITIONS[event.type]
        if self.phase not in sources:
            raise InvariantBroken(f"event {event.type} ({event.id}) cannot happen in state {self.phase.value}")
        fold(self, event)
        self._snapshot = None

    def state(self) -> RunState:
        """The run as it is now."""
        if self._snapshot is None:
            self._snapshot = RunState(*_ALL(self))
        return self._snapshot

    def _take(self, state: RunState) -> None:
        for name, value in zip(RunState.__slots__, _ALL(state), strict=True):
            setattr(self, name, value)
        self._snapshot = state

    def start(self, event: Event) -> None:
        """`startRun`: of a new run, of a stopped run's next segment, or of a branch off a checkpoint."""
        checkpoint = object_of(event.payload.get("initialCheckpoint"))
        if text_of(checkpoint.get("status")) == RunStatus.INIT:
            self._take(_fresh(event, checkpoint))
            return
        branches = object_of(checkpoint.get("resumedFrom")).get("branch") is True
        if self.phase is not Phase.STOPPED and not (branches and self.phase is Phase.PREPARING):
            raise InvariantBroken(f"startRun ({event.id}) resumes a run that has not stopped")
        if branches:
            self.origin_run_id = event.run_id
        answered = results_from(checkpoint.get("partialToolResults"), by_id(self.partial))
        self.pending = _without(self.pending, answered)
        said = _input(event)
        if said and answered:  # the last reply's calls are answered before anything else is said
            answers = _in_call_order(self.history.last(), answered)
            self.history = self.history.grow(ToolMessage(f"{event.id}.results", answers))
            answered = ()
        self.phase = Phase.PREPARING
        self.status = RunStatus.PROCEEDING
        self.run_id = event.run_id
        self.step = event.step_number
        self.history = self.history.grow(*said)
        self.partial = answered
        self.usage = usage_from(checkpoint.get("usage"))
        self.retries = 0
        self.checkpoint_id = text_of(checkpoint.get("id"))
        self.text = ""
        self.error = None

    def start_generation(self, event: Event) -> None:
        self.phase = Phase.GENERATING
        self.step_started_ms = event.timestamp

    def compact(self, event: Event) -> None:
        """`compactContext`: the history from here on, and what is left out of it."""
        before, until = self.history.messages(), int_of(event.payload.get("until"))
        elided = objects_of(event.payload.get("elided"))
        elisions = [Elision(*(text_of(item.get(key)) for key in _ELISION)) for item in elided]
        new = [message_from(item, {}) for item in objects_of(event.payload.get("newMessages"))]
        self.outputs = left_out(self.outputs, before, elisions)
        self.dropped = self.dropped.grow(*(one for one in before[1:until] if not one.id.endswith(SUMMARY_ID)))
        self.history = History(carried_out(before, elisions, until, new))
        self.usage += usage_from(event.payload.get("usage"))
        self.limit = int_of(event.payload.get("limit")) or self.limit
        self.measured = self.measured_messages = 0

    def retry(self, event: Event) -> None:
        replied = len(self.history)
        self._grow(event)
        self._count(event, replied + isinstance(self._message(replied), ExpertMessage))
        self.phase = Phase.FINISHING
        self.retries += 1

    def call_tools(self, event: Event) -> None:
        message = message_from(object_of(event.payload.get("newMessage")), {})
        self._count(event, len(self.history) + 1)
        self.phase = Phase.CALLING_TOOLS
        self.history = self.history.grow(message)
        self.pending = message.tool_calls if isinstance(message, ExpertMessage) else ()
        self.partial = ()
        self.started = frozenset()
        self.retries = 0

    def start_tool_call(self, event: Event) -> None:
        """A call that may not be made twice is about to be made; what was answered before it is on record now."""
        self._keep_partial(event)
        self.started |= {text_of(event.payload.get("toolCallId"))}

    def resolve(self, event: Event) -> None:
        self.partial = results_from(event.payload.get("toolResults"), by_id(self.partial))
        self.pending = ()
        self.phase = Phase.RESOLVING

    def finish_calls(self, event: Event) -> None:
        self._grow(event)
        self._settle()
        self.phase = Phase.FINISHING

    def call_delegates(self, event: Event) -> None:
        self._keep_partial(event)
        self.phase = Phase.CALLING_DELEGATES

    def call_interactive(self, event: Event) -> None:
        self._keep_partial(event)
        self.phase = Phase.CALLING_INTERACTIVE

    def resume_calls(self, _event: Event) -> None:
        self.phase = Phase.CALLING_TOOLS

    def go_on(self, event: Event) -> None:
        """`continueToNextStep`."""
        following = object_of(event.payload.get("nextCheckpoint"))
        self.usage = usage_from(object_of(event.payload.get("checkpoint")).get("usage"))
        self.phase = Phase.PREPARING
        self.step = int_of(following.get("stepNumber")) or self.step + 1
        self.checkpoint_id = text_of(following.get("id"))

    def stop(self, event: Event) -> None:
        checkpoint, error = object_of(event.payload.get("checkpoint")), object_of(event.payload.get("error"))
        self._grow(event)
        if event.type == "completeRun":
            self._settle()
        self.phase = Phase.STOPPED
        self.status = RunStatus(text_of(checkpoint.get("status"), RunStatus.STOPPED_BY_ERROR))
        self.usage = usage_from(checkpoint.get("usage"))
        self.checkpoint_id = text_of(checkpoint.get("id"))
        self.text = text_of(event.payload.get("text"))
        self.error = _error(error) if error else None

    def _grow(self, event: Event) -> None:
        """Add the event's `newMessages`, whose results may be references to those in hand."""
        new = objects_of(event.payload.get("newMessages"))
        if new:
            known = by_id(self.partial)
            self.history = self.history.grow(*[message_from(item, known) for item in new])

    def _message(self, place: int) -> Message | None:
        return self.history.at(place) if place < len(self.history) else None

    def _count(self, event: Event, covered: int) -> None:
        """Add up what a reply has cost; its call held the first `covered` messages, the reply's own included."""
        self.step_usage = usage_from(event.payload.get("usage"))
        self.usage += self.step_usage
        if self.step_usage.input_tokens:
            self.measured, self.measured_messages = self.step_usage.total_tokens, covered

    def _keep_partial(self, event: Event) -> None:
        """Add `partialToolResults` to the results in hand. Those in hand already may be among them, as references."""
        known = by_id(self.partial)
        found = results_from(event.payload.get("partialToolResults"), known)
        if found:
            self.partial += tuple(result for result in found if result.id not in known)
            self.pending = _without(self.pending, found)

    def _settle(self) -> None:
        self.pending = ()
        self.partial = ()
        self.started = frozenset()


def _fresh(event: Event, checkpoint: JsonObject) -> RunState:
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
        text_of(data.get("checkpointId")),
        text_of(expert.get("name")),
        text_of(expert.get("version")),
    )


def _error(data: JsonObject) -> RunError:
    return RunError(text_of(data.get("name")), text_of(data.get("message")), data.get("isRetryable") is True)


def _in_call_order(last: Message | None, results: tuple[ToolResult, ...]) -> tuple[ToolResult, ...]:
    if len(results) < 2:
        return results
    calls = last.tool_calls if isinstance(last, ExpertMessage) else ()
    order = {call.id: number for number, call in enumerate(calls)}
    return tuple(sorted(results, key=lambda result: order.get(result.id, len(order))))


def _without(calls: tuple[ToolCall, ...], results: tuple[ToolResult, ...]) -> tuple[ToolCall, ...]:
    answered = {result.id for result in results}
    return tuple(call for call in calls if call.id not in answered)


_RUNNING = frozenset(Phase) - {Phase.STOPPED}
_CALLING = frozenset({Phase.CALLING_TOOLS})

_TRANSITIONS: dict[str, tuple[frozenset[Phase], Callable[[RunFold, Event], None]]] = {
    "startRun": (frozenset({Phase.INIT, Phase.STOPPED, Phase.PREPARING}), RunFold.start),
    "startGeneration": (frozenset({Phase.PREPARING}), RunFold.start_generation),
    "compactContext": (frozenset({Phase.PREPARING, Phase.GENERATING}), RunFold.compact),
    "retry": (frozenset({Phase.GENERATING}), RunFold.retry),
    "callTools": (frozenset({Phase.GENERATING}), RunFold.call_tools),
    "startToolCall": (_CALLING, RunFold.start_tool_call),
    "resolveToolResults": (_CALLING, RunFold.resolve),
    "finishToolCall": (frozenset({Phase.RESOLVING}), RunFold.finish_calls),
    "callDelegate": (_CALLING, RunFold.call_delegates),
    "callInteractiveTool": (_CALLING, RunFold.call_interactive),
    "resumeToolCalls": (frozenset({Phase.PREPARING}), RunFold.resume_calls),
    "finishAllToolCalls": (frozenset({Phase.PREPARING}), RunFold.finish_calls),
    "continueToNextStep": (frozenset({Phase.FINISHING}), RunFold.go_on),
    "stopRunByInteractiveTool": (frozenset({Phase.CALLING_INTERACTIVE}), RunFold.stop),
    "stopRunByDelegate": (frozenset({Phase.CALLING_DELEGATES}), RunFold.stop),
    "stopRunByExceededMaxSteps": (frozenset({Phase.FINISHING}), RunFold.stop),
    "stopRunByError": (_RUNNING, RunFold.stop),
    "completeRun": (frozenset({Phase.GENERATING, Phase.CALLING_TOOLS}), RunFold.stop),
}
