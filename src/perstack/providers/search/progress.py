"""Where a search stands, read from the messages alone, so that a resumed run goes on. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from perstack.core.json import Json, JsonObject
from perstack.core.messages import ExpertMessage, Message, ToolCall, ToolMessage, ToolResult

MARK = "PERSTACK-SEARCH "


class Stage(StrEnum):
    """What the last answered call leaves to do."""

    START = "start"
    UNDO = "undo"
    SEARCH = "search"
    CONFIRM = "confirm"
    REVERT = "revert"
    FIXED = "fixed"
    STUCK = "stuck"


@dataclass(frozen=True, slots=True)
class Progress:
    """A build run so far. `queue` holds edits that passed the worker's runs, best first; `applied` is on disk."""

    stage: Stage = Stage.START
    home: str = ""
    located: JsonObject | None = None
    undo: tuple[JsonObject, ...] = ()
    queue: tuple[JsonObject, ...] = ()
    applied: JsonObject | None = None
    cursor: int = 0
    total: int = 0
    exhausted: bool = False
    seconds: float = 0.0
    tries: int = 0
    refused: int = 0
    failures: int = 0
    problem: str = ""


def exchanges(messages: Sequence[Message]) -> Iterator[tuple[ToolCall, ToolResult]]:
    """Answered tool calls, in order."""
    calls: dict[str, ToolCall] = {}
    for message in messages:
        if isinstance(message, ExpertMessage):
            calls = {call.id: call for call in message.tool_calls}
        elif isinstance(message, ToolMessage):
            for result in message.results:
                if result.id in calls:
                    yield calls[result.id], result


def read_progress(messages: Sequence[Message]) -> Progress:
    """Fold all answered calls."""
    progress = Progress()
    for call, result in exchanges(messages):
        if call.tool_name == "exec":
            progress = _after_exec(progress, result)
        elif call.tool_name == "editTextFile":
            progress = _after_edit(progress, result)
    return progress


def _after_exec(progress: Progress, result: ToolResult) -> Progress:
    report = worker_report(result)
    if report is None:
        tail = _plain(result)[-600:].strip()
        stage = Stage.STUCK if progress.failures else progress.stage
        return replace(progress, stage=stage, failures=progress.failures + 1, home="", problem=tail)
    seconds = progress.seconds + _float(report, "seconds")
    home = "" if report.get("finished") else str(report.get("home", ""))
    progress = replace(progress, home=home, seconds=seconds, failures=0)
    if "problem" in report:
        return replace(progress, stage=Stage.STUCK, problem=str(report["problem"]))
    if report.get("undo"):
        return replace(progress, stage=Stage.UNDO, undo=_objects(report["undo"]))
    if report.get("command") == "locate":
        stage = Stage.STUCK if report.get("finished") else Stage.SEARCH
        problem = "the failing tests execute no product line that may be edited" if report.get("finished") else ""
        return replace(progress, stage=stage, located=report, problem=problem)
    if report.get("command") == "try":
        return replace(
            progress,
            stage=Stage.SEARCH,
            queue=_objects(report.get("found")),
            cursor=int(_float(report, "cursor")),
            total=int(_float(report, "total")),
            exhausted=bool(report.get("exhausted")),
            tries=progress.tries + 1,
        )
    return replace(progress, stage=Stage.FIXED if report.get("confirmed") else Stage.REVERT)


def _after_edit(progress: Progress, result: ToolResult) -> Progress:
    if progress.stage is Stage.UNDO:
        rest = progress.undo[1:]
        if result.is_error:
            return replace(progress, stage=Stage.STUCK, problem=_plain(result)[:600])
        return replace(progress, undo=rest, stage=Stage.UNDO if rest else Stage.START)
    if progress.stage is Stage.REVERT:
        stage = Stage.STUCK if result.is_error else Stage.SEARCH
        problem = "a refused edit could not be taken back" if result.is_error else ""
        return replace(progress, stage=stage, applied=None, refused=progress.refused + 1, problem=problem)
    first, rest = progress.queue[0], progress.queue[1:]
    if result.is_error:
        return replace(progress, queue=rest, refused=progress.refused + 1)
    return replace(progress, stage=Stage.CONFIRM, queue=rest, applied=first)


def worker_report(result: ToolResult) -> JsonObject | None:
    """The worker's marked line in a result, whatever the tool wrapped around it."""
    for text in (_plain(result), result.text):
        for line in text.splitlines():
            at = line.find(MARK)
            if at >= 0:
                try:
                    report, _ = json.JSONDecoder().raw_decode(line[at + len(MARK) :])
                except json.JSONDecodeError:
                    continue
                if isinstance(report, dict):
                    return report
    return None


def _plain(result: ToolResult) -> str:
    """The output texts of an `exec` result given as JSON, else its text as it is."""
    try:
        value = json.loads(result.text)
    except json.JSONDecodeError:
        return result.text
    if not isinstance(value, dict):
        return result.text
    texts = [value.get(key) for key in ("error", "message", "output", "stdout", "stderr")]
    return "\n".join(t for t in texts if isinstance(t, str))


def _objects(value: Json) -> tuple[JsonObject, ...]:
    return tuple(v for v in value if isinstance(v, Mapping)) if isinstance(value, Sequence) else ()


def _float(report: JsonObject, key: str) -> float:
    value = report.get(key)
    return float(value) if isinstance(value, int | float) else 0.0
