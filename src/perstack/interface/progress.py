"""A job as people follow it: folded from events, rendered by the comment, the check run and the terminal. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from perstack.core.events import Event
from perstack.core.json import Json

STAGES = ("prepare", "baseline", "plan", "build", "verify", "publish")


class StageState(StrEnum):
    """Where a stage stands."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class StageLine:
    """One stage of one round (round 0: outside the rounds)."""

    stage: str
    round: int
    state: StageState
    seconds: float = 0.0
    note: str = ""


@dataclass(frozen=True, slots=True)
class JobView:
    """Everything the live views show."""

    lines: tuple[StageLine, ...] = ()
    steps: int = 0
    tokens: int = 0
    activity: str = ""

    def apply(self, event: Event) -> JobView:
        """The view after one more event."""
        handler = _HANDLERS.get(event.type)
        return handler(self, event) if handler else self


def _start_stage(view: JobView, event: Event) -> JobView:
    line = StageLine(_text(event.payload, "stage"), int(_number(event.payload, "round")), StageState.RUNNING)
    return replace(view, lines=(*view.lines, line), activity="")


def _finish_stage(view: JobView, event: Event) -> JobView:
    state = StageState.DONE if event.payload.get("ok") else StageState.FAILED
    return _on_running(
        view,
        lambda line: replace(line, state=state, seconds=_number(event.payload, "seconds")),
        _text(event.payload, "stage"),
    )


def _finish_signal(view: JobView, event: Event) -> JobView:
    text = f"{_text(event.payload, 'name')} on {_text(event.payload, 'tree')}: {_text(event.payload, 'status')}"
    return replace(view, activity=text)


def _progress(view: JobView, event: Event) -> JobView:
    return replace(view, activity=_text(event.payload, "message"))


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
    "startStage": _start_stage,
    "finishStage": _finish_stage,
    "finishSignal": _finish_signal,
    "progress": _progress,
    "callTools": _call_tools,
    "computeCandidate": _candidate,
    "decideVerdict": _verdict,
}


def _on_running(view: JobView, change: Callable[[StageLine], StageLine], stage: str) -> JobView:
    lines = list(view.lines)
    for index in range(len(lines) - 1, -1, -1):
        if lines[index].stage == stage and lines[index].state is StageState.RUNNING:
            lines[index] = change(lines[index])
            break
    return replace(view, lines=tuple(lines))


def _text(payload: Mapping[str, Json], key: str) -> str:
    value = payload.get(key, "")
    return value if isinstance(value, str) else str(value)


def _number(payload: Mapping[str, Json], key: str) -> float:
    value = payload.get(key, 0)
    return float(value) if isinstance(value, int | float) else 0.0
