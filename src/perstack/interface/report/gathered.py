"""What a report shows of a job, gathered from its events. Pure; whatever a log holds becomes data, never an error."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from perstack.core.events import Event
from perstack.core.json import Json, JsonObject, compact
from perstack.core.usage import ModelUsage, Usage
from perstack.core.verdict import ReasonCode
from perstack.interface.history.reading import object_of, objects_of, text_of, usage_of
from perstack.interface.history.runs import Run, runs_of
from perstack.interface.render.remedies import REMEDY
from perstack.interface.render.sentences import WHY
from perstack.interface.report.patch import FileDiff, files_of

_SHORT = 160


@dataclass(frozen=True, slots=True)
class Why:
    """One reason of the verdict, with its sentence and what to do; both empty for a code of another version."""

    code: str
    signal: str
    detail: str
    sentence: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class SignalRow:
    """One signal: what it said on the base and in each round (`pass`, `fail`, …; empty where it was not asked)."""

    name: str
    kind: str
    priority: str
    base: str
    rounds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TestRow:
    """One test that is worth a line. `mark` says what happened to it: fixed, red, broken, vanished, …"""

    id: str
    mark: str
    signal: str
    message: str = ""
    place: str = ""


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
class PictureRow:
    """One picture of a finding: `path` is where evidence keeps it."""

    signal: str
    name: str
    path: str


@dataclass(frozen=True, slots=True)
class Gathered:
    """Everything a report shows. `verdict` and `outcome` are empty for a job that never got so far."""

    job: str
    kind: str
    verdict: str = ""
    outcome: str = ""
    base: str = ""
    candidate: str = ""
    started_ms: int = 0
    ended_ms: int = 0
    reasons: tuple[Why, ...] = ()
    signals: tuple[SignalRow, ...] = ()
    tests: tuple[TestRow, ...] = ()
    passed: int = 0
    remarks: tuple[str, ...] = ()
    soft: tuple[str, ...] = ()
    plan: str = ""
    files: tuple[FileDiff, ...] = ()
    patch: str = ""
    pictures: tuple[PictureRow, ...] = ()
    bars: tuple[Bar, ...] = ()
    usage: Usage = field(default_factory=Usage)
    steps: int = 0
    models: tuple[str, ...] = ()
    by_model: tuple[ModelUsage, ...] = ()  # as far as the log says it
    problem: str = ""
    report: Mapping[str, Json] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        return max(0, self.ended_ms - self.started_ms) / 1000


def gather(
    job_id: str, events: Sequence[Event], *, is_over: bool = True, problem: str = "", patch: str = ""
) -> Gathered:
    """The report's data. `problem` says what is wrong with the log, where anything is.

    `patch` is the change where the log does not hold it.
    """
    reports = [object_of(e.payload.get("report")) for e in events if e.type == "decideVerdict"]
    last = reports[-1] if reports else {}
    started = events[0].timestamp if events else 0
    runs = runs_of(events, is_over=is_over)
    finish = _last(events, "finishJob")
    patch = text_of(_last(events, "computeCandidate").get("patch")) or patch
    usage = usage_of(finish["usage"]) if "usage" in finish else _total(runs.roots)
    diagnostics = [d for s in objects_of(last.get("signals")) for d in objects_of(s.get("diagnostics"))]
    return Gathered(
        job=job_id,
        kind=text_of(_last(events, "startJob").get("kind")) or "run",
        verdict=text_of(finish.get("verdict")) or text_of(last.get("verdict")),
        outcome=text_of(finish.get("outcome")) or (runs.roots[-1].status if runs.roots else ""),
        base=text_of(last.get("base")),
        candidate=text_of(last.get("candidate")),
        started_ms=started,
        ended_ms=max((e.timestamp for e in events), default=started),
        reasons=tuple(_why(row) for row in objects_of(last.get("reasons"))),
        signals=_signals(events, reports),
        tests=tuple(row for signal in objects_of(last.get("signals")) for row in _tests(signal)),
        passed=sum(_number(object_of(s.get("tests")).get("pass_to_pass")) for s in objects_of(last.get("signals"))),
        remarks=tuple(text_of(line) for line in _list(last.get("remarks"))),
        soft=tuple(text_of(e.payload.get("text")) for e in events if e.type == "remark"),
        plan=_plan(events),
        files=files_of(patch, objects_of(last.get("necessity")), diagnostics),
        patch=patch,
        pictures=tuple(_pictures(objects_of(last.get("signals")))),
        bars=tuple(_bars(events, runs.roots, started)),
        usage=usage,
        steps=max((e.step_number for e in events), default=0),
        models=tuple(dict.fromkeys(m for e in events if (m := text_of(e.payload.get("model"))))),
        by_model=_by_model(_last(events, "reportUsage")),
        problem=problem,
        report=last,
    )


def _why(row: JsonObject) -> Why:
    code = text_of(row.get("code"))
    known = next((one for one in ReasonCode if one.value == code), None)
    signal, detail = text_of(row.get("signal")), text_of(row.get("detail"))
    return Why(code, signal, detail, WHY[known], REMEDY.get(known, "")) if known else Why(code, signal, detail)


def _signals(events: Sequence[Event], reports: Sequence[JsonObject]) -> tuple[SignalRow, ...]:
    """Signals by the order of their names' first appearance, one column a verdict."""
    measured = object_of(_last(events, "measureBaseline").get("signals"))
    base = {name: _worst(_list(statuses)) for name, statuses in measured.items()}
    columns = [{text_of(s.get("name")): s for s in objects_of(report.get("signals"))} for report in reports]
    names = dict.fromkeys([*base, *(name for column in columns for name in column)])
    found = []
    for name in names:
        known: JsonObject = next((column[name] for column in reversed(columns) if name in column), {})
        statuses = tuple(text_of(object_of(column.get(name)).get("status")) for column in columns)
        before = text_of(known.get("baseline")) or base.get(name, "")
        found.append(SignalRow(name, text_of(known.get("kind")), text_of(known.get("priority")), before, statuses))
    return tuple(found)


def _worst(statuses: Sequence[Json]) -> str:
    order = ("pass", "flaky", "fail", "error")
    known = [text_of(one) for one in statuses if text_of(one) in order]
    return max(known, key=order.index) if known else ""


_GROUPS = (
    ("fail_to_pass", "fixed"), ("still_failing", "red"), ("broken", "broken"), ("vanished", "vanished"),
    ("skipped", "skipped"), ("flaky", "flaky"), ("added", "added"),
)  # fmt: skip


def _tests(signal: JsonObject) -> Iterable[TestRow]:
    name, tests = text_of(signal.get("name")), object_of(signal.get("tests"))
    failures = {text_of(row.get("id")): row for row in objects_of(signal.get("failures"))}
    for group, mark in _GROUPS:
        for identity in map(text_of, _list(tests.get(group))):
            row = failures.get(identity, {})
            line = _number(row.get("line"))
            place = f"{text_of(row.get('path'))}:{line}" if line else text_of(row.get("path"))
            yield TestRow(identity, mark, name, text_of(row.get("message")), place)


def _pictures(signals: Iterable[JsonObject]) -> Iterable[PictureRow]:
    for signal in signals:
        for picture in _list(signal.get("pictures")):
            row = object_of(picture)
            path = text_of(row.get("path")) or text_of(picture)
            yield PictureRow(text_of(signal.get("name")), text_of(row.get("name")) or path, path)


def _plan(events: Sequence[Event]) -> str:
    """The last words of the expert that planned."""
    planned = [e for e in events if e.type == "completeRun" and e.expert_key.endswith("/plan")]
    return text_of(planned[-1].payload.get("text")) if planned else ""


def _bars(events: Sequence[Event], roots: Sequence[Run], started: int) -> Iterable[Bar]:
    """Stages first, with the runs of experts and their tools below the time they took."""
    bars = [*_stages(events, started)]
    for root in roots:
        bars += _run_bars(root, started, 1)
    bars += _tools(events, started)
    return sorted(bars, key=lambda bar: (bar.start, bar.depth))


def _stages(events: Sequence[Event], started: int) -> Iterable[Bar]:
    opened: dict[tuple[str, int], int] = {}
    for event in events:
        key = (text_of(event.payload.get("stage")), _number(event.payload.get("round")))
        if event.type == "startStage":
            opened[key] = event.timestamp - started
        elif event.type == "finishStage":
            number = f" {key[1]}" if key[1] else ""
            start = opened.pop(key, event.timestamp - started)
            ok = event.payload.get("ok") is not False
            yield Bar("stage", f"{key[0]}{number}", start, event.timestamp - started, ok)
    end = (events[-1].timestamp - started) if events else 0
    for (stage, round_number), start in opened.items():
        yield Bar("stage", f"{stage}{f' {round_number}' if round_number else ''}", start, end, False, "never ended")


def _run_bars(run: Run, started: int, depth: int) -> Iterable[Bar]:
    tokens = f", {run.usage.total_tokens:,} tokens" if run.usage.total_tokens else ""
    note = f"steps {run.first_step}–{run.last_step}{tokens}, {run.status}"
    ok = run.status in {"completed", "running"}
    yield Bar("expert", run.expert, run.started_ms - started, run.ended_ms - started, ok, note, depth)
    for child in run.children:
        yield from _run_bars(child, started, depth + 1)


def _tools(events: Sequence[Event], started: int) -> Iterable[Bar]:
    """Each call from the reply that asked for it to the event that has its result."""
    asked: dict[tuple[str, str], tuple[int, str, str]] = {}
    for event in events:
        for call in objects_of(event.payload.get("toolCalls")) if event.type.startswith("call") else ():
            words = compact(dict(object_of(call.get("args"))))
            shown = words if len(words) <= _SHORT else words[: _SHORT - 1] + "…"
            key = (event.run_id, text_of(call.get("id")))
            asked[key] = (event.timestamp - started, text_of(call.get("toolName")), shown)
        for result in objects_of(event.payload.get("toolResults")):
            start, name, shown = asked.pop(
                (event.run_id, text_of(result.get("id"))), (event.timestamp - started, "", "")
            )
            if name:
                ok = result.get("isError") is not True
                yield Bar("tool", name, start, event.timestamp - started, ok, shown, 2)


def _by_model(told: JsonObject) -> tuple[ModelUsage, ...]:
    return tuple(
        ModelUsage(
            text_of(row.get("model")),
            usage_of(row.get("usage")),
            float(cost) if isinstance(cost := row.get("costUsd"), int | float) else None,
            _number(row.get("replies")),
            _number(row.get("repairs")),
        )
        for row in objects_of(told.get("models"))
    )


def _total(runs: Iterable[Run]) -> Usage:
    total = Usage()
    for run in runs:
        total += run.usage
    return total


def _last(events: Sequence[Event], kind: str) -> JsonObject:
    return next((e.payload for e in reversed(events) if e.type == kind), {})


def _list(value: Json | None) -> Sequence[Json]:
    return value if isinstance(value, list | tuple) else ()


def _number(value: Json | None) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
