"""Requests, providers and canned streams that several tests of this folder use."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from perstack.core.contracts import Provider
from perstack.core.json import JsonObject
from perstack.core.messages import Delta, Message, ModelRequest, TextPart, ToolDefinition, UserMessage
from perstack.providers.anthropic import AnthropicProvider
from perstack.providers.exchange import Timeouts, Tuning
from perstack.providers.openai import OpenAIProvider
from perstack.providers.openai_chat import OpenAIChatProvider
from perstack.providers.retry import Backoff, OnRetry

PROVIDERS = ("anthropic", "openai", "openai-compatible")
KEY = "sk-very-secret-0123456789"
SCHEMA: JsonObject = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
TOOLS = (ToolDefinition("read", "Read a file.", SCHEMA), ToolDefinition("list", "List a folder.", SCHEMA))


class Waits:
    """Stands for sleeping: remembers how long it should have been."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


def provider(
    name: str,
    url: str,
    *,
    headers: dict[str, str] | None = None,
    max_retries: int = 4,
    waits: Callable[[float], Awaitable[None]] | None = None,
    timeouts: Timeouts | None = None,
    on_retry: OnRetry | None = None,
) -> Provider:
    """A provider that talks to `url` (without `/v1`) and never really sleeps."""
    tuning = Tuning(
        timeouts=timeouts or Timeouts(),
        backoff=Backoff(sleep=waits or Waits(), jitter=lambda: 0.0, clock=lambda: 1_000_000.0),
        on_retry=on_retry,
    )
    rest: dict[str, Any] = {"api_key": KEY, "headers": headers or {}, "max_retries": max_retries, "tuning": tuning}
    if name == "anthropic":
        return AnthropicProvider(base_url=url, **rest)
    if name == "openai":
        return OpenAIProvider(base_url=f"{url}/v1", **rest)
    return OpenAIChatProvider(base_url=f"{url}/v1", **rest)


def ask(text: str = "hello", *, messages: Sequence[Message] = (), timeout_s: float = 20.0, **rest: Any) -> ModelRequest:
    """A request with two tools and one user message, or the given messages."""
    return ModelRequest(
        model=rest.pop("model", "model-1"),
        system="Be brief.",
        messages=tuple(messages) or (UserMessage("m1", (TextPart(text),)),),
        tools=TOOLS,
        timeout_s=timeout_s,
        run_id=rest.pop("run_id", "run-1"),
        **rest,
    )


def ignore(delta: Delta) -> None:
    """For callers that do not look at deltas."""


def collector() -> tuple[list[Delta], Callable[[Delta], None]]:
    """A list and the function that fills it."""
    deltas: list[Delta] = []
    return deltas, deltas.append


def sse(events: Sequence[dict[str, Any]], *, done: bool = False) -> bytes:
    """Events as the servers write them."""
    text = ""
    for event in events:
        name = f"event: {event['type']}\n" if isinstance(event.get("type"), str) else ""
        text += f"{name}data: {json.dumps(event)}\n\n"
    return (text + ("data: [DONE]\n\n" if done else "")).encode()


def answer(name: str, text: str = "fine") -> bytes:
    """A whole good stream of one provider."""
    if name == "anthropic":
        start = {"id": "m", "type": "message", "role": "assistant", "model": "model-1", "content": []}
        return sse(
            [
                {"type": "message_start", "message": {**start, "usage": {"input_tokens": 3, "output_tokens": 1}}},
                {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
                {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}},
                {"type": "content_block_stop", "index": 0},
                {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
                {"type": "message_stop"},
            ]
        )
    if name == "openai":
        item = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}
        usage = {"input_tokens": 3, "output_tokens": 2}
        response = {"status": "completed", "model": "model-1", "output": [item], "usage": usage}
        return sse([{"type": "response.completed", "response": response}])
    chunk = {"model": "model-1", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": "stop"}]}
    return sse([chunk, {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}], done=True)
