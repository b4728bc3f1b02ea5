"""Anthropic's models at somebody else's: what Bedrock and Vertex AI have in common. Knows no credentials."""

from __future__ import annotations

from perstack.core.messages import ModelRequest
from perstack.providers.anthropic import message, opened
from perstack.providers.wire import WireCache

_MARK = b',"cache_control":{"type":"ephemeral"}'
_END = b"}]}]}"


class PlatformBody:
    """Bodies whose last block is marked for the cache: the platforms do not set that mark themselves."""

    def __init__(self) -> None:
        self._wire = WireCache(head=_head, message=message, tail=b"]}")

    def __call__(self, request: ModelRequest) -> bytes:
        body = self._wire.body(request)
        return body[: -len(_END)] + _MARK + _END if body.endswith(_END) else body


def _head(request: ModelRequest) -> bytes:
    return opened({"model": request.model, "stream": True}, request)
