"""Anthropic Messages, streamed. Reading the stream is in `anthropic_stream.py`; retries are in `retry.py`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace

import anthropic
import httpx2

from perstack.core.json import Json, JsonObject
from perstack.core.messages import (
    Delta,
    ExpertMessage,
    FilePart,
    ImagePart,
    Message,
    ModelReply,
    ModelRequest,
    StopReason,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolMessage,
    ToolResult,
    Trouble,
    TroubleKind,
    UserMessage,
)
from perstack.providers.anthropic_stream import MessageReader
from perstack.providers.catalogue import Credentials
from perstack.providers.connection import http_client
from perstack.providers.exchange import Decoder, Exchange, SdkErrors, Timeouts, Tuning, tuning_of
from perstack.providers.facts import Reasoning, facts
from perstack.providers.failures import Endpoint
from perstack.providers.hosted import ANTHROPIC_BETAS, HOSTED_MARK, anthropic_tools, given_back
from perstack.providers.listing import listed
from perstack.providers.stream import EventDecoder
from perstack.providers.wire import (
    CALL_MARK,
    NOTHING_SAID,
    REASONING_MARK,
    WireCache,
    call_id,
    encode,
    file_text,
    tool_name,
)

_ERRORS = SdkErrors(anthropic.APIStatusError, anthropic.APIConnectionError)
_URL = "https://api.anthropic.com"
_CACHED: JsonObject = {"type": "ephemeral"}
_LEAST_BUDGET = 1024
_MOST_PAUSES = 8
_LEAST_ANSWER = 1024  # tokens left to a reply after it has thought


Client = anthropic.AsyncAnthropic | anthropic.AsyncAnthropicBedrock | anthropic.AsyncAnthropicVertex


class MessagesProvider:
    """A Provider over one of the official SDK's async clients: Anthropic's own, or a platform's.

    A platform's client rewrites a request for its platform, and takes it apart for that: `rewritten`.
    """

    def __init__(
        self,
        client: Client,
        endpoint: Endpoint,
        tuning: Tuning,
        max_retries: int,
        *,
        write: Callable[[ModelRequest], bytes],
        decoder: Callable[[], Decoder] = EventDecoder,
        rewritten: bool = False,
    ) -> None:
        self._client = client
        self._rewritten = rewritten
        self._endpoint = endpoint
        self._exchange = Exchange(
            post=self._post,
            errors=_ERRORS,
            endpoint=endpoint,
            tuning=tuning,
            max_retries=max_retries,
            decoder=decoder,
        )
        self._write = write
        self._betas: set[str] = set()

    @property
    def name(self) -> str:
        return self._endpoint.label

    async def generate(self, request: ModelRequest, on_delta: Callable[[Delta], None]) -> ModelReply:
        """Ask for one reply.

        Raises: ProviderError when no usable reply can be had.
        """
        self._betas.update(ANTHROPIC_BETAS[name] for name in request.hosted if name in ANTHROPIC_BETAS)
        reply = await self._once(request, on_delta)
        for number in range(_MOST_PAUSES):
            if reply.stop_reason is not StopReason.PAUSE:
                return reply
            so_far = ExpertMessage(f"{request.messages[-1].id}.pause{number}", reply.contents)
            more = await self._once(replace(request, messages=(*request.messages, so_far)), on_delta)
            reply = replace(
                more,
                contents=reply.contents + more.contents,
                usage=reply.usage + more.usage,
                troubles=reply.troubles + more.troubles,
            )
        words = f"the provider's own tools paused {_MOST_PAUSES} times: what the reply holds until then is used"
        told = Trouble(TroubleKind.PAUSES, words)
        return replace(reply, stop_reason=StopReason.UNKNOWN, troubles=(*reply.troubles, told))

    async def _once(self, request: ModelRequest, on_delta: Callable[[Delta], None]) -> ModelReply:
        return await self._exchange.ask(
            request,
            lambda: self._write(request),
            lambda: MessageReader(self._endpoint, request, on_delta),
        )

    async def close(self) -> None:
        """Release connections."""
        await self._client.close()

    async def _post(self, _model: str, body: bytes, limits: httpx2.Timeout) -> httpx2.Response:
        headers = {"Accept": "text/event-stream"}
        if self._betas:
            headers["anthropic-beta"] = ",".join(sorted(self._betas))
        stream = await self._client.post(
            "/v1/messages",
            cast_to=object,
            content=None if self._rewritten else body,
            body=json.loads(body) if self._rewritten else None,
            options={"timeout": limits, "headers": headers},
            stream=True,
            stream_cls=anthropic.AsyncStream[object],
        )
        return stream.response


class AnthropicProvider(MessagesProvider):
    """Anthropic's own API."""

    def __init__(
        self,
        *,
        api_key: str,
        base_url: str = "",
        headers: Mapping[str, str] | None = None,
        max_retries: int = 4,
        tuning: Tuning | None = None,
    ) -> None:
        tuning = tuning or Tuning()
        extra = dict(headers or {})
        client = anthropic.AsyncAnthropic(
            api_key=api_key,
            base_url=base_url or _URL,
            default_headers=extra,
            max_retries=0,
            webhook_key="",
            http_client=http_client(base_url or _URL, tuning.network),
            open_telemetry=False,
        )
        label, key_name = tuning.label or "anthropic", tuning.key_name or "ANTHROPIC_API_KEY"
        endpoint = Endpoint(label, key_name, secrets=(api_key, *extra.values()))
        wire = WireCache(head=head, message=message, tail=b"]}")
        super().__init__(client, endpoint, tuning, max_retries, write=wire.body)

    async def models(self) -> tuple[str, ...]:
        """The ids of the models the server has. Raises: ProviderError."""
        return await listed(self._client, _ERRORS, self._endpoint, "/v1/models?limit=1000")


def create(credentials: Credentials, say: Callable[[str], None]) -> AnthropicProvider:
    """The provider for these credentials; `say` hears of retries."""
    return AnthropicProvider(
        api_key=credentials.api_key,
        base_url=credentials.base_url,
        headers=credentials.headers,
        tuning=tuning_of(credentials, say, Timeouts()),
    )


def head(request: ModelRequest) -> bytes:
    """The body up to its messages.

    Caching: one mark after the system prompt (which covers the tools), and the top-level `cache_control`, by which
    the server marks the last message itself: so no earlier byte changes from turn to turn.
    """
    return opened({"model": request.model, "stream": True, "cache_control": _CACHED}, request)


def opened(own: JsonObject, request: ModelRequest) -> bytes:
    """The body up to its messages, with the fields that only one platform takes before all others."""
    fields: dict[str, Json] = {**own, "max_tokens": request.max_output_tokens, **_thinking(request)}
    tools: list[Json] = [
        {"name": tool.name, "description": tool.description, "input_schema": tool.input_schema}
        for tool in request.tools
    ]
    tools += anthropic_tools(request)
    if tools:
        fields["tools"] = tools
    if request.system.strip():
        fields["system"] = [{"type": "text", "text": request.system, "cache_control": _CACHED}]
    return encode(fields)[:-1] + b',"messages":['


def _thinking(request: ModelRequest) -> JsonObject:
    """Models up to 4.5 take a budget inside `max_tokens`; later ones decide themselves, guided by an effort.

    Where a reply has no room for the least budget and an answer, it is made without thinking.
    """
    budget = request.reasoning_budget
    form = request.reasoning or facts("anthropic", request.model).reasoning
    if budget <= 0 or form == Reasoning.NONE:
        return {}
    if form == Reasoning.BUDGET:
        budget = min(max(budget, _LEAST_BUDGET), request.max_output_tokens - _LEAST_ANSWER)
        return {"thinking": {"type": "enabled", "budget_tokens": budget}} if budget >= _LEAST_BUDGET else {}
    effort = "low" if budget <= 2048 else "medium" if budget <= 5000 else "high"
    return {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": effort}}


def message(source: Message) -> bytes:
    """One message as the API takes it; empty when nothing of it can be sent."""
    match source:
        case UserMessage(contents=contents):
            blocks = [block for part in contents if (block := _block(part))]
            return encode({"role": "user", "content": blocks or [_text(NOTHING_SAID)]})
        case ToolMessage(results=results):
            return encode({"role": "user", "content": [_result(result) for result in results]}) if results else b""
        case ExpertMessage(contents=contents):
            replies = [block for part in contents if (block := _said(part))]
            return encode({"role": "assistant", "content": replies}) if replies else b""


def _text(text: str) -> JsonObject:
    return {"type": "text", "text": text}


def _said(part: ThinkingPart | TextPart | ToolCall) -> JsonObject | None:
    match part:
        case TextPart(text=text):
            return _text(text) if text.strip() else None
        case ToolCall():
            return {"type": "tool_use", "id": call_id(part.id), "name": tool_name(part.tool_name), "input": part.args}
        case ThinkingPart(signature="", redacted=data):
            return {"type": "redacted_thinking", "data": data} if data else None
        case ThinkingPart(signature=signature):
            if signature.startswith((REASONING_MARK, CALL_MARK, HOSTED_MARK)):
                return given_back("anthropic", part)  # else this server could not check it
            return {"type": "thinking", "thinking": part.thinking, "signature": signature}


def _result(result: ToolResult) -> JsonObject:
    blocks = [block for part in result.contents if (block := _block(part))]
    return {
        "type": "tool_result",
        "tool_use_id": call_id(result.id),
        "content": blocks or [_text(NOTHING_SAID)],
        **({"is_error": True} if result.is_error else {}),
    }


def _block(part: TextPart | ImagePart | FilePart) -> JsonObject | None:
    match part:
        case TextPart(text=text):
            return _text(text) if text.strip() else None
        case ImagePart():
            source = {"type": "base64", "media_type": part.mime_type, "data": part.data}
            return {"type": "image", "source": source}
        case FilePart(mime_type="application/pdf"):
            source = {"type": "base64", "media_type": part.mime_type, "data": part.data}
            return {"type": "document", "source": source}
        case FilePart():
            return _text(file_text(part))
