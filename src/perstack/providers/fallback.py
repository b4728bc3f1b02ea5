"""Other models for when one does not answer: asked in order, each from the start. Talks to no server itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from perstack.core.contracts import Provider
from perstack.core.errors import ProviderError
from perstack.core.messages import Delta, ModelReply, ModelRequest


class FallbackProvider:
    """A Provider that asks the next model of `models` where one gave up, after all its own retries.

    Only a failure that may pass is a reason: a bad request, a wrong key or a prompt that is too long would fail
    elsewhere too, or hide a mistake. The next request begins with the wanted model again.
    """

    def __init__(self, provider: Provider, models: Sequence[str], say: Callable[[str], None]) -> None:
        self._provider = provider
        self._models = tuple(models)
        self._say = say

    @property
    def name(self) -> str:
        return self._provider.name

    async def generate(self, request: ModelRequest, on_delta: Callable[[Delta], None]) -> ModelReply:
        """One reply, of the first model that gives one.

        Raises: ProviderError of the last model, or the first that is no reason to ask another.
        """
        models = dict.fromkeys((request.model, *self._models))
        *others, last = models
        for model, following in zip(others, tuple(models)[1:], strict=True):
            try:
                return await self._ask(request, model, on_delta)
            except ProviderError as error:
                if not error.retryable:
                    raise
                self._say(f"model {model} does not answer, {following} is asked: {error.message}")
        return await self._ask(request, last, on_delta)

    async def _ask(self, request: ModelRequest, model: str, on_delta: Callable[[Delta], None]) -> ModelReply:
        """How another model reasons is judged by its name: what is known of the wanted one does not hold."""
        if model == request.model:
            return await self._provider.generate(request, on_delta)
        reply = await self._provider.generate(replace(request, model=model, reasoning=""), on_delta)
        return replace(reply, asked=model)

    async def close(self) -> None:
        """Release connections."""
        await self._provider.close()
