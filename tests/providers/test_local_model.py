"""A real, small language model behind a real OpenAI-compatible server. It is weak: only protocol facts are judged."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from perstack.core.messages import ModelRequest, StopReason, TextPart, ToolCall, UserMessage
from perstack.providers.openai_chat import OpenAIChatProvider
from tests.providers.builders import TOOLS, collector

SERVER = Path(__file__).parents[2] / "scripts" / "models" / "local_server.py"
pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.fixture(scope="module")
def local_url() -> Iterator[str]:
    argv = [sys.executable, str(SERVER)]
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:"), "the local model server did not start"
        yield url
        process.terminate()


async def test_a_real_model_answers_in_a_stream_and_its_tokens_are_counted(local_url: str) -> None:
    model = OpenAIChatProvider(base_url=f"{local_url}/v1")
    deltas, on_delta = collector()
    query = UserMessage("m1", (TextPart("Name one colour of the rainbow. Answer with one word."),))
    request = ModelRequest("smollm2", "You are brief.", (query,), (), timeout_s=120, max_output_tokens=24)
    reply = await model.generate(request, on_delta)
    await model.close()
    text = "".join(part.text for part in reply.contents if isinstance(part, TextPart))
    assert text.strip()
    assert "".join(delta.text for delta in deltas) == text
    assert reply.stop_reason in {StopReason.END, StopReason.LENGTH}
    assert reply.usage.input_tokens > 10
    assert 0 < reply.usage.output_tokens <= 24
    assert reply.model


async def test_a_real_model_that_is_given_tools_answers_with_a_call_or_a_text(local_url: str) -> None:
    model = OpenAIChatProvider(base_url=f"{local_url}/v1")
    query = UserMessage("m1", (TextPart("Call the tool `read` with the path a.txt."),))
    request = ModelRequest("smollm2", "Use the tools.", (query,), TOOLS, timeout_s=120, max_output_tokens=48)
    reply = await model.generate(request, collector()[1])
    await model.close()
    assert reply.contents
    for part in reply.contents:
        if isinstance(part, ToolCall):
            assert part.id
            assert part.tool_name
    assert reply.usage.total_tokens > 0
