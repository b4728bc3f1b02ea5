"""Other models for when one does not answer: asked in order, each from the start. Talks to no server itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import anyio

from perstack.core.contracts import Provider
from perstack.core.errors import ProviderError
from perstack.core.messages import Delta, ModelReply, ModelRequest
from perstack.core.usage import Usage
from perstack.providers.estimate import estimated
from perstack.providers.facts import Traits, facts

Room = Callable[[str, Usage, int], int]
"""How many of the wanted tokens a model may write after it has read so much. Raises: BudgetExceeded, UserError."""


class FallbackProvider:
    """A Provider that asks the next model of `models` where one gave up, after all its own retries.

    Only a failure that may pass is a reason: a bad request, a wrong key or a prompt that is too long would fail
    elsewhere too, or hide a mistake. The next request begins with the wanted model again. A model that has not begun
    to answer in its share of the call's time has given up, too: else the others would have none.
    """

    def __init__(
        self,
        provider: Provider,
        models: Sequence[str],
        say: Callable[[str], None],
        *,
        room: Room | None = None,
        traits: Callable[[str], Traits] | None = None,
    ) -> None:
        """`room` is asked before another model is: it may be dearer. `traits` says what that one can write."""
        self._provider = provider
        self._models = tuple(models)
        self._say = say
        self._room = room
        self._traits = traits or (lambda model: facts(provider.name, model))

    @property
    def name(self) -> str:
        return self._provider.name

    async def generate(self, request: ModelRequest, on_delta: Callable[[Delta], None]) -> ModelReply:
        """One reply, of the first model that gives one.

        Raises: ProviderError of the last model, or the first that is no reason to ask another; what `room` raises.
        """
        models = tuple(dict.fromkeys((request.model, *self._models)))
        ends_at = anyio.current_time() + request.timeout_s
        for number, model in enumerate(models[:-1]):
            left = ends_at - anyio.current_time()
            try:
                asked = replace(self._for(request, model), timeout_s=left)
                return await self._begun(asked, left / (len(models) - number), on_delta, request.model)
            except ProviderError as error:
                if not error.retryable:
                    raise
                self._say(f"model {model} does not answer, {models[number + 1]} is asked: {error.message}")
        asked = replace(self._for(request, models[-1]), timeout_s=max(ends_at - anyio.current_time(), 0.0))
        return _of(await self._provider.generate(asked, on_delta), asked.model, request.model)

    async def _begun(
        self, request: ModelRequest, share_s: float, on_delta: Callable[[Delta], None], wanted: str
    ) -> ModelReply:
        """The reply of a model that begins it within its share of the time.

        Raises: ProviderError.
        """
        with anyio.CancelScope(deadline=anyio.current_time() + share_s) as scope:

            def begun(delta: Delta) -> None:
                scope.deadline = float("inf")  # from here on, the provider's own limits hold
                on_delta(delta)

            return _of(await self._provider.generate(request, begun), request.model, wanted)
        raise ProviderError(f"no answer has begun within {share_s:,.0f} s", retryable=True)

    def _for(self, request: ModelRequest, model: str) -> ModelRequest:
        """How another model reasons is judged by its name: what is known of the wanted one does not hold."""
        if model == request.model:
            return request
        most = min(request.max_output_tokens, self._traits(model).output or request.max_output_tokens)
        if self._room is not None:
            most = self._room(model, replace(estimated(request, ""), estimated_tokens=0), most)
        return replace(request, model=model, reasoning="", max_output_tokens=most)

    async def close(self) -> None:
        """Release connections."""
        await self._provider.close()


def _of(reply: ModelReply, model: str, wanted: str) -> ModelReply:
    return reply if model == wanted else replace(reply, asked=model)
