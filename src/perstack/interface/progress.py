"""A job as people follow it: folded from events, rendered by the comment, the check run and the terminal. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from perstack.core.events import Event
from perstack.core.json import Json

STAGES = ("prepare", "baseline", "plan", "checks", "build", "verify", "publish")
MAX_SIGNALS = 12  # of one stage: a view is for looking at
MAX_RUNS = 8  # of one signal


class StageState(StrEnum):
    """Where a stage stands."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class SignalRuns:
    """One signal on one tree: the status of each run that ended, and how many are running now."""

    name: str
    tree: str
    results: tuple[str, ...] = ()
    running: int = 0


@dataclass(frozen=True, slots=True)
class StageLine:
    """One stage of one round (round 0: outside the rounds). `note` may quote what a tool said."""

    stage: str
    round: int
    state: StageState
    seconds: float = 0.0
    note: str = ""
    signals: tuple[SignalRuns, ...] = ()


@dataclass(frozen=True, slots=True)
class JobView:
    """Everything the live views show. `rounds` is how many there may be, 0 where the events do not say."""

    lines: tuple[StageLine, ...] = ()
    steps: int = 0
    tokens: int = 0
    activity: str = ""
    rounds: int = 0

    @property
    def running(self) -> StageLine | None:
        """The stage at work, the latest where there are several."""
        return next((line for line in reversed(self.lines) if line.state is StageState.RUNNING), None)

    def apply(self, event: Event) -> JobView:
        """The view after one more event."""
        handler = _HANDLERS.get(event.type)
        return handler(self, event) if handler else self


def _start_job(view: JobView, event: Event) -> JobView:
    return replace(view, rounds=int(_number(event.payload, "rounds")) or view.rounds)


def _start_stage(view: JobView, event: Event) -> JobView:
    line = StageLine(_text(event.payload, "stage"), int(_number(event.payload, "round")), StageState.RUNNING)
    rounds = int(_number(event.payload, "rounds")) or view.rounds
    return replace(view, lines=(*view.lines, line), activity="", rounds=rounds)


def _finish_stage(view: JobView, event: Event) -> JobView:
    def finish(line: StageLine) -> StageLine:
        good = bool(event.payload.get("ok")) and (line.stage != "verify" or line.note in {"", "pass"})
        state = StageState.DONE if good else StageState.FAILED
        still = tuple(replace(runs, running=0) for runs in line.signals)
        return replace(line, state=state, seconds=_number(event.payload, "seconds"), signals=still)

    return replace(_on_running(view, finish, _text(event.payload, "stage")), activity="")


def _start_signal(view: JobView, event: Event) -> JobView:
    return _on_signal(view, event, lambda runs: replace(runs, running=runs.running + 1))


def _finish_signal(view: JobView, event: Event) -> JobView:
    status = _text(event.payload, "status")

    def finish(runs: SignalRuns) -> SignalRuns:
        results = (*runs.results, status)[-MAX_RUNS:]
        return replace(runs, results=results, running=max(0, runs.running - 1))

    return _on_signal(view, event, finish)


def _on_signal(view: JobView, event: Event, change: Callable[[SignalRuns], SignalRuns]) -> JobView:
    name, tree = _text(event.payload, "name"), _text(event.payload, "tree")

    def update(line: StageLine) -> StageLine:
        known = {(runs.name, runs.tree): runs for runs in line.signals}
        if (name, tree) not in known and len(known) >= MAX_SIGNALS:
            return line
        known[name, tree] = change(known.get((name, tree), SignalRuns(name, tree)))
        return replace(line, signals=tuple(known.values()))

    return _on_running(view, update)


def _progress(view: JobView, event: Event) -> JobView:
    message = _text(event.payload, "message")
    return replace(_on_running(view, lambda line: replace(line, note=message)), activity=message)


def _call_tools(view: JobView, event: Event) -> JobView:
    calls = event.payload.get("toolCalls")
    names: list[str] = []
    if isinstance(calls, list | tuple):
        names = [str(call.get("toolName", "")) for call in calls if isinstance(call, Mapping)]
    usage = event.payload.get("usage")
    total = usage.get("totalTokens", 0) if isinstance(usage, Mapping) else 0
    return replace(
        view,
        steps=view.steps + 1,
        tokens=view.tokens + (int(total) if isinstance(total, int | float) else 0),
        activity=f"{event.expert_key}: {', '.join(names)}",
    )


def _candidate(view: JobView, event: Event) -> JobView:
    files = event.payload.get("files")
    count = len(files) if isinstance(files, list | tuple) else 0
    note = (
        f"{count} file{'s' if count != 1 else ''}, "
        f"+{int(_number(event.payload, 'insertions'))} −{int(_number(event.payload, 'deletions'))}"
    )
    return _on_running(view, lambda line: replace(line, note=note), "build")


def _verdict(view: JobView, event: Event) -> JobView:
    report = event.payload.get("report")
    note = str(report.get("verdict", "")) if isinstance(report, Mapping) else ""
    return _on_running(view, lambda line: replace(line, note=note), "verify")


_HANDLERS = {
    "startJob": _start_job,
    "startStage": _start_stage,
    "finishStage": _finish_stage,
    "startSignal": _start_signal,
    "finishSignal": _finish_signal,
    "progress": _progress,
    "callTools": _call_tools,
    "computeCandidate": _candidate,
    "decideVerdict": _verdict,
}


def _on_running(view: JobView, change: Callable[[StageLine], StageLine], stage: str = "") -> JobView:
    """Change the latest running line, of this stage if one is named; nothing runs: nothing changes."""
    lines = list(view.lines)
    for index in range(len(lines) - 1, -1, -1):
        if (not stage or lines[index].stage == stage) and lines[index].state is StageState.RUNNING:
            lines[index] = change(lines[index])
            break
    return replace(view, lines=tuple(lines))


def _text(payload: Mapping[str, Json], key: str) -> str:
    value = payload.get(key, "")
    return value if isinstance(value, str) else str(value)


def _number(payload: Mapping[str, Json], key: str) -> float:
    value = payload.get(key, 0)
    return float(value) if isinstance(value, int | float) else 0.0
