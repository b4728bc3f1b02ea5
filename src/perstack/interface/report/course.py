"""How a job went on: bars of the time line, and the tree of experts with what each of them used. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from perstack.core.events import Event
from perstack.core.json import Json, JsonObject, compact
from perstack.core.usage import Usage
from perstack.interface.history.reading import object_of, objects_of, text_of
from perstack.interface.history.runs import RUNNING, Run, Runs

_SHORT = 160
_GOOD = frozenset({"completed", RUNNING})
_WAITING = frozenset({"stoppedByInteractiveTool", "stoppedByDelegate"})


@dataclass(frozen=True, slots=True)
class Bar:
    """One thing on the time line. Times in milliseconds from the start of the job. `depth` is its place in the tree."""

    kind: str
    label: str
    start: int
    end: int
    ok: bool = True
    note: str = ""
    depth: int = 0


@dataclass(frozen=True, slots=True)
class ExpertRow:
    """One run of an expert. `usage` covers its delegates; `task` is what it was asked, `answer` what it said."""

    label: str
    status: str
    depth: int = 0
    steps: int = 0
    seconds: float = 0.0
    usage: Usage = field(default_factory=Usage)
    model: str = ""
    task: str = ""
    answer: str = ""
    error: str = ""
    caller: str = ""

    @property
    def tone(self) -> str:
        """The colour of its end, as a status has it."""
        return "pass" if self.status in _GOOD else "inconclusive" if self.status in _WAITING else "fail"


def experts_of(events: Sequence[Event], runs: Runs) -> tuple[ExpertRow, ...]:
    """Every run below the one that asked for it, in the order of their start."""
    labels = _labels(runs)
    started = {e.run_id: e.payload for e in events if e.type == "initializeRuntime"}
    ended = {e.run_id: e.payload for e in events if e.type in {"completeRun", "stopRunByError"}}
    return tuple(_row(run, depth, labels, started, ended) for run, depth in _tree(runs.roots))


def _tree(roots: Iterable[Run]) -> Iterable[tuple[Run, int]]:
    """Depth first, without recursion: a log may claim any nesting."""
    waiting = [(run, 0) for run in reversed([*roots])]
    while waiting:
        run, depth = waiting.pop()
        yield run, depth
        waiting += [(child, depth + 1) for child in reversed(run.children)]


def _labels(runs: Runs) -> dict[str, str]:
    """Names of runs by id: the expert, and its number where it ran more than once."""
    often = Counter(run.expert for run in runs.all)
    return {run.id: run.expert if often[run.expert] == 1 else f"{run.expert} #{run.number}" for run in runs.all}


def _row(
    run: Run, depth: int, labels: Mapping[str, str], started: Mapping[str, JsonObject], ended: Mapping[str, JsonObject]
) -> ExpertRow:
    first, last = started.get(run.segments[0], {}), ended.get(run.segments[-1], {})
    return ExpertRow(
        label=labels[run.id],
        status=run.status,
        depth=depth,
        steps=run.last_step - run.first_step + 1 if run.last_step else 0,
        seconds=max(0, run.ended_ms - run.started_ms) / 1000,
        usage=run.usage,
        model=text_of(first.get("model")),
        task=text_of(first.get("query")),
        answer=text_of(last.get("text")),
        error=text_of(object_of(last.get("error")).get("message")),
        caller=labels[run.parent.id] if run.parent else "",
    )


def bars_of(events: Sequence[Event], runs: Runs, started: int) -> tuple[Bar, ...]:
    """Stages; below each the signals and experts that began in it; below an expert its tools and delegates."""
    stages = sorted(_stages(events, started), key=lambda bar: (bar.start, bar.end))
    tools = _tools(events, runs, started)
    below = [([bar], bar.start) for bar in _signals(events, started)]
    labels = _labels(runs)
    below += [([*_run_bars(root, labels, tools, started)], root.started_ms - started) for root in runs.roots]
    below.sort(key=lambda one: one[1])
    found: list[Bar] = []
    for stage in stages:
        found.append(stage)
        inside = [one for one in below if stage.start <= one[1] <= stage.end]
        below = [one for one in below if not stage.start <= one[1] <= stage.end]
        found += [bar for one, _ in inside for bar in one]
    return (*found, *(bar for one, _ in below for bar in one))


def _stages(events: Sequence[Event], started: int) -> Iterable[Bar]:
    opened: dict[tuple[str, int], int] = {}
    for event in events:
        key = (text_of(event.payload.get("stage")), _number(event.payload.get("round")))
        if event.type == "startStage":
            opened[key] = event.timestamp - started
        elif event.type == "finishStage":
            start = opened.pop(key, event.timestamp - started)
            ok = event.payload.get("ok") is not False
            yield Bar("stage", _named(key), start, event.timestamp - started, ok, "" if ok else "did not end well")
    end = (events[-1].timestamp - started) if events else 0
    for key, start in opened.items():
        yield Bar("stage", _named(key), start, end, False, "never ended")


def _named(stage: tuple[str, int]) -> str:
    return f"{stage[0]}, round {stage[1]}" if stage[1] else stage[0]


def _signals(events: Sequence[Event], started: int) -> Iterable[Bar]:
    """Each run of a signal. A red one is a result like any other: only one that could not run is not well."""
    opened: dict[tuple[str, str, int], int] = {}
    for event in events:
        told = event.payload
        key = (text_of(told.get("name")), text_of(told.get("tree")), _number(told.get("run")))
        if event.type == "startSignal":
            opened[key] = event.timestamp - started
        elif event.type == "finishSignal" and key in opened:
            status = text_of(told.get("status"))
            label, note = f"{key[0]} on {key[1] or 'a tree'}", f"run {key[2]}: {status}"
            yield Bar("signal", label, opened.pop(key), event.timestamp - started, status != "error", note, 1)


def _run_bars(root: Run, labels: Mapping[str, str], tools: Mapping[str, Sequence[Bar]], started: int) -> Iterable[Bar]:
    for run, nested in _tree([root]):
        tokens = f"{run.usage.total_tokens:,} tokens, " if run.usage.total_tokens else ""
        note, ok, depth = f"{tokens}{run.status}", run.status in _GOOD | _WAITING, nested + 1
        yield Bar("expert", labels[run.id], run.started_ms - started, run.ended_ms - started, ok, note, depth)
        for tool in tools.get(run.id, ()):
            yield Bar(tool.kind, tool.label, tool.start, tool.end, tool.ok, tool.note, depth + 1)


def _tools(events: Sequence[Event], runs: Runs, started: int) -> dict[str, list[Bar]]:
    """By run: each call from the reply that asked for it to the event that has its result. Delegates are runs."""
    asked: dict[tuple[str, str], tuple[int, str, str]] = {}
    found: dict[str, list[Bar]] = {}
    for event in events:
        at = event.timestamp - started
        owner = runs.of[event.run_id].id if event.run_id in runs.of else event.run_id
        for call in objects_of(event.payload.get("toolCalls")) if event.type.startswith("call") else ():
            words = compact(dict(object_of(call.get("args"))))
            shown = words if len(words) <= _SHORT else words[: _SHORT - 1] + "…"
            key = (owner, text_of(call.get("id")))
            asked[key] = (at, "" if event.type == "callDelegate" else text_of(call.get("toolName")), shown)
        for result in objects_of(event.payload.get("toolResults")):
            start, name, shown = asked.pop((owner, text_of(result.get("id"))), (at, "", ""))
            if name:
                ok = result.get("isError") is not True
                found.setdefault(owner, []).append(Bar("tool", name, start, at, ok, shown))
    return found


def _number(value: Json | None) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
