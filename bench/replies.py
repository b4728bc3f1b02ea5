"""Streams of a scripted model, as bytes of the three wire protocols. Pure; the server is `model_server.py`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

TOOL = "readTextFile"
FILE = "notes.txt"
ARGUMENTS = json.dumps({"path": FILE})
ANSWER = "The notes are read."

Reply = Callable[[int, bool], bytes]
"""Number of the turn from 0, and whether it is the last: the whole event stream of that turn."""


def anthropic(turn: int, last: bool) -> bytes:
    """Anthropic Messages: one tool call, or the final text."""
    message: dict[str, object] = {
        "id": f"msg_{turn}", "type": "message", "role": "assistant", "model": "bench", "content": [],
        "stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 10, "output_tokens": 1},
    }  # fmt: skip
    block: Mapping[str, object] = (
        {"type": "text", "text": ""} if last else {"type": "tool_use", "id": f"toolu_{turn}", "name": TOOL, "input": {}}
    )
    delta = {"type": "text_delta", "text": ANSWER} if last else {"type": "input_json_delta", "partial_json": ARGUMENTS}
    stop = {"stop_reason": "end_turn" if last else "tool_use", "stop_sequence": None}
    return b"".join(
        _named(event)
        for event in (
            {"type": "message_start", "message": message},
            {"type": "content_block_start", "index": 0, "content_block": block},
            {"type": "content_block_delta", "index": 0, "delta": delta},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": stop, "usage": {"output_tokens": 5}},
            {"type": "message_stop"},
        )
    )


def chat(turn: int, last: bool) -> bytes:
    """OpenAI Chat Completions."""
    call = {"index": 0, "id": f"call_{turn}", "type": "function", "function": {"name": TOOL, "arguments": ""}}
    more = {"index": 0, "function": {"arguments": ARGUMENTS}}
    deltas: list[Mapping[str, object]] = (
        [{"role": "assistant", "content": ""}, {"content": ANSWER}]
        if last
        else [{"role": "assistant", "content": None, "tool_calls": [call]}, {"tool_calls": [more]}]
    )
    head = {"id": f"chat_{turn}", "object": "chat.completion.chunk", "created": 1, "model": "bench"}
    chunks: list[Mapping[str, object]] = [
        {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas
    ]
    reason = "stop" if last else "tool_calls"
    chunks.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    chunks.append({**head, "choices": [], "usage": usage})
    return b"".join(_plain(chunk) for chunk in chunks) + b"data: [DONE]\n\n"


def responses(turn: int, last: bool) -> bytes:
    """OpenAI Responses."""
    item = _text_item(turn) if last else _call_item(turn)
    part = {"item_id": item["id"], "output_index": 0, "logprobs": []}
    deltas: list[Mapping[str, object]] = (
        [{"type": "response.output_text.delta", "content_index": 0, "delta": ANSWER, **part}]
        if last
        else [
            {"type": "response.function_call_arguments.delta", "delta": ARGUMENTS, **part},
            {"type": "response.function_call_arguments.done", "arguments": ARGUMENTS, "name": TOOL, **part},
        ]
    )
    empty: dict[str, object] = {"content": []} if last else {"arguments": ""}
    content: list[Mapping[str, object]] = []
    if last:
        blank = {"type": "output_text", "text": "", "annotations": []}
        content = [{"type": "response.content_part.added", "content_index": 0, "part": blank, **part}]
    events: list[Mapping[str, object]] = [
        {"type": "response.created", "response": _response(turn, [], "in_progress")},
        {"type": "response.output_item.added", "output_index": 0, "item": item | empty | {"status": "in_progress"}},
        *content,
        *deltas,
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": _response(turn, [item], "completed")},
    ]
    return b"".join(_named({**event, "sequence_number": number}) for number, event in enumerate(events))


def _call_item(turn: int) -> dict[str, object]:
    return {
        "type": "function_call", "id": f"fc_{turn}", "call_id": f"call_{turn}", "name": TOOL, "arguments": ARGUMENTS,
        "status": "completed",
    }  # fmt: skip


def _text_item(turn: int) -> dict[str, object]:
    content = [{"type": "output_text", "text": ANSWER, "annotations": []}]
    return {"type": "message", "id": f"msg_{turn}", "role": "assistant", "status": "completed", "content": content}


def _response(turn: int, output: list[dict[str, object]], status: str) -> dict[str, object]:
    usage = {
        "input_tokens": 10, "output_tokens": 5, "total_tokens": 15, "input_tokens_details": {"cached_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    }  # fmt: skip
    return {
        "id": f"resp_{turn}", "object": "response", "created_at": 1, "model": "bench", "status": status,
        "output": output, "parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "error": None,
        "incomplete_details": None, "instructions": None, "metadata": {}, "temperature": 1.0, "top_p": 1.0,
        "usage": usage if status == "completed" else None,
    }  # fmt: skip


def _named(event: Mapping[str, object]) -> bytes:
    return f"event: {event['type']}\n".encode() + _plain(event)


def _plain(event: Mapping[str, object]) -> bytes:
    return b"data: " + json.dumps(event, separators=(",", ":")).encode() + b"\n\n"
