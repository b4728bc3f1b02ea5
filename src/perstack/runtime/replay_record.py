"""What a log says was answered: each run's replies and results, as they have to be given to run it again. Pure.

Runs are told apart by how they came to be (`Path`), not by ids: those are new when the job is run again.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from perstack.core.errors import (
    NO_MEDIA,
    TOO_LONG,
    BudgetExceeded,
    InfrastructureError,
    InvariantBroken,
    PerstackError,
    ProviderError,
    SandboxUnavailable,
)
from perstack.core.events import RUN_EVENTS, Event
from perstack.core.json import Json, JsonObject
from perstack.core.messages import (
    ExpertMessage,
    Message,
    ModelReply,
    StopReason,
    TextPart,
    ToolCall,
    ToolMessage,
    ToolResult,
)
from perstack.core.usage import Usage
from perstack.runtime.fold import JobFold
from perstack.runtime.state import Phase, RunState
from perstack.runtime.wire import int_of, message_from, object_of, objects_of, results_from, text_of, usage_from

# How a run came to be: which top-level run of the job, and from there, which segment's which call.
Path = tuple[tuple[int, str], ...]

# What `Runner.proceed` says of a run that ended with its process.
INTERRUPTED = "Interrupted"
_EXCEEDED = "Max retries ("
_FATAL = {kind.__name__: kind for kind in (BudgetExceeded, SandboxUnavailable, InvariantBroken)}


@dataclass(slots=True)
class RecordedRun:
    """One run of a log. `events` are its run events with their lines.

    `results` are by the number of the reply that made the call, from 1, and the call's id: some models give one id
    again and again. `given` counts the replies given so far; `stillborn` kept the run from its first step.
    """

    expert_key: str
    events: list[tuple[int, Event]] = field(default_factory=list)
    replies: list[ModelReply | PerstackError] = field(default_factory=list)
    results: dict[tuple[int, str], ToolResult] = field(default_factory=dict)
    given: int = 0
    failure: PerstackError | None = None
    stillborn: PerstackError | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing is missing at its end: the process did not end before the run."""
        kind = self.events[-1][1].type
        stopped = kind == "completeRun" or (kind.startswith("stopRunBy") and kind != "stopRunByDelegate")
        return stopped and self.interrupted == len(self.events)

    @property
    def interrupted(self) -> int:
        """How many events there are up to where the process ended within a run that was gone on with all the same."""
        for number, (_, event) in enumerate(self.events):
            if object_of(event.payload.get("error")).get("name") == INTERRUPTED:
                return number
        return len(self.events)


class Lineage:
    """Tells runs apart while their events pass by."""

    def __init__(self) -> None:
        self._segments: dict[str, tuple[Path, int]] = {}
        self._tops = 0

    def path(self, event: Event) -> Path:
        """The run that a run event belongs to."""
        if event.type == "startRun":
            self._segments[event.run_id] = self._started(object_of(event.payload.get("initialCheckpoint")))
        return self._segments[event.run_id][0]

    def path_of(self, run_id: str) -> Path:
        """The run that a segment belongs to. Raises: KeyError where it has not started."""
        return self._segments[run_id][0]

    def _started(self, checkpoint: JsonObject) -> tuple[Path, int]:
        resumed = object_of(checkpoint.get("resumedFrom"))
        if resumed and resumed.get("branch") is not True:
            path, number = self._segments[text_of(resumed.get("runId"))]
            return path, number + 1
        caller = object_of(checkpoint.get("delegatedBy"))
        before = self._segments.get(text_of(caller.get("runId")))
        if before and not resumed:
            return (*before[0], (before[1], text_of(caller.get("toolCallId")))), 0
        self._tops += 1
        return ((self._tops, ""),), 0


class Record:
    """All runs of a log, and the tools they used."""

    def __init__(self, events: tuple[Event, ...], first_line: int) -> None:
        """Raises: InvariantBroken where the events are no log of a job."""
        self.runs: dict[Path, RecordedRun] = {}
        self.tools: dict[str, dict[tuple[str, str], bool]] = defaultdict(dict)
        self._fold = JobFold()
        self._lineage = Lineage()
        begun: set[tuple[str, str]] = set()
        self._elsewhere: set[tuple[str, str]] = set()
        for line, event in enumerate(events, first_line):
            if event.type in RUN_EVENTS or event.type == "startToolCall":
                self._take(line, event, begun)
            self._fold(event)
        for key, used in self.tools.items():
            skills = [tool for tool in used if (key, tool[1]) not in self._elsewhere]
            self.tools[key] = {tool: (key, tool[1]) not in begun for tool in skills}

    def births(self, expert_key: str) -> list[PerstackError | None]:
        """For each run of an expert, in the order of their start, what kept it from its first step, None for nothing.

        Runs that their callers' limits never let start are left out.
        """
        runs = [run for run in self.runs.values() if run.expert_key == expert_key]
        return [run.stillborn for run in runs if type(run.stillborn).__name__ != "NotStarted"]

    def _take(self, line: int, event: Event, begun: set[tuple[str, str]]) -> None:
        before = self._fold.run(event.run_id)
        path = self._lineage.path(event)
        run = self.runs.setdefault(path, RecordedRun(event.expert_key))
        self.tools.setdefault(event.expert_key, {})
        for result in _results(event, before):
            run.results[len(run.replies), result.id] = result
        if event.type == "startToolCall":
            called = text_of(event.payload.get("toolCallId"))
            begun |= {(event.expert_key, call.tool_name) for call in before.pending if call.id == called}
            return
        run.events.append((line, event))
        if event.type in ("callDelegate", "callInteractiveTool"):
            asked = [*objects_of(event.payload.get("toolCalls")), object_of(event.payload.get("toolCall"))]
            self._elsewhere |= {(event.expert_key, text_of(call.get("toolName"))) for call in asked}
        reply = _reply(before, event)
        run.replies += _while_compacting(event) if event.type == "compactContext" else [reply] if reply else []
        if isinstance(reply, ModelReply):
            calls = [part for part in reply.contents if isinstance(part, ToolCall)]
            self.tools[event.expert_key] |= {(c.skill_name, c.tool_name): True for c in calls if c.skill_name}
        if event.type == "stopRunByError" and before.phase is Phase.CALLING_TOOLS:
            run.failure = _error(event, InfrastructureError)
        if event.type == "stopRunByError" and before.phase is Phase.PREPARING and len(run.events) == 2:
            run.stillborn = _error(event, InfrastructureError)


def _results(event: Event, before: RunState) -> tuple[ToolResult, ...]:
    """What an event gives as results that no event before it holds."""
    known = {result.id: result for result in before.partial}
    found: tuple[ToolResult, ...] = ()
    for key in ("partialToolResults", "toolResults"):
        if event.type not in ("startRun", "retry", "resumeToolCalls"):
            found += results_from(event.payload.get(key), known)
    if event.type == "completeRun":
        messages = [message_from(item, known) for item in objects_of(event.payload.get("newMessages"))]
        found += tuple(result for m in messages if isinstance(m, ToolMessage) for result in m.results)
    return tuple(result for result in found if result.id not in known)


def _reply(before: RunState, event: Event) -> ModelReply | PerstackError | None:
    """What the model must have answered for this event to come; None where it was not asked."""
    if before.phase is not Phase.GENERATING or event.type == "compactContext":
        return None
    usage = usage_from(event.payload.get("usage"))
    if event.type == "callTools":
        return _said(message_from(object_of(event.payload.get("newMessage")), {}), StopReason.TOOL_CALLS, usage)
    messages = [message_from(item, {}) for item in objects_of(event.payload.get("newMessages"))]
    if event.type == "completeRun":
        return _said(messages[0] if messages else None, StopReason.END, usage)
    if event.type == "retry":
        return _retried(event, messages, usage)
    return _stopped(event, usage_from(object_of(event.payload.get("checkpoint")).get("usage")) - before.usage)


def _while_compacting(event: Event) -> list[ModelReply | PerstackError]:
    """What the model answered before and during a compaction: that it refused, and its summary."""
    payload, found = event.payload, list[ModelReply | PerstackError]()
    kind = {"refused": TOO_LONG, "media": NO_MEDIA}.get(text_of(payload.get("reason")))
    if kind:
        found.append(ProviderError(text_of(payload.get("refusal")) or "refused", kind=kind))
    if problem := text_of(payload.get("problem")):
        found.append(ProviderError(problem))
    elif payload.get("by") == "model":
        words = (TextPart(text_of(payload.get("words"))),)
        found.append(ModelReply(words, StopReason.END, usage_from(payload.get("usage"))))
    return found


def _retried(event: Event, messages: list[Message], usage: Usage) -> ModelReply | PerstackError:
    why = _reason(event.payload.get("reason"))
    error, message = text_of(why.get("error")), text_of(why.get("message"))
    if not messages:
        return _provider_error(error, message, retryable=True)
    if error.endswith("refusal"):
        return _said(messages[0], StopReason.REFUSAL, usage)
    cut = isinstance(messages[0], ExpertMessage)
    return _said(messages[0], StopReason.LENGTH if cut else StopReason.END, usage)


def _stopped(event: Event, usage: Usage) -> ModelReply | PerstackError:
    error = object_of(event.payload.get("error"))
    name, message = text_of(error.get("name")), text_of(error.get("message"))
    exceeded = message.startswith(_EXCEEDED)
    if name != "MaxRetriesExceeded":
        if name in _FATAL:
            return _error(event, ProviderError)
        status = int_of(error.get("statusCode")) or None
        cause = message.partition("exceeded: ")[2] if exceeded else message
        return _provider_error(name, cause, retryable=exceeded, status=status)
    cause = message.partition("exceeded: ")[2]
    refusal = cause.partition("The model refused: ")[2]
    if refusal:
        words = () if refusal == "no reason given" else (TextPart(refusal),)
        return ModelReply(words, StopReason.REFUSAL, usage)
    if cause.startswith("Generation length"):
        return ModelReply((TextPart("…"),), StopReason.LENGTH, usage)
    return ModelReply((), StopReason.END, usage)


def _said(message: Message | None, stop: StopReason, usage: Usage) -> ModelReply:
    return ModelReply(message.contents if isinstance(message, ExpertMessage) else (), stop, usage)


def _reason(value: Json) -> Mapping[str, Json]:
    try:
        return object_of(json.loads(text_of(value)))
    except ValueError:
        return {}


def _provider_error(name: str, message: str, *, retryable: bool, status: int | None = None) -> PerstackError:
    made = type(name or "ProviderError", (ProviderError,), {})
    error: PerstackError = made(message, retryable=retryable, status=status)
    return error


def _error(event: Event, otherwise: type[PerstackError]) -> PerstackError:
    """The recorded error as one of the same name, and of the same kind where the kind decides what follows."""
    told = object_of(event.payload.get("error"))
    name = text_of(told.get("name")) or "PerstackError"
    made = type(name, (_FATAL.get(name, otherwise),), {"__init__": PerstackError.__init__})
    error: PerstackError = made(text_of(told.get("message")))
    return error
