"""Tools that a provider runs on its own servers: how each is named on the wire. Runs nothing itself.

What such a tool did comes back as a block that only this provider can read; it is kept in a `ThinkingPart` whose
signature begins with `HOSTED_MARK`, and sent back unchanged.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping

from perstack.core.json import Json, JsonObject, compact
from perstack.core.messages import ModelRequest, ThinkingPart
from perstack.providers.wire import items, mapping

HOSTED_MARK = "hosted:"
ANTHROPIC_BETAS = {"webFetch": "web-fetch-2025-09-10", "codeExecution": "code-execution-2025-08-25"}
_Make = Callable[[Mapping[str, Json]], JsonObject | None]


def anthropic_tools(request: ModelRequest) -> list[Json]:
    """The entries of `tools` for the wanted ones that Anthropic has."""
    return _made(request, _ANTHROPIC)


def openai_tools(request: ModelRequest) -> list[Json]:
    """The entries of `tools` for the wanted ones that OpenAI (or Azure) has."""
    return _made(request, _OPENAI)


def not_sent(provider: str, model: str, wanted: Iterable[str]) -> tuple[str, ...]:
    """The wanted ones that this provider has not, or that are not sent there; nothing is known of a program's own."""
    known: Mapping[str, _Make] | None = _PROVIDERS.get(provider)
    if provider == "google-vertex" and model.startswith("claude-"):
        known = _ANTHROPIC
    return () if known is None else tuple(name for name in wanted if name not in known)


def kept(protocol: str, block: Mapping[str, Json]) -> ThinkingPart:
    """A provider's own block, to be sent back."""
    return ThinkingPart("", signature=HOSTED_MARK + protocol, redacted=compact(dict(block)))


def given_back(protocol: str, part: ThinkingPart) -> JsonObject | None:
    """The block as it came; None for another provider's."""
    if part.signature != HOSTED_MARK + protocol or not part.redacted:
        return None
    block = json.loads(part.redacted)
    return block if isinstance(block, dict) else None


def _made(request: ModelRequest, known: Mapping[str, _Make]) -> list[Json]:
    options = request.hosted_options
    found = [known[name](mapping(options.get(_OPTIONS.get(name, name)))) for name in request.hosted if name in known]
    return [tool for tool in found if tool is not None]


def _uses(told: Mapping[str, Json]) -> dict[str, Json]:
    return {"max_uses": told["maxUses"]} if told.get("maxUses") else {}


def _web_search(told: Mapping[str, Json]) -> JsonObject:
    domains: dict[str, Json] = {"allowed_domains": told["allowedDomains"]} if told.get("allowedDomains") else {}
    return {"type": "web_search_20250305", "name": "web_search", **_uses(told), **domains}


def _web_fetch(told: Mapping[str, Json]) -> JsonObject:
    return {"type": "web_fetch_20250910", "name": "web_fetch", **_uses(told)}


def _openai_search(told: Mapping[str, Json]) -> JsonObject:
    domains = told.get("allowedDomains")
    return {"type": "web_search", **({"filters": {"allowed_domains": domains}} if domains else {})}


def _file_search(told: Mapping[str, Json]) -> JsonObject | None:
    stores = list(items(told.get("vectorStoreIds")))
    if not stores:
        return None  # it cannot work without
    most: dict[str, Json] = {"max_num_results": told["maxNumResults"]} if told.get("maxNumResults") else {}
    return {"type": "file_search", "vector_store_ids": stores, **most}


_OPTIONS = {"webSearchPreview": "webSearch"}
_ANTHROPIC: Mapping[str, _Make] = {
    "webSearch": _web_search,
    "webFetch": _web_fetch,
    "codeExecution": lambda _: {"type": "code_execution_20250825", "name": "code_execution"},
}
_OPENAI: Mapping[str, _Make] = {
    "webSearch": _openai_search,
    "webSearchPreview": lambda _: {"type": "web_search_preview"},
    "fileSearch": _file_search,
    "codeInterpreter": lambda _: {"type": "code_interpreter", "container": {"type": "auto"}},
    "imageGeneration": lambda _: {"type": "image_generation"},
}
_NONE: Mapping[str, _Make] = {}
_PROVIDERS: Mapping[str, Mapping[str, _Make]] = {
    "anthropic": _ANTHROPIC,
    "amazon-bedrock": _ANTHROPIC,
    "openai": _OPENAI,
    "azure-openai": _OPENAI,
    **dict.fromkeys(("google", "google-vertex", "deepseek", "fireworks", "ollama", "openai-compatible"), _NONE),
}
