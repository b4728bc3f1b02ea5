"""The payload of `initializeRuntime`: what a segment of a run works with, and reading it again. Pure."""

from __future__ import annotations

from perstack.core.experts import ContextSpec
from perstack.core.json import Json, JsonObject
from perstack.core.messages import ToolResult
from perstack.core.version import __version__
from perstack.providers.facts import Traits
from perstack.runtime.request import RunRequest


def initialize_runtime(
    request: RunRequest, *, query: str = "", answer: ToolResult | None = None, traits: Traits | None = None
) -> JsonObject:
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
    payload |= _told_of(request, traits or Traits())
    if query:
        payload["query"] = query
    if answer is not None:
        told: JsonObject = {"toolName": answer.tool_name, "toolCallId": answer.id, "text": answer.text}
        payload["interactiveToolCall"] = told
    return payload


def _told_of(request: RunRequest, traits: Traits) -> dict[str, Json]:
    """What decides when a context is compacted, where it is known or not as usual."""
    told: dict[str, Json] = {}
    known: dict[str, Json] = {name: getattr(traits, name) for name in _TRAITS if getattr(traits, name) is not None}
    if known:
        told["traits"] = known
    if request.reasoning_budget:
        told["reasoningBudget"] = request.reasoning_budget
    if request.context != ContextSpec():
        spec = request.context
        told["context"] = {"warnAt": spec.warn_at, "compactAt": spec.compact_at, "summary": spec.summary}
    return told


_TRAITS = ("window", "output", "images", "pdf")


def traits_of(told: JsonObject) -> Traits:
    """What a segment knew of its model."""
    window, output, images, pdf = (told.get(name) for name in _TRAITS)
    return Traits(
        window if isinstance(window, int) else None,
        output if isinstance(output, int) else None,
        images if isinstance(images, bool) else None,
        pdf if isinstance(pdf, bool) else None,
    )


def context_of(told: JsonObject) -> ContextSpec:
    """When a segment compacted its context."""
    usual = ContextSpec()
    warn, compact, summary = told.get("warnAt"), told.get("compactAt"), told.get("summary")
    return ContextSpec(
        float(warn) if isinstance(warn, int | float) else usual.warn_at,
        float(compact) if isinstance(compact, int | float) else usual.compact_at,
        summary if isinstance(summary, str) else usual.summary,
    )
