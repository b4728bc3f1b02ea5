"""Reads Anthropic's event stream into one reply. Does no I/O."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from perstack.core.json import Json, compact
from perstack.core.messages import Delta, ModelReply, ModelRequest, StopReason, TextPart, ThinkingPart, ToolCall
from perstack.core.usage import Usage
from perstack.providers.failures import Endpoint
from perstack.providers.hosted import kept
from perstack.providers.repairs import UNORDERED, unknown_stop
from perstack.providers.stream import ServerEvent
from perstack.providers.wire import count, items, mapping, read_args, text

_STOP = {
    "end_turn": StopReason.END,
    "stop_sequence": StopReason.END,
    "tool_use": StopReason.TOOL_CALLS,
    "max_tokens": StopReason.LENGTH,
    "model_context_window_exceeded": StopReason.LENGTH,
    "refusal": StopReason.REFUSAL,
    "pause_turn": StopReason.PAUSE,
}


@dataclass(slots=True)
class _Block:
    kind: str
    start: Mapping[str, Json]
    pieces: list[str] = field(default_factory=list)
    signature: str = ""


class MessageReader:
    """Collects blocks by index. Reasons yet to be invented become `unknown`."""

    def __init__(self, endpoint: Endpoint, request: ModelRequest, on_delta: Callable[[Delta], None]) -> None:
        self._endpoint = endpoint
        self._request = request
        self._on_delta = on_delta
        self._blocks: dict[int, _Block] = {}
        self._usage: dict[str, Json] = {}
        self._model = ""
        self._stop = ""
        self._begun = False
        self._ordered = True

    def feed(self, event: ServerEvent) -> bool:
        """Take one event; True at `message_stop`."""
        if event.name == "ping":
            return False
        data = event.json()
        match text(data.get("type")):
            case "content_block_delta":
                self._delta(data)
            case "content_block_start":
                block = mapping(data["content_block"])
                self._ordered = self._ordered and _index(data) >= len(self._blocks)
                self._blocks[_index(data)] = _Block(text(block.get("type")), block)
            case "message_start":
                self._start(mapping(data["message"]))
            case "message_delta":
                self._stop = text(mapping(data["delta"]).get("stop_reason")) or self._stop
                self._count(mapping(data.get("usage")))
            case "message_stop":
                return True
            case "error":
                raise self._endpoint.broken(data, model=self._request.model)
        return False

    def whole(self, body: bytes) -> None:
        """Take a reply that came in one piece."""
        data = json.loads(body)
        if not isinstance(data, dict) or data.get("type") != "message":
            raise ValueError("not a message")
        self._start(data)
        self._stop = text(data.get("stop_reason"))
        for index, block in enumerate(items(data.get("content"))):
            found = mapping(block)
            self._blocks[index] = _Block(text(found.get("type")), found)

    def reply(self) -> ModelReply:
        """The reply.

        Raises: ProviderError when the stream was cut off.
        """
        if not self._begun or not self._stop:
            raise self._endpoint.malformed("the stream ended before the message did")
        contents = tuple(part for _, block in sorted(self._blocks.items()) if (part := self._part(block)) is not None)
        if not contents and self._stop == "model_context_window_exceeded":
            raise self._endpoint.overflowed(self._request.model)
        stop = _STOP.get(self._stop, StopReason.UNKNOWN)
        if stop is StopReason.END and any(isinstance(part, ToolCall) for part in contents):
            stop = StopReason.TOOL_CALLS
        unknown = () if self._stop in _STOP else (unknown_stop(self._stop),)
        troubles = unknown if self._ordered else (*unknown, UNORDERED)
        return ModelReply(contents, stop, self._total(), self._model, troubles=troubles)

    def _start(self, message: Mapping[str, Json]) -> None:
        self._begun = True
        self._model = text(message.get("model"))
        self._count(mapping(message.get("usage")))

    def _delta(self, data: Mapping[str, Json]) -> None:
        block = self._blocks[_index(data)]
        delta = mapping(data["delta"])
        match text(delta.get("type")):
            case "text_delta":
                piece = text(delta.get("text"))
                block.pieces.append(piece)
                self._on_delta(Delta("text", piece))
            case "input_json_delta":
                block.pieces.append(text(delta.get("partial_json")))
            case "thinking_delta":
                piece = text(delta.get("thinking"))
                block.pieces.append(piece)
                self._on_delta(Delta("thinking", piece))
            case "signature_delta":
                block.signature += text(delta.get("signature"))

    def _part(self, block: _Block) -> ThinkingPart | TextPart | ToolCall | None:
        said = "".join(block.pieces)
        match block.kind:
            case "text":
                said = text(block.start.get("text")) + said
                return TextPart(said) if said else None
            case "tool_use":
                if not said and block.start.get("input"):
                    said = compact(block.start["input"])
                args, problem = read_args(said)
                return ToolCall(text(block.start.get("id")), text(block.start.get("name")), args, problem=problem)
            case "thinking":
                said = text(block.start.get("thinking")) + said
                return ThinkingPart(said, signature=text(block.start.get("signature")) + block.signature)
            case "server_tool_use":
                args, _ = read_args(said) if said else (mapping(block.start.get("input")), "")
                return kept("anthropic", {**block.start, "input": args})
            case kind if kind.endswith("_tool_result"):
                return kept("anthropic", block.start)
            case "redacted_thinking":
                return ThinkingPart("", redacted=text(block.start.get("data")))
            case _:
                return None

    def _count(self, usage: Mapping[str, Json]) -> None:
        self._usage.update({name: value for name, value in usage.items() if value is not None})

    def _total(self) -> Usage:
        cached = count(self._usage.get("cache_read_input_tokens"))
        written = count(self._usage.get("cache_creation_input_tokens"))
        return Usage(
            input_tokens=count(self._usage.get("input_tokens")) + cached + written,
            output_tokens=count(self._usage.get("output_tokens")),
            reasoning_tokens=count(mapping(self._usage.get("output_tokens_details")).get("thinking_tokens")),
            cached_input_tokens=cached,
            cache_written_tokens=written,
        )


def _index(data: Mapping[str, Json]) -> int:
    index = data["index"]
    if not isinstance(index, int):
        raise TypeError("a block's index is not a number")
    return index
