"""OpenAI Responses, streamed and stateless: nothing is stored at the server, encrypted reasoning is sent back.

Chat Completions, which compatible servers speak, is in `openai_chat.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import httpx2
import openai

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
from perstack.providers.facts import Reasoning
from perstack.providers.failures import Endpoint
from perstack.providers.hosted import HOSTED_MARK, given_back, openai_tools
from perstack.providers.listing import listed
from perstack.providers.openai_stream import ResponseReader
from perstack.providers.wire import NOTHING_SAID, REASONING_MARK, WireCache, encode, file_text, tool_name

_ERRORS = SdkErrors(openai.APIStatusError, openai.APIConnectionError)
_URL = "https://api.openai.com/v1"
_TIMEOUTS = Timeouts(idle_s=240.0)  # a reasoning model may be silent while it thinks
_NO_REASONING = re.compile(r"gpt-[34]|chatgpt-|.*-chat(?:-|$)")  # a deployment's name may be anything else
_LEAST_OUTPUT = 16  # the API refuses less


class OpenAIProvider:
    """A Provider over the official SDK's async client."""

    def __init__(
        self,
        *,
        api_key: str,
        base_url: str = "",
        headers: Mapping[str, str] | None = None,
        max_retries: int = 4,
        tuning: Tuning | None = None,
        client: openai.AsyncOpenAI | None = None,
    ) -> None:
        """`client` is a platform's, made for the same key, address and headers."""
        tuning = tuning or Tuning()
        extra = dict(headers or {})
        self._label = tuning.label or "openai"
        self._client = client or openai.AsyncOpenAI(
            api_key=api_key,
            base_url=base_url or _URL,
            default_headers=extra,
            max_retries=0,
            webhook_secret="",
            http_client=http_client(base_url or _URL, tuning.network),
        )
        forget_environment(self._client)
        self._endpoint = Endpoint(self._label, tuning.key_name or "OPENAI_API_KEY", secrets=(api_key, *extra.values()))
        self._exchange = Exchange(
            post=self._post,
            errors=_ERRORS,
            endpoint=self._endpoint,
            tuning=tuning,
            max_retries=max_retries,
        )
        self._wire = WireCache(head=head, message=message, tail=b"]}")

    @property
    def name(self) -> str:
        return self._label

    async def generate(self, request: ModelRequest, on_delta: Callable[[Delta], None]) -> ModelReply:
        """Ask for one reply.

        Raises: ProviderError when no usable reply can be had.
        """
        return await self._exchange.ask(
            request,
            lambda: self._wire.body(request),
            lambda: ResponseReader(self._endpoint, request, on_delta),
        )

    async def close(self) -> None:
        """Release connections."""
        await self._client.close()

    async def models(self) -> tuple[str, ...]:
        """The ids of the models the server has. Raises: ProviderError."""
        return await listed(self._client, _ERRORS, self._endpoint, "/models")

    async def _post(self, _model: str, body: bytes, limits: httpx2.Timeout) -> httpx2.Response:
        stream = await self._client.post(
            "/responses",
            cast_to=object,
            content=body,
            options={"timeout": limits, "headers": {"Accept": "text/event-stream"}},
            stream=True,
            stream_cls=openai.AsyncStream[object],
        )
        return stream.response


def forget_environment(client: openai.AsyncOpenAI) -> None:
    """Drop what the SDK took from the environment: all that counts is in the headers we gave it."""
    client.organization = None
    client.project = None


def create(credentials: Credentials, say: Callable[[str], None]) -> OpenAIProvider:
    """The provider for these credentials; `say` hears of retries."""
    return OpenAIProvider(
        api_key=credentials.api_key,
        base_url=credentials.base_url,
        headers=credentials.headers,
        tuning=tuning_of(credentials, say, _TIMEOUTS),
    )


def head(request: ModelRequest) -> bytes:
    """The body up to its input. The prefix is cached by the server itself; the key keeps a run on one cache."""
    fields: dict[str, Json] = {
        "model": request.model,
        "stream": True,
        "store": False,
        "max_output_tokens": max(request.max_output_tokens, _LEAST_OUTPUT),
    }
    if request.run_id:
        fields["prompt_cache_key"] = request.run_id[:64]
    if _reasons(request):
        fields["include"] = ["reasoning.encrypted_content"]
        if request.reasoning_budget > 0:
            fields["reasoning"] = {"effort": effort(request.reasoning_budget), "summary": "auto"}
    tools: list[Json] = [
        {
            "type": "function",
            "name": tool.name,
            "description": tool.description,
            "parameters": tool.input_schema,
            "strict": False,
        }
        for tool in request.tools
    ]
    tools += openai_tools(request)
    if tools:
        fields["tools"] = tools
    if request.system.strip():
        fields["instructions"] = request.system
    return encode(fields)[:-1] + b',"input":['


def _reasons(request: ModelRequest) -> bool:
    return request.reasoning != Reasoning.NONE and not _NO_REASONING.match(request.model)


def effort(budget: int) -> str:
    """A budget in tokens as one of the API's levels."""
    return "low" if budget <= 2048 else "medium" if budget <= 5000 else "high"


def message(source: Message) -> bytes:
    """One message as input items, joined by commas; empty when nothing of it can be sent."""
    match source:
        case UserMessage(contents=contents):
            found = [block for part in contents if (block := _block(part))]
            said: list[JsonObject] = [{"role": "user", "content": found or [_text(NOTHING_SAID)]}]
        case ToolMessage(results=results):
            said = [_result(result) for result in results]
        case ExpertMessage(contents=contents):
            said = [item for part in contents if (item := _said(part))]
    return b",".join(encode(item) for item in said)


def _text(text: str) -> JsonObject:
    return {"type": "input_text", "text": text}


def _said(part: ThinkingPart | TextPart | ToolCall) -> JsonObject | None:
    match part:
        case TextPart(text=text):
            return {"role": "assistant", "content": text} if text.strip() else None
        case ToolCall():
            return {
                "type": "function_call",
                "call_id": part.id,
                "name": tool_name(part.tool_name),
                "arguments": compact(part.args),
            }
        case ThinkingPart(signature=mark) if mark.startswith(HOSTED_MARK):
            return given_back("openai", part)
        case ThinkingPart(thinking=thinking, signature=signature, redacted=data):
            if not signature.startswith(REASONING_MARK) or not data:
                return None  # another provider's reasoning, or one that was not encrypted: cannot be sent back
            summary = [{"type": "summary_text", "text": thinking}] if thinking else []
            return {
                "type": "reasoning",
                "id": signature.removeprefix(REASONING_MARK),
                "summary": summary,
                "encrypted_content": data,
            }


def _result(result: ToolResult) -> JsonObject:
    found = [block for part in result.contents if (block := _block(part))]
    output: Json = result.text if all(isinstance(part, TextPart) for part in result.contents) else found
    return {"type": "function_call_output", "call_id": result.id, "output": output or NOTHING_SAID}


def _block(part: TextPart | ImagePart | FilePart) -> JsonObject | None:
    match part:
        case TextPart(text=text):
            return _text(text) if text.strip() else None
        case ImagePart():
            return {"type": "input_image", "image_url": f"data:{part.mime_type};base64,{part.data}", "detail": "auto"}
        case FilePart(mime_type="application/pdf"):
            data = f"data:{part.mime_type};base64,{part.data}"
            return {"type": "input_file", "filename": "document.pdf", "file_data": data}
        case FilePart():
            return _text(file_text(part))
