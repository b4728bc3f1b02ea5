"""Other models for when one does not answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal

import anyio
import pytest

from perstack.core.errors import BudgetExceeded, ProviderError
from perstack.core.messages import Delta, ModelReply, ModelRequest, StopReason, TextPart
from perstack.providers.fallback import FallbackProvider
from perstack.providers.scripted import ScriptedProvider
from perstack.runtime.budget import TokenBudget
from tests.providers.builders import ask, ignore

pytestmark = pytest.mark.anyio


def failing(*names: str, retryable: bool = True) -> ScriptedProvider:
    """Models of these names fail; others answer with their name."""

    def answer(request: ModelRequest) -> ModelReply:
        if request.model in names:
            raise ProviderError(f"{request.model} is down", retryable=retryable)
        return ModelReply((TextPart(request.model),), StopReason.END, model=request.model)

    return ScriptedProvider(answer)


class Silent(ScriptedProvider):
    """A model whose script may wait."""

    def __init__(self, answer: Callable[[ModelRequest], Awaitable[ModelReply]]) -> None:
        super().__init__([])
        self._answer = answer

    async def generate(self, request: ModelRequest, on_delta: Callable[[Delta], None]) -> ModelReply:
        return await self._answer(request)


async def test_the_next_model_is_asked_where_one_gives_up_and_that_is_told() -> None:
    inner, told = failing("a", "b"), list[str]()
    model = FallbackProvider(inner, ("b", "c"), told.append)
    assert (await model.generate(ask(model="a"), ignore)).model == "c"
    assert told == [
        "model a does not answer, b is asked: a is down",
        "model b does not answer, c is asked: b is down",
    ]
    assert (await model.generate(ask(model="a"), ignore)).model == "c"
    assert [request.model for request in inner.requests] == ["a", "b", "c"] * 2
    await model.close()
    assert inner.closed


async def test_a_model_that_never_begins_leaves_the_others_their_share_of_the_time() -> None:
    async def answer(request: ModelRequest) -> ModelReply:
        if request.model == "a":
            await anyio.sleep_forever()
        return ModelReply((TextPart(f"{request.model} {request.timeout_s > 0.04}"),), StopReason.END)

    told = list[str]()
    with anyio.fail_after(5):
        reply = await FallbackProvider(Silent(answer), ("b",), told.append).generate(
            ask(timeout_s=0.1, model="a"), ignore
        )
    assert reply.contents == (TextPart("b True"),)
    assert "model a does not answer, b is asked: no answer has begun" in told[0]


async def test_a_dearer_model_is_not_asked_beyond_the_budget_nor_for_more_than_it_writes() -> None:
    prices = {"a": 1, "b": 100, "gpt-4-0613": 1}
    budget = TokenBudget(
        cost_limit=1.0, cost_of=lambda model, used: Decimal(used.total_tokens * prices[model]) / 10_000
    )
    inner = failing("a")
    with pytest.raises(BudgetExceeded, match="budget reached"):
        await FallbackProvider(inner, ("b",), lambda _: None, room=budget.affordable).generate(ask(model="a"), ignore)
    assert [request.model for request in inner.requests] == ["a"]
    other = FallbackProvider(inner, ("gpt-4-0613",), lambda _: None, room=budget.affordable)
    await other.generate(ask(model="a", max_output_tokens=30_000), ignore)
    assert inner.requests[-1].max_output_tokens == 4096


async def test_a_refusal_for_good_asks_nobody_else() -> None:
    inner, told = failing("a", retryable=False), list[str]()
    with pytest.raises(ProviderError, match="a is down"):
        await FallbackProvider(inner, ("b",), told.append).generate(ask(model="a"), ignore)
    assert len(inner.requests) == 1
    assert told == []


async def test_the_last_models_failure_is_the_one_that_is_raised() -> None:
    inner = failing("a", "b")
    with pytest.raises(ProviderError, match="b is down"):
        await FallbackProvider(inner, ("a", "b"), lambda _: None).generate(ask(model="a"), ignore)
    assert [request.model for request in inner.requests] == ["a", "b"]
