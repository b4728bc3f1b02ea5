"""The payload of `initializeRuntime`: what a segment of a run works with. Pure."""

from __future__ import annotations

from perstack.core.json import Json, JsonObject
from perstack.core.messages import ToolResult
from perstack.core.version import __version__
from perstack.runtime.request import RunRequest


def initialize_runtime(request: RunRequest, *, query: str = "", answer: ToolResult | None = None) -> JsonObject:
    """`query` is what is said to the expert, `answer` the answer to its question, where there is one."""
    expert = request.experts.get(request.expert.key, request.expert)
    experts: list[Json] = [expert.key, *expert.delegates]
    payload: dict[str, Json] = {
        "runtimeVersion": __version__,
        "expertName": expert.name or expert.key,
        "experts": experts,
        "model": request.model,
        "maxSteps": request.max_steps,
        "maxRetries": request.max_retries,
        "timeout": round(request.timeout_s * 1000),
    }
    if query:
        payload["query"] = query
    if answer is not None:
        told: JsonObject = {"toolName": answer.tool_name, "toolCallId": answer.id, "text": answer.text}
        payload["interactiveToolCall"] = told
    return payload
