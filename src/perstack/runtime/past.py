"""What the tools of a job did, read from its events: for what has to be built again when the job goes on. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from perstack.core.events import Event
from perstack.core.json import Json
from perstack.core.messages import ExpertMessage, ToolCall, ToolMessage, ToolResult
from perstack.runtime.wire import message_from, object_of, objects_of, results_from

_RESULTS = ("toolResults", "partialToolResults")


def recorded_calls(events: Iterable[Event], *, until: str = "") -> Iterator[tuple[str, ToolCall, ToolResult]]:
    """Every call that has a result, with the key of the expert that made it, in the order of the results.

    `until` is the checkpoint after which nothing counts any more (a branch starts there); empty for all.
    """
    calls: dict[tuple[str, str], ToolCall] = {}
    for event in events:
        if event.type == "callTools":
            message = message_from(object_of(event.payload.get("newMessage")), {})
            made = message.tool_calls if isinstance(message, ExpertMessage) else ()
            calls.update(((event.run_id, call.id), call) for call in made)
        elif event.expert_key:
            for result in _results(event):
                call = calls.pop((event.run_id, result.id), None)
                if call is not None:
                    yield event.expert_key, call, result
        if until and until in _checkpoints(event):
            return


def _results(event: Event) -> Iterator[ToolResult]:
    """The results that an event holds itself; those it only refers to were told before."""
    for name in _RESULTS:
        yield from results_from(_whole(event.payload.get(name), "result"), {})
    for message in objects_of(event.payload.get("newMessages")):
        if message.get("type") == "toolMessage":
            parts = _whole(message.get("contents"), "contents")
            found = message_from({**message, "contents": parts}, {})
            yield from found.results if isinstance(found, ToolMessage) else ()


def _whole(items: Json, key: str) -> list[Json]:
    return [item for item in objects_of(items) if key in item]


def _checkpoints(event: Event) -> set[Json]:
    return {object_of(event.payload.get(name)).get("id") for name in ("checkpoint", "nextCheckpoint")}
