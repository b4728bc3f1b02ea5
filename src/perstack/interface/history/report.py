"""One answer of `perstack log` as data: what was chosen of which job, and its JSON. Draws nothing."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, field

from perstack.core.events import Event
from perstack.core.json import Json, JsonObject
from perstack.core.storage import JobRecord
from perstack.interface.history.reading import CallKey, call_key, objects_of
from perstack.interface.history.runs import Runs
from perstack.interface.history.selection import ERRORS, Page


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts over every match, whatever the page shows. Steps are 0 where no event has one."""

    events: int = 0
    errors: int = 0
    tool_calls: int = 0
    delegations: int = 0
    first_step: int = 0
    last_step: int = 0

    def to_json(self) -> JsonObject:
        """The public keys; `stepRange` only where there are steps."""
        data: dict[str, Json] = {
            "totalEvents": self.events,
            "errorCount": self.errors,
            "toolCallCount": self.tool_calls,
            "delegationCount": self.delegations,
        }
        if self.last_step:
            data["stepRange"] = {"min": self.first_step, "max": self.last_step}
        return data


def summary_of(events: Sequence[Event], delegated: Container[CallKey]) -> Summary:
    """Count. `delegated` are the calls that went to delegates; all others are calls of tools."""
    steps = [event.step_number for event in events if event.step_number]
    calls = [
        call_key(event, call.get("id"))
        for event in events
        if event.type == "callTools"
        for call in objects_of(event.payload.get("toolCalls"))
    ]
    return Summary(
        events=len(events),
        errors=sum(event.type in ERRORS for event in events),
        tool_calls=sum(call not in delegated for call in calls),
        delegations=sum(
            len(objects_of(event.payload.get("toolCalls"))) for event in events if event.type == "callDelegate"
        ),
        first_step=min(steps, default=0),
        last_step=max(steps, default=0),
    )


@dataclass(frozen=True, slots=True)
class Report:
    """Everything `perstack log` says. `checkpoint` is the chosen one, `checkpoints` those of the job without messages.

    `problem` is what is wrong with the log, empty where nothing is; `next` says how to go on with the job.
    """

    job: JobRecord
    page: Page
    runs: Runs
    storage: str = ""
    is_latest: bool = False
    checkpoint: JsonObject | None = None
    checkpoints: Sequence[JsonObject] | None = None
    run: str = ""
    problem: str = ""
    is_damaged: bool = False
    is_interrupted: bool = False
    next: str = ""
    summary: Summary = field(default_factory=Summary)

    def to_json(self, *, only_summary: bool = False) -> JsonObject:
        """The public shape; what is not there is left out."""
        data: dict[str, Json] = {"job": self.job.to_json()}
        if not only_summary:
            data["events"] = [event.to_json() for event in self.page.events]
        data["summary"] = self.summary.to_json()
        if self.checkpoint is not None:
            data["checkpoint"] = self.checkpoint
        if self.checkpoints is not None:
            data["checkpoints"] = list(self.checkpoints)
        data["runs"] = [run.to_json() for run in self.runs.all]
        data["isLatestJob"] = self.is_latest
        data["storagePath"] = self.storage
        data["totalEventsBeforeLimit"] = len(self.page.matched)
        data["matchedAfterPagination"] = self.page.on_page
        if self.problem:
            data["problem"] = self.problem
        return data
