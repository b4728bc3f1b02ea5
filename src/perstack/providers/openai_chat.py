"""Chat Completions, streamed: for OpenAI-compatible servers (llama.cpp, vLLM, Ollama, DeepSeek, Fireworks, …).

Servers differ in details; three of them are learnt from the first refusal (`_Dialect`), the rest is read leniently.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import httpx2
import openai

from perstack.core.errors import ProviderError
from perstack.core.json import Json, JsonObject, compact
from perstack.core.messages import (
    Delta,
    ExpertMessage,
    FilePart,
    ImagePart,
    Message,
    ModelReply,
    ModelRequest,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolMessage,
    ToolResult,
    UserMessage,
)
from perstack.providers.catalogue import Credentials
from perstack.providers.connection import http_client
from perstack.providers.exchange import Exchange, SdkErrors, Timeouts, Tuning, tuning_of
from perstack.providers.facts import Reasoning, facts
from perstack.providers.failures import Endpoint
from perstack.providers.listing import listed
from perstack.providers.openai import effort, forget_environment
from perstack.providers.openai_chat_stream import ChatReader
from perstack.providers.wire import NOTHING_SAID, WireCache, encode, file_text, tool_name

_ERRORS = SdkErrors(openai.APIStatusError, openai.APIConnectionError)
_NO_KEY = "none"
_TIMEOUTS = Timeouts(first_byte_s=300.0)  # a local server reads a long prompt slowly


@dataclass(slots=True)
class _Dialect:
    """What this server has turned out to understand."""

    limit_field: str = "max_tokens"
    usage_wanted: bool = True
    effort_taken: bool = True

    def learn(self, error: ProviderError) -> bool:
        """Whether the refusal names a field that can be written otherwise; then do so from now on."""
        if error.status not in {400, 422}:
            return False
        if self.usage_wanted and "stream_options" in error.message:
            self.usage_wanted = False
            return True
        if self.effort_taken and ("reasoning_effort" in error.message or "think" in error.message):
            self.effort_taken = False
            return True
        if self.limit_field == "max_tokens" and "max_completion_tokens" in error.message:
            self.limit_field = "max_completion_tokens"
            return True
        return False


class OpenAIChatProvider:
    """A Provider over the official SDK's async client and any compatible server. `api_key` may be empty."""

    def __init__(
        self,
        *,
        base_url: str,
        api_key: str = "",
        headers: Mapping[str, str] | None = None,
        max_retries: int = 4,
        tuning: Tuning | None = None,
        client: openai.AsyncOpenAI | None = None,
    ) -> None:
        """`client` is a platform's, made for the same key, address and headers."""
        tuning = tuning or Tuning()
        extra = dict(headers or {})
        self._label = tuning.label or "openai-compatible"
        self._reasoning_field = tuning.reasoning_field
        self._dialect = _Dialect()
        self._client = client or openai.AsyncOpenAI(
            api_key=api_key or _NO_KEY,
            base_url=base_url,
            default_headers=extra,
            max_retries=0,
            webhook_secret="",
            http_client=http_client(base_url, tuning.network),
        )
        forget_environment(self._client)
        self._endpoint = Endpoint(self._label, tuning.key_name, secrets=(api_key, *extra.values()))
        self._exchange = Exchange(
            post=self._post,
            errors=_ERRORS,
            endpoint=self._endpoint,
            tuning=tuning,
            max_retries=max_retries,
        )
        self._wire = WireCache(head=self._head, message=self._message, tail=b"]}")

    @property
    def name(self) -> str:
        return self._label

    async def generate(self, request: ModelRequest, on_delta: Callable[[Delta], None]) -> ModelReply:
        """Ask for one reply.

        Raises: ProviderError when no usable reply can be had.
        """
        while True:
            try:
                return await self._exchange.ask(
                    request,
                    lambda: self._wire.body(request),
                    lambda: ChatReader(self._endpoint, request, on_delta),
                )
            except ProviderError as error:
                if not self._dialect.learn(error):
                    raise
                self._wire.forget()

    async def close(self) -> None:
        """Release connections."""
        await self._client.close()

    async def models(self) -> tuple[str, ...]:
        """The ids of the models the server has. Raises: ProviderError."""
        return await listed(self._client, _ERRORS, self._endpoint, "/models")

    def path(self, model: str) -> str:  # noqa: ARG002  # for platforms
        """Where `model` is asked, below the base URL."""
        return "/chat/completions"

    def sent_model(self, model: str) -> str:
        """The model's name as this server knows it."""
        return model

    def own_fields(self, request: ModelRequest) -> JsonObject:
        """How much to think, for models that are known to take it: a strict server refuses fields it does not know."""
        form = request.reasoning or facts(self._label, request.model).reasoning
        if not self._dialect.effort_taken or form not in {Reasoning.EFFORT, Reasoning.SWITCH}:
            return {}
        if request.reasoning_budget > 0:
            return {"reasoning_effort": effort(request.reasoning_budget)}
        return {"reasoning_effort": "none"} if form == Reasoning.SWITCH else {}

    def call_fields(self, call: ToolCall, source: ExpertMessage) -> JsonObject:  # noqa: ARG002  # as above
        """What only this server wants back with a call it made."""
        return {}

    async def _post(self, model: str, body: bytes, limits: httpx2.Timeout) -> httpx2.Response:
        stream = await self._client.post(
            self.path(model),
            cast_to=object,
            content=body,
            options={"timeout": limits, "headers": {"Accept": "text/event-stream"}},
            stream=True,
            stream_cls=openai.AsyncStream[object],
        )
        return stream.response

    def _head(self, request: ModelRequest) -> bytes:
        """The body up to its messages; the system prompt is the first of them."""
        fields: dict[str, Json] = {
            "model": self.sent_model(request.model),
            "stream": True,
            self._dialect.limit_field: request.max_output_tokens,
        }
        fields.update(self.own_fields(request))
        if self._dialect.usage_wanted:
            fields["stream_options"] = {"include_usage": True}
        if request.tools:
            fields["tools"] = [
                {
                    "type": "function",
                    "function": {
                        "name": tool.name,
                        "description": tool.description,
                        "parameters": tool.input_schema,
                    },
                }
                for tool in request.tools
            ]
        system = encode({"role": "system", "content": request.system or "You are a helpful assistant."})
        comma = b"," if request.messages else b""
        return encode(fields)[:-1] + b',"messages":[' + system + comma

    def _message(self, source: Message) -> bytes:
        """One message as the API takes it, or several joined by commas."""
        match source:
            case UserMessage(contents=contents):
                return encode({"role": "user", "content": _content(contents)})
            case ToolMessage(results=results):
                shown = tuple(part for result in results for part in result.contents if isinstance(part, ImagePart))
                said: list[JsonObject] = [_result(result) for result in results]
                if shown:  # a tool message takes text only
                    said.append({"role": "user", "content": _content((TextPart("Images of the results:"), *shown))})
                return b",".join(encode(item) for item in said)
            case ExpertMessage():
                return self._reply(source)

    def _reply(self, source: ExpertMessage) -> bytes:
        fields: dict[str, Json] = {"role": "assistant", "content": source.text or None}
        calls = source.tool_calls
        if calls:
            fields["tool_calls"] = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": tool_name(call.tool_name), "arguments": compact(call.args)},
                    **self.call_fields(call, source),
                }
                for call in calls
            ]
            thinking = "".join(part.thinking for part in source.contents if isinstance(part, ThinkingPart))
            if self._reasoning_field and thinking:
                fields[self._reasoning_field] = thinking
        elif not source.text:
            return b""
        return encode(fields)


def create(credentials: Credentials, say: Callable[[str], None]) -> OpenAIChatProvider:
    """The provider for these credentials; `say` hears of retries."""
    return OpenAIChatProvider(
        api_key=credentials.api_key,
        base_url=credentials.base_url,
        headers=credentials.headers,
        tuning=tuning_of(credentials, say, _TIMEOUTS),
    )


def _content(parts: tuple[TextPart | ImagePart | FilePart, ...]) -> Json:
    """Plain text where it is all text: not every server takes a list."""
    if all(isinstance(part, TextPart) for part in parts):
        return "\n".join(part.text for part in parts if isinstance(part, TextPart)) or NOTHING_SAID
    return [_block(part) for part in parts]


def _block(part: TextPart | ImagePart | FilePart) -> JsonObject:
    match part:
        case TextPart(text=text):
            return {"type": "text", "text": text}
        case ImagePart():
            return {"type": "image_url", "image_url": {"url": f"data:{part.mime_type};base64,{part.data}"}}
        case FilePart():
            return {"type": "text", "text": file_text(part)}


def _result(result: ToolResult) -> JsonObject:
    texts = [
        file_text(part) if isinstance(part, FilePart) else part.text
        for part in result.contents
        if not isinstance(part, ImagePart)
    ]
    said = "\n".join(texts) or NOTHING_SAID
    return {"role": "tool", "tool_call_id": result.id, "content": f"Error: {said}" if result.is_error else said}
