"""What a report shows of a job, gathered from its events. Pure; whatever a log holds becomes data, never an error."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from perstack.core.events import Event
from perstack.core.json import Json, JsonObject
from perstack.core.usage import ExpertUsage, ModelUsage, Usage
from perstack.core.verdict import ReasonCode
from perstack.interface.history.reading import object_of, objects_of, text_of, usage_of
from perstack.interface.history.runs import Run, runs_of
from perstack.interface.render.remedies import REMEDY
from perstack.interface.render.sentences import WHY
from perstack.interface.report.course import Bar, ExpertRow, bars_of, experts_of
from perstack.interface.report.findings import Finding, findings_of
from perstack.interface.report.patch import FileDiff, files_of


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
class RoundRow:
    """One verdict of the job: its word and the codes of its reasons, each once."""

    verdict: str
    codes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PictureRow:
    """One picture of a finding: `path` is where evidence keeps it, `name` tells it from the signal's others."""

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
    rounds: tuple[RoundRow, ...] = ()
    tests: tuple[TestRow, ...] = ()
    passed: int = 0
    remarks: tuple[str, ...] = ()
    soft: tuple[str, ...] = ()
    plan: str = ""
    files: tuple[FileDiff, ...] = ()
    patch: str = ""
    pictures: tuple[PictureRow, ...] = ()
    elsewhere: tuple[Finding, ...] = ()  # findings at places that the shown change does not hold
    bars: tuple[Bar, ...] = ()
    experts: tuple[ExpertRow, ...] = ()
    sandbox: str = ""
    usage: Usage = field(default_factory=Usage)
    steps: int = 0
    models: tuple[str, ...] = ()
    by_model: tuple[ModelUsage, ...] = ()  # as far as the log says it
    by_expert: tuple[ExpertUsage, ...] = ()  # the same; an expert's delegates not counted
    problem: str = ""
    error: str = ""  # what ended the job before it could tell
    report: Mapping[str, Json] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        return max(0, self.ended_ms - self.started_ms) / 1000


def gather(
    job_id: str, events: Sequence[Event], *, is_over: bool = True, problem: str = "", error: str = "", patch: str = ""
) -> Gathered:
    """The report's data. `problem` says what is wrong with the log, `error` what ended the job, where anything did.

    `patch` is the change where the log does not hold it.
    """
    reports = [object_of(e.payload.get("report")) for e in events if e.type == "decideVerdict"]
    last = reports[-1] if reports else {}
    started = events[0].timestamp if events else 0
    runs = runs_of(events, is_over=is_over)
    finish = _last(events, "finishJob")
    patch = text_of(_last(events, "computeCandidate").get("patch")) or patch
    usage = usage_of(finish["usage"]) if "usage" in finish else _total(runs.roots)
    findings = findings_of(last)
    files = files_of(patch, objects_of(last.get("necessity")), findings)
    shown = {(file.path, line.new) for file in files for hunk in file.hunks for line in hunk.lines if line.new}
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
        rounds=tuple(_round(report) for report in reports),
        tests=tuple(row for signal in objects_of(last.get("signals")) for row in _tests(signal)),
        passed=sum(_number(object_of(s.get("tests")).get("pass_to_pass")) for s in objects_of(last.get("signals"))),
        remarks=tuple(text_of(line) for line in _list(last.get("remarks"))),
        soft=tuple(text_of(e.payload.get("text")) for e in events if e.type == "remark"),
        plan=_plan(events),
        files=files,
        patch=patch,
        pictures=tuple(_pictures(objects_of(last.get("signals")))),
        elsewhere=tuple(one for one in findings if (one.path, one.line) not in shown),
        bars=bars_of(events, runs, started),
        experts=experts_of(events, runs),
        sandbox=text_of(_last(events, "useSandbox").get("backEnd")),
        usage=usage,
        steps=max((e.step_number for e in events), default=0),
        models=tuple(dict.fromkeys(m for e in events if (m := text_of(e.payload.get("model"))))),
        by_model=_by_model(_last(events, "reportUsage")),
        by_expert=_by_expert(_last(events, "reportUsage")),
        problem=problem,
        error=error,
        report=last,
    )


def _why(row: JsonObject) -> Why:
    code = text_of(row.get("code"))
    known = next((one for one in ReasonCode if one.value == code), None)
    signal, detail = text_of(row.get("signal")), text_of(row.get("detail"))
    return Why(code, signal, detail, WHY[known], REMEDY.get(known, "")) if known else Why(code, signal, detail)


def _round(report: JsonObject) -> RoundRow:
    codes = dict.fromkeys(text_of(row.get("code")) for row in objects_of(report.get("reasons")))
    return RoundRow(text_of(report.get("verdict")), tuple(codes))


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
        for number, picture in enumerate(_list(signal.get("pictures")), 1):
            row = object_of(picture)
            path = text_of(row.get("path")) or text_of(picture)
            yield PictureRow(text_of(signal.get("name")), text_of(row.get("name")) or f"picture {number}", path)


def _plan(events: Sequence[Event]) -> str:
    """The last words of the expert that planned, whatever its name is."""
    stage, found = "", ""
    for event in events:
        if event.type in {"startStage", "finishStage"}:
            stage = text_of(event.payload.get("stage")) if event.type == "startStage" else ""
        elif event.type == "completeRun" and stage == "plan":
            found = text_of(event.payload.get("text"))
    return found


def _by_model(told: JsonObject) -> tuple[ModelUsage, ...]:
    return tuple(
        ModelUsage(
            text_of(row.get("model")),
            usage_of(row.get("usage")),
            _cost(row),
            _number(row.get("replies")),
            _number(row.get("repairs")),
        )
        for row in objects_of(told.get("models"))
    )


def _by_expert(told: JsonObject) -> tuple[ExpertUsage, ...]:
    return tuple(
        ExpertUsage(text_of(row.get("expert")), usage_of(row.get("usage")), _cost(row), _number(row.get("replies")))
        for row in objects_of(told.get("experts"))
    )


def _cost(row: JsonObject) -> float | None:
    cost = row.get("costUsd")
    return float(cost) if isinstance(cost, int | float) else None


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
