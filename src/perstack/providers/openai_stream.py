"""Reads the Responses API's event stream into one reply. Does no I/O."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from perstack.core.json import Json
from perstack.core.messages import (
    Delta,
    ModelReply,
    ModelRequest,
    StopReason,
    TextPart,
    ThinkingPart,
    ToolCall,
    Trouble,
)
from perstack.core.usage import Usage
from perstack.providers.failures import Endpoint
from perstack.providers.hosted import kept
from perstack.providers.repairs import FILTERED, UNORDERED, unknown_stop
from perstack.providers.stream import ServerEvent
from perstack.providers.wire import REASONING_MARK, count, items, mapping, read_args, text

_FILTER = "content_filter"
_TERMINAL = frozenset({"response.completed", "response.incomplete", "response.failed"})
_DELTAS = {
    "response.output_text.delta": "text",
    "response.refusal.delta": "text",
    "response.reasoning_summary_text.delta": "thinking",
    "response.reasoning_text.delta": "thinking",
}


class ResponseReader:
    """Shows deltas as they come, and takes the reply from the finished items."""

    def __init__(self, endpoint: Endpoint, request: ModelRequest, on_delta: Callable[[Delta], None]) -> None:
        self._endpoint = endpoint
        self._request = request
        self._on_delta = on_delta
        self._items: dict[int, Mapping[str, Json]] = {}
        self._response: Mapping[str, Json] | None = None

    def feed(self, event: ServerEvent) -> bool:
        """Take one event; True at the response's end."""
        if event.data.startswith("[DONE]"):
            return self._response is not None
        data = event.json()
        kind = text(data.get("type")) or event.name
        if kind in _DELTAS:
            self._on_delta(Delta(_DELTAS[kind], text(data.get("delta"))))
        elif kind == "response.output_item.done":
            index = data.get("output_index")
            self._items[index if isinstance(index, int) else len(self._items)] = mapping(data["item"])
        elif kind in _TERMINAL:
            return self._end(mapping(data["response"]))
        elif kind == "error" or (not kind and "error" in data):
            raise self._endpoint.broken(data, model=self._request.model)
        return False

    def whole(self, body: bytes) -> None:
        """Take a reply that came in one piece."""
        data = json.loads(body)
        if not isinstance(data, dict) or "output" not in data:
            raise ValueError("not a response")
        self._end(data)

    def reply(self) -> ModelReply:
        """The reply.

        Raises: ProviderError when the stream was cut off.
        """
        if self._response is None:
            raise self._endpoint.malformed("the stream ended before the response did")
        finished = [item for _, item in sorted(self._items.items())]
        output = finished or [mapping(item) for item in items(self._response.get("output"))]
        parts = [part for item in output for part in _parts(item)]
        refused = any(_refuses(item) for item in output)
        calls = any(isinstance(part, ToolCall) for part in parts)
        usage = mapping(self._response.get("usage"))
        model, stop = text(self._response.get("model")), self._stop(refused, calls)
        ended: tuple[Trouble, ...] = ()
        if stop is StopReason.UNKNOWN:
            ended = (unknown_stop(self._reason or text(self._response.get("status"))),)
        elif self._reason == _FILTER:
            ended = (FILTERED,)
        troubles = ended if [*self._items] == sorted(self._items) else (*ended, UNORDERED)
        return ModelReply(tuple(parts), stop, _usage(usage), model, troubles=troubles)

    @property
    def _reason(self) -> str:
        """Why the response is not complete, in the server's word."""
        return text(mapping((self._response or {}).get("incomplete_details")).get("reason"))

    def _end(self, response: Mapping[str, Json]) -> bool:
        if response.get("status") == "failed" or response.get("error"):
            raise self._endpoint.broken({"error": response.get("error")}, model=self._request.model)
        self._response = response
        return True

    def _stop(self, refused: bool, calls: bool) -> StopReason:
        response, reason = self._response or {}, self._reason
        if reason == _FILTER or refused:
            return StopReason.REFUSAL
        if response.get("status") == "incomplete" and reason in {"max_output_tokens", "max_tokens", ""}:
            return StopReason.LENGTH
        if response.get("status") not in {"completed", None}:
            return StopReason.UNKNOWN
        return StopReason.TOOL_CALLS if calls else StopReason.END


def _parts(item: Mapping[str, Json]) -> list[ThinkingPart | TextPart | ToolCall]:
    match text(item.get("type")):
        case "message":
            said = "".join(_said(mapping(piece)) for piece in items(item.get("content")))
            return [TextPart(said)] if said else []
        case "function_call":
            args, problem = read_args(text(item.get("arguments")))
            call_id = text(item.get("call_id")) or text(item.get("id"))
            return [ToolCall(call_id, text(item.get("name")), args, problem=problem)]
        case "reasoning":
            summary = [mapping(piece) for piece in (*items(item.get("summary")), *items(item.get("content")))]
            thinking = "\n\n".join(text(piece.get("text")) for piece in summary)
            secret = text(item.get("encrypted_content"))
            return [ThinkingPart(thinking, signature=REASONING_MARK + text(item.get("id")), redacted=secret)]
        case kind if kind.endswith("_call"):
            return [kept("openai", item)]
        case _:
            return []


def _said(piece: Mapping[str, Json]) -> str:
    return text(piece.get("text")) or text(piece.get("refusal"))


def _refuses(item: Mapping[str, Json]) -> bool:
    return any(mapping(piece).get("type") == "refusal" for piece in items(item.get("content")))


def _usage(usage: Mapping[str, Json]) -> Usage:
    return Usage(
        input_tokens=count(usage.get("input_tokens")),
        output_tokens=count(usage.get("output_tokens")),
        reasoning_tokens=count(mapping(usage.get("output_tokens_details")).get("reasoning_tokens")),
        cached_input_tokens=count(mapping(usage.get("input_tokens_details")).get("cached_tokens")),
    )
