"""Gemini through Google's OpenAI-compatible endpoint. What differs from other servers; the rest is `openai_chat.py`."""

from __future__ import annotations

import json
from collections.abc import Callable

from perstack.core.json import JsonObject
from perstack.core.messages import ExpertMessage, ModelRequest, ThinkingPart, ToolCall
from perstack.providers.catalogue import Credentials
from perstack.providers.exchange import Timeouts, tuning_of
from perstack.providers.facts import Reasoning, facts
from perstack.providers.openai_chat import OpenAIChatProvider
from perstack.providers.wire import CALL_MARK

_LOW = 2048  # tokens: what the public format calls low
_TIMEOUTS = Timeouts(idle_s=240.0)  # it says nothing while it thinks


class GeminiProvider(OpenAIChatProvider):
    """Gives a call's thought signature back with the call: Gemini 3 refuses a history without."""

    def own_fields(self, request: ModelRequest) -> JsonObject:
        """How much to think: tokens up to 2.5, one of two levels from 3 on. Its thoughts are shown."""
        form = request.reasoning or facts("google", request.model).reasoning
        budget = request.reasoning_budget
        if form == Reasoning.NONE:
            return {}
        if budget <= 0:
            off: JsonObject = {"thinking_budget": 0}
            return _thinking(off) if form == Reasoning.BUDGET and "pro" not in request.model else {}
        if form == Reasoning.LEVEL:
            return _thinking({"thinking_level": "low" if budget <= _LOW else "high", "include_thoughts": True})
        return _thinking({"thinking_budget": budget, "include_thoughts": True})

    def call_fields(self, call: ToolCall, source: ExpertMessage) -> JsonObject:
        """The signature that came with the call."""
        for part in source.contents:
            if isinstance(part, ThinkingPart) and part.redacted and part.signature == CALL_MARK + call.id:
                return {"extra_content": json.loads(part.redacted)}
        return {}


def _thinking(config: JsonObject) -> JsonObject:
    return {"extra_body": {"google": {"thinking_config": config}}}


def create(credentials: Credentials, say: Callable[[str], None]) -> GeminiProvider:
    """The provider for these credentials; `say` hears of retries."""
    return GeminiProvider(
        api_key=credentials.api_key,
        base_url=credentials.base_url,
        headers=credentials.headers,
        tuning=tuning_of(credentials, say, _TIMEOUTS),
    )
