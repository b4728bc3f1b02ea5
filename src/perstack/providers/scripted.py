"""A provider whose replies are given beforehand: for tests and for replay. Talks to no server."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from perstack.core.errors import ProviderError
from perstack.core.messages import Delta, ModelReply, ModelRequest, TextPart, ThinkingPart

Script = Callable[[ModelRequest], ModelReply]


class ScriptedProvider:
    """Gives `replies` in order, or what the function answers. `requests` records every request."""

    def __init__(self, replies: Sequence[ModelReply] | Script, *, name: str = "scripted") -> None:
        self.requests: list[ModelRequest] = []
        self.closed = False
        self._replies = replies
        self._name = name

    @property
    def name(self) -> str:
        return self._name

    async def generate(self, request: ModelRequest, on_delta: Callable[[Delta], None]) -> ModelReply:
        """The next reply, with one delta for each of its texts.

        Raises: ProviderError when the replies are used up.
        """
        self.requests.append(request)
        reply = self._next(request)
        for part in reply.contents:
            match part:
                case TextPart(text=text) if text:
                    on_delta(Delta("text", text))
                case ThinkingPart(thinking=text) if text:
                    on_delta(Delta("thinking", text))
        return reply

    async def close(self) -> None:
        """Remember that it was closed."""
        self.closed = True

    def _next(self, request: ModelRequest) -> ModelReply:
        if callable(self._replies):
            return self._replies(request)
        number = len(self.requests)
        if number > len(self._replies):
            raise ProviderError(
                f"the script has {len(self._replies)} replies; reply {number} was asked for",
                hint="Add a reply to the script, or end the run earlier.",
            )
        return self._replies[number - 1]
