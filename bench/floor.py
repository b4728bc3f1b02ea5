"""The floor: loops over the official SDKs as anyone would write them, with the same tool and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.replies import FILE, TOOL

DESCRIPTION = "Read a text file."
SCHEMA: dict[str, Any] = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
QUESTION = "Read the notes."
SYSTEM = "You read files."

Loop = Callable[[str, Path], int]
"""Base URL of the run and the folder with the file: makes all its turns, returns how many tools were called."""


def anthropic_loop() -> Loop:
    """Anthropic Messages, streamed. The SDK is imported here: its import is part of a cold start."""
    import anthropic

    def loop(url: str, folder: Path) -> int:
        with anthropic.Anthropic(api_key="bench", base_url=url, max_retries=0) as client:
            tools: Any = [{"name": TOOL, "description": DESCRIPTION, "input_schema": SCHEMA}]
            messages: list[Any] = [{"role": "user", "content": QUESTION}]
            calls = 0
            while True:
                with client.messages.stream(
                    model="bench", max_tokens=8192, system=SYSTEM, messages=messages, tools=tools
                ) as stream:
                    reply = stream.get_final_message()
                messages.append({"role": "assistant", "content": reply.content})
                if reply.stop_reason != "tool_use":
                    return calls
                uses: list[Any] = [block for block in reply.content if block.type == "tool_use"]
                calls += len(uses)
                results = [{"type": "tool_result", "tool_use_id": use.id, "content": _read(folder)} for use in uses]
                messages.append({"role": "user", "content": results})

    return loop


def chat_loop() -> Loop:
    """OpenAI Chat Completions, streamed."""
    import openai

    def loop(url: str, folder: Path) -> int:
        with openai.OpenAI(api_key="bench", base_url=url, max_retries=0) as client:
            function = {"name": TOOL, "description": DESCRIPTION, "parameters": SCHEMA}
            tools: Any = [{"type": "function", "function": function}]
            messages: list[Any] = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": QUESTION}]
            calls = 0
            while True:
                identity, name, arguments, text = "", "", "", ""
                for chunk in client.chat.completions.create(
                    model="bench", messages=messages, tools=tools, stream=True, stream_options={"include_usage": True}
                ):
                    for choice in chunk.choices:
                        text += choice.delta.content or ""
                        for part in choice.delta.tool_calls or []:
                            identity = part.id or identity
                            if part.function is not None:
                                name += part.function.name or ""
                                arguments += part.function.arguments or ""
                if not identity:
                    return calls
                calls += 1
                use = {"id": identity, "type": "function", "function": {"name": name, "arguments": arguments}}
                messages.append({"role": "assistant", "content": text or None, "tool_calls": [use]})
                messages.append({"role": "tool", "tool_call_id": identity, "content": _read(folder)})

    return loop


def responses_loop() -> Loop:
    """OpenAI Responses, streamed."""
    import openai

    def loop(url: str, folder: Path) -> int:
        with openai.OpenAI(api_key="bench", base_url=url, max_retries=0) as client:
            tools: Any = [{"type": "function", "name": TOOL, "description": DESCRIPTION, "parameters": SCHEMA}]
            items: list[Any] = [{"role": "user", "content": QUESTION}]
            calls = 0
            while True:
                output: list[Any] = []
                for event in client.responses.create(
                    model="bench", instructions=SYSTEM, input=items, tools=tools, store=False, stream=True
                ):
                    if event.type == "response.completed":
                        output = event.response.output
                items += output
                uses = [item for item in output if item.type == "function_call"]
                if not uses:
                    return calls
                calls += len(uses)
                items += [
                    {"type": "function_call_output", "call_id": use.call_id, "output": _read(folder)} for use in uses
                ]

    return loop


def _read(folder: Path) -> str:
    return (folder / FILE).read_text("utf-8")


LOOPS: dict[str, Callable[[], Loop]] = {
    "anthropic": anthropic_loop,
    "chat": chat_loop,
    "responses": responses_loop,
}
