"""The runs of a job as a tree: who started whom, from when to when, with what end. Pure.

Made from the events alone, so that a log that is damaged, still being written, or written by another harness shows
its tree as well. Every resumption of a run is a segment with an id of its own; here they are one run again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from perstack.core.events import RUN_EVENTS, Event
from perstack.core.json import Json, JsonObject
from perstack.core.usage import Usage
from perstack.interface.history.reading import object_of, text_of, usage_of

STOPS = frozenset(
    {"stopRunByInteractiveTool", "stopRunByDelegate", "stopRunByExceededMaxSteps", "stopRunByError", "completeRun"}
)
RUNNING = "running"
INTERRUPTED = "interrupted"


@dataclass(slots=True)
class Run:
    """One run. `segments` are its run ids in order, `number` tells runs of the same expert apart (from 1).

    `branched` where it took up an older checkpoint of another run, which stays as it was. `first_step` and
    `last_step` are of its own events; `usage` covers its delegates too where the log says so.
    """

    expert: str
    segments: list[str]
    number: int = 1
    parent: Run | None = None
    branched: bool = False
    children: list[Run] = field(default_factory=list)
    status: str = RUNNING
    started_ms: int = 0
    ended_ms: int = 0
    first_step: int = 0
    last_step: int = 0
    usage: Usage = field(default_factory=Usage)

    @property
    def id(self) -> str:
        """The id of its first segment, which it keeps."""
        return self.segments[0]

    def to_json(self) -> JsonObject:
        """One row of `runs`."""
        data: dict[str, Json] = {
            "runId": self.id,
            "expertKey": self.expert,
            "status": self.status,
            "segments": list(self.segments),
            "steps": {"min": self.first_step, "max": self.last_step},
            "usage": self.usage.to_json(),
            "startedAt": self.started_ms,
            "durationMs": self.ended_ms - self.started_ms,
        }
        if self.branched:
            data["branched"] = True
        if self.parent is not None:
            data["delegatedBy"] = {"runId": self.parent.id, "expertKey": self.parent.expert}
        return data


@dataclass(frozen=True, slots=True)
class Runs:
    """All runs in the order of their start; `of` finds one by any of its segments' ids."""

    all: tuple[Run, ...] = ()
    of: Mapping[str, Run] = field(default_factory=dict)

    @property
    def roots(self) -> tuple[Run, ...]:
        """The runs that nobody delegated."""
        return tuple(run for run in self.all if run.parent is None)

    def label(self, run: Run) -> str:
        """The expert, and its number where it ran more than once."""
        alone = sum(other.expert == run.expert for other in self.all) == 1
        return run.expert if alone else f"{run.expert} #{run.number}"


def runs_of(events: Iterable[Event], *, is_over: bool = False) -> Runs:
    """The runs in these events; with `is_over`, one that has no end was interrupted."""
    found: list[Run] = []
    of: dict[str, Run] = {}
    for event in events:
        follow(event, found, of)
    for run in found:
        if is_over and run.status == RUNNING:
            run.status = INTERRUPTED
    return Runs(tuple(found), of)


def follow(event: Event, found: list[Run], of: dict[str, Run]) -> Run | None:
    """Take one more event into `found` (in the order of their start) and `of` (by segment); the run it belongs to."""
    if event.type not in RUN_EVENTS or not event.run_id:
        return None
    run = of.get(event.run_id)
    if run is None:
        run = of[event.run_id] = _opened(event, found, of)
    _follow(run, event)
    return run


def _opened(event: Event, found: list[Run], of: Mapping[str, Run]) -> Run:
    """The run that a new segment belongs to: one known, or a new one."""
    checkpoint = object_of(event.payload.get("initialCheckpoint"))
    earlier = _continued(event, checkpoint, found, of)
    if earlier is not None:
        earlier.segments.append(event.run_id)
        return earlier
    caller = of.get(text_of(object_of(checkpoint.get("delegatedBy")).get("runId")))
    branched = object_of(checkpoint.get("resumedFrom")).get("branch") is True
    number = sum(run.expert == event.expert_key for run in found) + 1
    run = Run(event.expert_key, [event.run_id], number, caller, branched=branched, started_ms=event.timestamp)
    found.append(run)
    if caller is not None:
        caller.children.append(run)
    return run


def _continued(event: Event, checkpoint: JsonObject, found: Sequence[Run], of: Mapping[str, Run]) -> Run | None:
    """The run that goes on here. Ours says which; the public format leaves it to the expert and the status."""
    resumed = object_of(checkpoint.get("resumedFrom"))
    if resumed.get("branch") is True:
        return None
    known = of.get(text_of(resumed.get("runId")))
    status = text_of(checkpoint.get("status"))
    if known is not None or status in {"", "init"}:
        return known
    same = (run for run in reversed(found) if run.expert == event.expert_key and run.status == status)
    return next(same, None)


def _follow(run: Run, event: Event) -> None:
    run.ended_ms = max(run.ended_ms, event.timestamp)
    run.first_step = min(run.first_step or event.step_number, event.step_number)
    run.last_step = max(run.last_step, event.step_number)
    checkpoint = event.payload.get("initialCheckpoint" if event.type == "startRun" else "checkpoint")
    if isinstance(checkpoint, Mapping) and "usage" in checkpoint:
        run.usage = usage_of(checkpoint["usage"])
    elif event.type in {"callTools", "retry"}:
        run.usage += usage_of(event.payload.get("usage"))
    if event.type in STOPS:
        run.status = text_of(object_of(checkpoint).get("status")) or event.type
    elif event.type == "startRun":
        run.status = RUNNING
