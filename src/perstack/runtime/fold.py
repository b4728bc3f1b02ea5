"""A whole job folded from its events: every run's state, who started whom, and the facts of the pipeline. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from perstack.core.errors import InvariantBroken
from perstack.core.events import JOB_EVENTS, RECORD_EVENTS, RUN_EVENTS, STREAMING_EVENTS, Event
from perstack.core.usage import Usage
from perstack.runtime.apply import RunFold
from perstack.runtime.state import RunState
from perstack.runtime.wire import object_of, text_of

_PASSING = frozenset({"progress", "startSignal"})
_OF_A_RUN = RUN_EVENTS | RECORD_EVENTS
_CHECKPOINTS = ("checkpoint", "nextCheckpoint")


@dataclass(frozen=True, slots=True)
class JobState:
    """One job after some of its events.

    `runs` are by the id of their first segment, in the order of their start; `facts` are the pipeline's events
    without mere progress; `last_event_id` is empty where nothing has happened. `checkpoints` are the runs as they
    were at each step's end and at each stop, by the id of the checkpoint: what a branch can start from. A branch is
    a run of its own; `inherited` is what the part before it has cost, by run.
    """

    job_id: str = ""
    runs: Mapping[str, RunState] = field(default_factory=dict)
    facts: tuple[Event, ...] = ()
    events: int = 0
    last_event_id: str = ""
    checkpoints: Mapping[str, RunState] = field(default_factory=dict)
    inherited: Mapping[str, Usage] = field(default_factory=dict)

    def latest_run(self) -> RunState | None:
        """The top-level run that was started last, be it as a branch of another."""
        return next((run for run in reversed(tuple(self.runs.values())) if run.delegated_by is None), None)

    def child(self, caller_run_id: str, tool_call_id: str) -> RunState | None:
        """The delegate that a call of a segment started, None where it never did."""
        for run in reversed(tuple(self.runs.values())):
            by = run.delegated_by
            if by and by.run_id == caller_run_id and by.tool_call_id == tool_call_id:
                return run
        return None

    @property
    def usage(self) -> Usage:
        """Tokens of all model calls on record, each once, those of unfinished delegates included."""
        total = Usage()
        segments = {run.run_id for run in self.runs.values()}
        for origin, run in self.runs.items():
            by = run.delegated_by
            if by is None or by.run_id in segments:  # else the caller has gone on and counts it
                total += run.usage - self.inherited.get(origin, Usage())
        return total

    @property
    def steps(self) -> int:
        """The highest step number on record."""
        return max((run.step for run in self.runs.values()), default=0)

    def fact(self, kind: str) -> Event | None:
        """The newest pipeline event of one type."""
        return next((event for event in reversed(self.facts) if event.type == kind), None)


class JobFold:
    """Folds events one by one in constant time each; `state` is a snapshot."""

    def __init__(self) -> None:
        self._job_id = ""
        self._runs: dict[str, RunFold] = {}
        self._segments: dict[str, RunFold] = {}
        self._checkpoints: dict[str, RunState] = {}
        self._inherited: dict[str, Usage] = {}
        self._facts: list[Event] = []
        self._count = 0
        self._last = ""

    def __call__(self, event: Event) -> None:
        """Fold one event; a JobFold is an event sink. Streaming events, which no log holds, leave nothing.

        Raises: InvariantBroken where the event cannot follow.
        """
        if event.type in STREAMING_EVENTS:
            return
        self._job_id = self._job_id or event.job_id
        self._count += 1
        self._last = event.id
        if event.type in _OF_A_RUN:
            self._fold(event)
        elif event.type in JOB_EVENTS and event.type not in _PASSING:
            self._facts.append(event)

    def state(self) -> JobState:
        """What is known now."""
        runs = {origin: run.state() for origin, run in self._runs.items()}
        facts, checkpoints, inherited = tuple(self._facts), dict(self._checkpoints), dict(self._inherited)
        return JobState(self._job_id, runs, facts, self._count, self._last, checkpoints, inherited)

    def run(self, run_id: str) -> RunState:
        """The run that a segment belongs to; an unstarted one where there is none."""
        run = self._segments.get(run_id)
        return run.state() if run else RunState()

    def _fold(self, event: Event) -> None:
        run = self._started(event) if event.type == "startRun" else self._segments.get(event.run_id)
        if run is None:
            raise InvariantBroken(f"event {event.type} ({event.id}) belongs to run {event.run_id}, which never started")
        run(event)
        if "checkpoint" in event.payload:
            state = run.state()
            for name in _CHECKPOINTS:
                if checkpoint_id := text_of(object_of(event.payload.get(name)).get("id")):
                    self._checkpoints[checkpoint_id] = state

    def _started(self, event: Event) -> RunFold:
        """The run that a `startRun` opens, goes on with, or branches off."""
        resumed = object_of(object_of(event.payload.get("initialCheckpoint")).get("resumedFrom"))
        run = self._segments.get(text_of(resumed.get("runId"))) if resumed else None
        if resumed.get("branch") is True:
            checkpoint_id = text_of(resumed.get("checkpointId"))
            if checkpoint_id not in self._checkpoints:
                raise InvariantBroken(f"startRun ({event.id}) branches off checkpoint {checkpoint_id}, not on record")
            before = self._checkpoints[checkpoint_id]
            run = self._runs[event.run_id] = RunFold(before)
            self._inherited[event.run_id] = before.usage
        elif run is None:
            run = self._runs[event.run_id] = RunFold(RunState())
        self._segments[event.run_id] = run
        return run


def fold(events: Iterable[Event]) -> JobState:
    """The state of a job from its events.

    Raises: InvariantBroken where an event cannot follow on those before it.
    """
    folding = JobFold()
    for event in events:
        folding(event)
    return folding.state()
