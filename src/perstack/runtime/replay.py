"""Replaying a job's log: whether what its checkpoints say is what its events add up to. Pure; runs nothing.

Running the job again against its own record is in `replay_rerun.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from perstack.core.errors import InvariantBroken
from perstack.core.events import RECORD_EVENTS, RUN_EVENTS, Event
from perstack.core.json import Json
from perstack.core.storage import LogContents
from perstack.core.usage import Usage
from perstack.runtime.fold import JobFold
from perstack.runtime.state import Phase, RunState, RunStatus
from perstack.runtime.wire import object_of, objects_of, text_of, usage_from

# The log's first line is its header.
_FIRST_LINE = 2
_STATUS = {
    "continueToNextStep": RunStatus.PROCEEDING,
    "completeRun": RunStatus.COMPLETED,
    "stopRunByDelegate": RunStatus.STOPPED_BY_DELEGATE,
    "stopRunByInteractiveTool": RunStatus.STOPPED_BY_INTERACTIVE_TOOL,
    "stopRunByExceededMaxSteps": RunStatus.STOPPED_BY_EXCEEDED_MAX_STEPS,
    "stopRunByError": RunStatus.STOPPED_BY_ERROR,
}


@dataclass(frozen=True, slots=True)
class Difference:
    """The first place where a record and its replay part. `line` is the log's, 0 where the record has ended there."""

    line: int
    event: str
    where: str
    recorded: Json
    replayed: Json

    def __str__(self) -> str:
        place = f"line {self.line}: " if self.line else ""
        return (
            f"{place}{self.event}: {self.where} is {_short(self.recorded)} on record, {_short(self.replayed)} replayed"
        )


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """What a replay found. `problem` is what is wrong with the log itself, after the events that were replayed."""

    events: int
    runs: int
    checkpoints: int
    difference: Difference | None = None
    problem: str = ""

    @property
    def ok(self) -> bool:
        return self.difference is None and not self.problem


def check(contents: LogContents) -> ReplayReport:
    """Fold a log anew and compare the facts that each event repeats with what the events before it add up to."""
    folding = JobFold()
    checkpoints = 0
    problem = "" if contents.truncated else contents.problem
    for number, event in enumerate(contents.events):
        difference = None
        if event.type in RUN_EVENTS or event.type in RECORD_EVENTS:
            difference = _compared(folding, event, number + _FIRST_LINE)
            checkpoints += "checkpoint" in event.payload
        if difference is None:
            try:
                folding(event)
            except InvariantBroken as error:
                difference = Difference(number + _FIRST_LINE, event.type, "the event", "there", error.message)
        if difference:
            return ReplayReport(number, len(folding.state().runs), checkpoints, difference, problem)
    return ReplayReport(len(contents.events), len(folding.state().runs), checkpoints, None, problem)


def line_of(number: int) -> int:
    """The line of a log that holds its event `number` (from 0)."""
    return number + _FIRST_LINE


def _compared(folding: JobFold, event: Event, line: int) -> Difference | None:
    before = folding.run(event.run_id)
    if before.phase is Phase.INIT and event.type != "startRun":
        return None  # the fold itself says that the run never started
    recorded = _recorded(event)
    for where, replayed in _replayed(before, event):
        if where in recorded and recorded[where] != replayed:
            return Difference(line, event.type, where, recorded[where], replayed)
    return None


def _recorded(event: Event) -> Mapping[str, Json]:
    """The facts that an event repeats, by a name that says where."""
    facts: dict[str, Json] = {"stepNumber": event.step_number, "expertKey": event.expert_key, "jobId": event.job_id}
    if "messageCount" in event.payload:
        facts["messageCount"] = event.payload["messageCount"]
    checkpoint = object_of(event.payload.get("checkpoint"))
    if checkpoint:
        facts |= {f"checkpoint.{key}": checkpoint[key] for key in _COMPARED if key in checkpoint}
        facts["checkpoint.usage"] = usage_from(checkpoint.get("usage")).to_json()
        facts |= {f"checkpoint.{key}": _ids(checkpoint.get(key)) for key in _CALLS}
        facts["step.stepNumber"] = object_of(event.payload.get("step")).get("stepNumber")
        facts["nextCheckpoint.stepNumber"] = object_of(event.payload.get("nextCheckpoint")).get("stepNumber")
    return facts


_COMPARED = ("jobId", "runId", "stepNumber", "messageCount", "status", "retryCount")
_CALLS = ("pendingToolCalls", "partialToolResults")


def _replayed(before: RunState, event: Event) -> Iterator[tuple[str, Json]]:
    """The same facts from the state before the event. Those of a run's start are facts of their own."""
    if event.type == "startRun":
        return
    yield "stepNumber", before.step
    yield "expertKey", before.expert_key
    yield "jobId", before.job_id
    yield "messageCount", len(before.history)
    if "checkpoint" not in event.payload:
        return
    yield "checkpoint.jobId", before.job_id
    yield "checkpoint.runId", before.run_id
    yield "checkpoint.stepNumber", before.step
    yield "checkpoint.messageCount", len(before.history)
    yield "checkpoint.status", _STATUS[event.type].value
    yield "checkpoint.retryCount", before.retries
    yield "checkpoint.usage", _usage_after(before, event).to_json()
    yield "step.stepNumber", before.step
    if event.type == "continueToNextStep":
        yield "nextCheckpoint.stepNumber", before.step + 1
    if event.type in ("stopRunByInteractiveTool", "stopRunByExceededMaxSteps"):
        yield "checkpoint.pendingToolCalls", [call.id for call in before.pending]
    if event.type not in ("completeRun", "stopRunByError"):
        yield "checkpoint.partialToolResults", [result.id for result in before.partial]


def _usage_after(before: RunState, event: Event) -> Usage:
    """What the run has cost with this event. A reply that ended the run is counted by nothing else."""
    said = usage_from(object_of(event.payload.get("checkpoint")).get("usage"))
    if before.phase is not Phase.GENERATING:
        return before.usage
    if event.type == "completeRun":
        return before.usage + usage_from(event.payload.get("usage"))
    more = said - before.usage
    grows = min(more.input_tokens, more.output_tokens, more.reasoning_tokens, more.cached_input_tokens) >= 0
    return said if grows else before.usage


def _ids(value: Json) -> list[Json]:
    return [text_of(item.get("id")) for item in objects_of(value)]


def _short(value: Json) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:80]}…{text[-30:]}"
