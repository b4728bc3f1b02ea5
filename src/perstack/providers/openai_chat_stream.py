"""Reads a Chat Completions stream into one reply, as leniently as compatible servers need. Does no I/O."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from perstack.core.json import Json, compact
from perstack.core.messages import Delta, ModelReply, ModelRequest, StopReason, TextPart, ThinkingPart, ToolCall
from perstack.core.usage import Usage
from perstack.providers.failures import Endpoint
from perstack.providers.repairs import FILTERED, NO_ID, unknown_stop
from perstack.providers.stream import ServerEvent
from perstack.providers.wire import CALL_MARK, count, items, mapping, read_args, text

_STOP = {
    "stop": StopReason.END,
    "tool_calls": StopReason.TOOL_CALLS,
    "function_call": StopReason.TOOL_CALLS,
    "length": StopReason.LENGTH,
    "content_filter": StopReason.REFUSAL,
}


@dataclass(slots=True)
class _Call:
    slot: int
    id: str = ""
    name: str = ""
    pieces: list[str] = field(default_factory=list)
    extra: Mapping[str, Json] = field(default_factory=dict)


class ChatReader:
    """Collects the first choice. Handles whole calls in one delta, missing ids, indexes and usage."""

    def __init__(self, endpoint: Endpoint, request: ModelRequest, on_delta: Callable[[Delta], None]) -> None:
        self._endpoint = endpoint
        self._request = request
        self._on_delta = on_delta
        self._text: list[str] = []
        self._thinking: list[str] = []
        self._calls: list[_Call] = []
        self._usage: Mapping[str, Json] = {}
        self._model = ""
        self._stop = ""
        self._refused = False
        self._done = False

    def feed(self, event: ServerEvent) -> bool:
        """Take one event; True at `[DONE]`. Usage may follow the stop reason, so that one is not the end."""
        if event.data.startswith("[DONE]"):
            self._done = True
            return True
        self._take(event.json(), "delta")
        return False

    def whole(self, body: bytes) -> None:
        """Take a reply that came in one piece."""
        data = json.loads(body)
        if not isinstance(data, dict) or not ("choices" in data or "error" in data):
            raise ValueError("not a chat completion")
        self._take(data, "message")
        self._done = True

    def reply(self) -> ModelReply:
        """The reply.

        Raises: ProviderError when the stream was cut off.
        """
        if not self._stop and not (self._done and (self._text or self._calls)):
            raise self._endpoint.malformed("the stream ended before the reply did")
        said, thought = "".join(self._text), "".join(self._thinking)
        calls = tuple(self._call(number, call) for number, call in enumerate(self._calls))
        contents: list[ThinkingPart | TextPart | ToolCall] = []
        if thought:
            contents.append(ThinkingPart(thought))
        if said:
            contents.append(TextPart(said))
        for made, raw in zip(calls, self._calls, strict=True):
            if raw.extra:
                contents.append(ThinkingPart("", signature=CALL_MARK + made.id, redacted=compact(dict(raw.extra))))
        stop = _STOP.get(self._stop, StopReason.UNKNOWN if self._stop else StopReason.END)
        if stop is StopReason.END:
            stop = StopReason.TOOL_CALLS if calls else StopReason.REFUSAL if self._refused else StopReason.END
        troubles = [FILTERED] if self._stop == "content_filter" else []
        if self._stop and self._stop not in _STOP:
            troubles.append(unknown_stop(self._stop))
        troubles += [NO_ID for call in self._calls if not call.id]
        return ModelReply((*contents, *calls), stop, self._total(), self._model, troubles=tuple(troubles))

    def _take(self, data: Mapping[str, Json], key: str) -> None:
        if data.get("error"):
            raise self._endpoint.broken(data, model=self._request.model)
        self._model = text(data.get("model")) or self._model
        self._usage = mapping(data.get("usage")) or self._usage
        for choice in items(data.get("choices"))[:1]:
            found = mapping(choice)
            self._stop = text(found.get("finish_reason")) or self._stop
            self._part(mapping(found.get(key)))

    def _part(self, delta: Mapping[str, Json]) -> None:
        thought = text(delta.get("reasoning_content")) or text(delta.get("reasoning"))
        content = text(delta.get("content"))
        if mapping(mapping(delta.get("extra_content")).get("google")).get("thought") is True:
            thought, content = content.removeprefix("<thought>").removesuffix("</thought>"), ""  # Gemini
        if thought:
            self._thinking.append(thought)
            self._on_delta(Delta("thinking", thought))
        refusal = text(delta.get("refusal"))
        self._refused = self._refused or bool(refusal)
        said = content or refusal
        if said:
            self._text.append(said)
            self._on_delta(Delta("text", said))
        for piece in items(delta.get("tool_calls")):
            self._tool(mapping(piece))

    def _tool(self, piece: Mapping[str, Json]) -> None:
        function = mapping(piece.get("function"))
        call_id, name = text(piece.get("id")), text(function.get("name"))
        call = self._slot(piece.get("index"), call_id, name)
        call.id = call.id or call_id
        call.name = call.name or name
        call.extra = mapping(piece.get("extra_content")) or call.extra
        args = function.get("arguments")
        if isinstance(args, Mapping):
            call.pieces.append(compact(args))
        elif args:
            call.pieces.append(text(args))

    def _slot(self, index: Json, call_id: str, name: str) -> _Call:
        """The call a piece belongs to. A named piece with another id begins a call, whatever its index says."""
        number = index if isinstance(index, int) else -1
        same = [call for call in self._calls if call.slot == number] if number >= 0 else self._calls
        if same:
            last = same[-1]
            begins = bool(name and call_id and last.id and call_id != last.id)
            nameless = number < 0 and not name
            if not begins and (number >= 0 or nameless):
                return last
        call = _Call(number)
        self._calls.append(call)
        return call

    def _call(self, number: int, call: _Call) -> ToolCall:
        args, problem = read_args("".join(call.pieces))
        call_id = call.id or f"call_{len(self._request.messages)}_{number}"
        return ToolCall(call_id, call.name, args, problem=problem)

    def _total(self) -> Usage:
        usage = self._usage
        read, written = count(usage.get("prompt_tokens")), count(usage.get("completion_tokens"))
        thought = count(mapping(usage.get("completion_tokens_details")).get("reasoning_tokens"))
        unsaid = max(count(usage.get("total_tokens")) - read - written, 0)  # Gemini's thoughts are in the total alone
        cached = mapping(usage.get("prompt_tokens_details")).get("cached_tokens")
        return Usage(
            input_tokens=read,
            output_tokens=written + unsaid,
            reasoning_tokens=max(thought, unsaid),
            cached_input_tokens=count(cached) or count(usage.get("prompt_cache_hit_tokens")),
        )
