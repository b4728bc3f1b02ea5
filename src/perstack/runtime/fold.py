"""A whole job folded from its events: every run's state, who started whom, and the facts of the pipeline. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from perstack.core.events import JOB_EVENTS, RUN_EVENTS, Event
from perstack.core.usage import Usage
from perstack.runtime.apply import apply
from perstack.runtime.state import RunState
from perstack.runtime.wire import object_of, text_of

_PASSING = frozenset({"progress", "startSignal"})


@dataclass(frozen=True, slots=True)
class JobState:
    """One job after some of its events.

    `runs` are by the id of their first segment, in the order of their start; `facts` are the pipeline's events
    without mere progress; `last_event_id` is empty where nothing has happened.
    """

    job_id: str = ""
    runs: Mapping[str, RunState] = field(default_factory=dict)
    facts: tuple[Event, ...] = ()
    events: int = 0
    last_event_id: str = ""

    def latest_run(self) -> RunState | None:
        """The top-level run that was started last."""
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
        """Tokens of all model calls on record, those of unfinished delegates included."""
        total = Usage()
        segments = {run.run_id for run in self.runs.values()}
        for run in self.runs.values():
            by = run.delegated_by
            if by is None or by.run_id in segments:  # else the caller has gone on and counts it
                total += run.usage
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
        self._runs: dict[str, RunState] = {}
        self._origins: dict[str, str] = {}
        self._facts: list[Event] = []
        self._count = 0
        self._last = ""

    def __call__(self, event: Event) -> None:
        """Fold one event; a JobFold is an event sink.

        Raises: InvariantBroken where the event cannot follow.
        """
        self._job_id = self._job_id or event.job_id
        self._count += 1
        self._last = event.id
        if event.type in RUN_EVENTS:
            origin = self._origin(event)
            self._runs[origin] = apply(self._runs.get(origin, RunState()), event)
        elif event.type in JOB_EVENTS and event.type not in _PASSING:
            self._facts.append(event)

    def state(self) -> JobState:
        """What is known now."""
        return JobState(self._job_id, dict(self._runs), tuple(self._facts), self._count, self._last)

    def _origin(self, event: Event) -> str:
        """The first segment of the run an event belongs to."""
        if event.type == "startRun":
            checkpoint = object_of(event.payload.get("initialCheckpoint"))
            before = text_of(object_of(checkpoint.get("resumedFrom")).get("runId"))
            self._origins[event.run_id] = self._origins.get(before, before) or event.run_id
        return self._origins.get(event.run_id, event.run_id)


def fold(events: Iterable[Event]) -> JobState:
    """The state of a job from its events.

    Raises: InvariantBroken where an event cannot follow on those before it.
    """
    folding = JobFold()
    for event in events:
        folding(event)
    return folding.state()
