"""One event of a log as lines for people. What a model, a tool or a user wrote is shown flat and cut."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo

from rich.text import Text

from perstack.core.events import Event
from perstack.core.json import JsonObject, compact
from perstack.interface.history.reading import (
    CallKey,
    call_key,
    contents_text,
    message_text,
    object_of,
    objects_of,
    text_of,
    usage_of,
)
from perstack.interface.history.runs import Runs
from perstack.interface.render.facts import visible

INDENT = "    "
_STYLE = {
    "completeRun": "green",
    "stopRunByError": "red",
    "retry": "yellow",
    "callDelegate": "magenta",
    "stopRunByDelegate": "magenta",
    "callInteractiveTool": "cyan",
    "stopRunByInteractiveTool": "cyan",
    "stopRunByExceededMaxSteps": "yellow",
    "startRun": "bold",
}
_VERBOSE_LIMIT = 4000


@dataclass(frozen=True, slots=True)
class View:
    """How events are shown. `targets` are the experts behind calls of delegates."""

    runs: Runs = field(default_factory=Runs)
    targets: Mapping[CallKey, str] = field(default_factory=dict)
    verbose: bool = False
    zone: tzinfo | None = None  # None: of this machine
    step_width: int = len("[Step 1]")

    def cut(self, text: str, limit: int) -> str:
        """Untrusted text on one line: of `limit` characters, or much more where all was asked for."""
        return flat(text, _VERBOSE_LIMIT if self.verbose else limit)

    def clock(self, ms: int) -> str:
        """`HH:MM:SS`."""
        return at(ms, self.zone).strftime("%H:%M:%S")


def targets_of(events: Iterable[Event]) -> Mapping[CallKey, str]:
    """Which expert every delegate call goes to; a tool's name alone does not say it."""
    found: dict[CallKey, str] = {}
    for event in events:
        if event.type == "stopRunByDelegate":
            for one in objects_of(object_of(event.payload.get("checkpoint")).get("delegateTo")):
                found[call_key(event, one.get("toolCallId"))] = text_of(object_of(one.get("expert")).get("key"))
        elif event.type == "callDelegate":
            for call in objects_of(event.payload.get("toolCalls")):
                skill = text_of(call.get("skillName"))
                found.setdefault(call_key(event, call.get("id")), skill.removeprefix("delegate/"))
    return found


def event_lines(event: Event, view: View) -> Iterator[Text]:
    """The event's own line, then its details, indented."""
    step = f"[Step {event.step_number}]" if event.step_number else "[Run]" if event.run_id else "[Job]"
    kind = f"{flat(event.type, 60):<24}"
    line = Text.assemble(
        (f"{step:<{view.step_width}} ", "dim"), (kind + " " * (len(event.type) >= 24), _STYLE.get(event.type, ""))
    )
    line.append(view.clock(event.timestamp), style="dim")
    run = view.runs.of.get(event.run_id)
    if run is not None and len(view.runs.all) > 1:
        line.append(f"  {flat(view.runs.label(run), 60)}", style="blue")
    yield line
    for detail in _DETAILS.get(event.type, _anything)(event, view):
        yield Text(INDENT) + detail


def _start_run(event: Event, view: View) -> Iterator[Text]:
    checkpoint = object_of(event.payload.get("initialCheckpoint"))
    status = text_of(checkpoint.get("status"))
    if status not in {"", "init"}:
        yield Text(f"Goes on after: {flat(status, 40)}", style="dim")
    for message in objects_of(event.payload.get("inputMessages")):
        if message.get("type") == "userMessage":
            yield Text(f'Query: "{view.cut(message_text(message), 60)}"')


def _call_tools(event: Event, view: View) -> Iterator[Text]:
    calls = objects_of(event.payload.get("toolCalls"))
    said = contents_text(object_of(event.payload.get("newMessage")).get("contents"), kinds=("textPart",))
    if said and view.verbose:
        yield Text(f"Says: {view.cut(said, 80)}")
    if not view.verbose:
        yield Text(f"Tools: {', '.join(flat(text_of(call.get('toolName')), 60) for call in calls)}")
        return
    for call in calls:
        yield from _call(call, view)
    yield from _tokens(event)


def _call(call: JsonObject, view: View) -> Iterator[Text]:
    skill, tool = flat(text_of(call.get("skillName")), 60), flat(text_of(call.get("toolName")), 60)
    yield Text.assemble((f"[{skill}] ", "dim"), tool)
    yield Text(f"{INDENT}Args: {view.cut(compact(call.get('args') or {}), 200)}", style="dim")


def _results(event: Event, view: View) -> Iterator[Text]:
    for result in objects_of(event.payload.get("toolResults")):
        told = contents_text(result.get("result"))
        failed = result.get("isError") is True or told.lstrip('{" ').lower().startswith("error")
        mark, style = ("✗", "red") if failed else ("✓", "green")
        tool = flat(text_of(result.get("toolName")), 60)
        yield Text.assemble((f"{mark} ", style), f"{tool}: {view.cut(told, 40)}")


def _delegates(event: Event, view: View) -> Iterator[Text]:
    calls = objects_of(event.payload.get("toolCalls"))
    names = [view.targets.get(call_key(event, call.get("id"))) or "?" for call in calls]
    yield Text(f"Delegate to: {', '.join(flat(name, 80) for name in names)}")
    if view.verbose:
        for name, call in zip(names, calls, strict=True):
            yield Text(f"{INDENT}{flat(name, 80)}: {view.cut(text_of(object_of(call.get('args')).get('query')), 200)}")


def _waits(event: Event, view: View) -> Iterator[Text]:
    if view.verbose:
        for one in objects_of(object_of(event.payload.get("checkpoint")).get("delegateTo")):
            yield Text(f"Waits for: {flat(text_of(object_of(one.get('expert')).get('key')), 80)}", style="dim")


def _asks(event: Event, view: View) -> Iterator[Text]:
    call = object_of(event.payload.get("toolCall"))
    yield Text(f"Asks: {flat(text_of(call.get('toolName')), 60)} {view.cut(compact(call.get('args') or {}), 80)}")


def _error(event: Event, view: View) -> Iterator[Text]:
    error = object_of(event.payload.get("error"))
    yield Text(f"Error: {flat(text_of(error.get('name')), 80)}", style="red")
    yield Text(f"Message: {view.cut(text_of(error.get('message')), 300)}")
    yield Text(f"Retryable: {'yes' if error.get('isRetryable') is True else 'no'}", style="dim")


def _complete(event: Event, view: View) -> Iterator[Text]:
    yield Text(f"Result: {view.cut(text_of(event.payload.get('text')), 80)}")
    if view.verbose:
        yield from _tokens(event)


def _retry(event: Event, view: View) -> Iterator[Text]:
    reason = text_of(event.payload.get("reason"))
    with contextlib.suppress(ValueError):
        told = object_of(json.loads(reason))
        reason = ": ".join(filter(None, (text_of(told.get("error")), text_of(told.get("message"))))) or reason
    yield Text(f"Reason: {view.cut(reason, 200)}")


def _stage(event: Event, view: View) -> Iterator[Text]:
    data = event.payload
    number = f" (round {flat(str(data['round']), 9)})" if data.get("round") else ""
    line = Text(f"Stage: {view.cut(text_of(data.get('stage')), 40)}{number}")
    if event.type == "finishStage":
        mark = ("✓", "green") if data.get("ok") is True else ("✗", "red")
        line = Text.assemble(line, " ", mark, (f" {flat(str(data.get('seconds', 0)), 12)} s", "dim"))
    yield line


def _signal(event: Event, view: View) -> Iterator[Text]:
    data = event.payload
    name, tree, status = (view.cut(text_of(data.get(key)), 60) for key in ("name", "tree", "status"))
    line = Text.assemble(f"Signal: {name} on {tree}, run {flat(str(data.get('run', 1)), 9)}")
    if status:
        line.append(f": {status}", style={"pass": "green", "fail": "red"}.get(status, "yellow"))
        line.append(f" {flat(str(data.get('seconds', 0)), 12)} s", style="dim")
    yield line


def _candidate(event: Event, view: View) -> Iterator[Text]:
    data = event.payload
    names = data.get("files")
    files = ", ".join(view.cut(str(name), 80) for name in names) if isinstance(names, list | tuple) else ""
    size = (flat(str(data.get(key, 0)), 9) for key in ("insertions", "deletions"))
    yield Text(f"Change: +{next(size)} −{next(size)} {files}".rstrip())


def _verdict(event: Event, _view: View) -> Iterator[Text]:
    yield Text(f"Verdict: {flat(text_of(object_of(event.payload.get('report')).get('verdict')), 40)}")


def _tokens(event: Event) -> Iterator[Text]:
    usage = usage_of(event.payload.get("usage"))
    if usage.total_tokens:
        yield Text(f"Tokens: in {usage.input_tokens:,}, out {usage.output_tokens:,}", style="dim")


def _repair(event: Event, view: View) -> Iterator[Text]:
    yield Text(f"Reply: {view.cut(text_of(event.payload.get('message')), 200)}", style="yellow")


def _usage(event: Event, view: View) -> Iterator[Text]:
    """A line for each model, then one for each expert where there are several, then what was wrong."""
    for row in objects_of(event.payload.get("models")):
        usage, cost, repairs = usage_of(row.get("usage")), row.get("costUsd"), row.get("repairs")
        cached = f" ({usage.cached_share:.0%} from cache)" if usage.cached_input_tokens else ""
        words = [
            f"{usage.input_tokens:,} in{cached}, {usage.output_tokens:,} out",
            f"${cost:,.4f}" if isinstance(cost, int | float) else "price not known",
        ]
        if isinstance(repairs, int) and repairs:
            words.append(f"{repairs:,} repaired")
        yield Text(f"{view.cut(text_of(row.get('model')), 80)}: {', '.join(words)}", style="dim")
    experts = objects_of(event.payload.get("experts"))
    for row in experts if len(experts) > 1 else ():
        usage, cost = usage_of(row.get("usage")), row.get("costUsd")
        paid = f", ${cost:,.4f}" if isinstance(cost, int | float) else ""
        line = f"{usage.input_tokens:,} in, {usage.output_tokens:,} out{paid}"
        yield Text(f"expert {view.cut(text_of(row.get('expert')), 80)}: {line}", style="dim")
    if troubles := object_of(event.payload.get("troubles")):
        told = ", ".join(f"{flat(str(count), 9)} × {flat(kind, 40)}" for kind, count in troubles.items())
        yield Text(f"Wrong, and no end: {told}", style="yellow")


def _nothing(_event: Event, _view: View) -> Iterator[Text]:
    return iter(())


def _anything(event: Event, view: View) -> Iterator[Text]:
    """The plain values of an event that has no words of its own: stages, signals, skills, the proxy."""
    pairs = [
        f"{flat(key, 60)}: {view.cut(_plain(value), 120)}"
        for key, value in event.payload.items()
        if isinstance(value, str | int | float) and value != ""
    ]
    if pairs:
        yield Text(", ".join(pairs), style="dim")


_DETAILS: Mapping[str, Callable[[Event, View], Iterator[Text]]] = {
    "startRun": _start_run,
    "callTools": _call_tools,
    "resolveToolResults": _results,
    "callDelegate": _delegates,
    "stopRunByDelegate": _waits,
    "callInteractiveTool": _asks,
    "stopRunByError": _error,
    "completeRun": _complete,
    "retry": _retry,
    "startStage": _stage,
    "finishStage": _stage,
    "startSignal": _signal,
    "finishSignal": _signal,
    "computeCandidate": _candidate,
    "decideVerdict": _verdict,
    "startGeneration": _nothing,
    "repairReply": _repair,
    "reportUsage": _usage,
}


def flat(text: str, limit: int) -> str:
    """Untrusted text on one line of at most `limit` characters, without control characters."""
    shown = visible(" ".join(text[: 8 * limit].split()))
    return shown if len(shown) <= limit else f"{shown[: limit - 1]}…"


def at(ms: int, zone: tzinfo | None) -> datetime:
    """A moment in a time zone; None is that of this machine."""
    return datetime.fromtimestamp(ms / 1000, UTC).astimezone(zone)


def _plain(value: str | float) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else f"{value:,}"
