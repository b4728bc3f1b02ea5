"""Other models for when one does not answer."""

from __future__ import annotations

import pytest

from perstack.core.errors import ProviderError
from perstack.core.messages import ModelReply, ModelRequest, StopReason, TextPart
from perstack.providers.fallback import FallbackProvider
from perstack.providers.scripted import ScriptedProvider
from tests.providers.builders import ask, ignore

pytestmark = pytest.mark.anyio


def failing(*names: str, retryable: bool = True) -> ScriptedProvider:
    """Models of these names fail; others answer with their name."""

    def answer(request: ModelRequest) -> ModelReply:
        if request.model in names:
            raise ProviderError(f"{request.model} is down", retryable=retryable)
        return ModelReply((TextPart(request.model),), StopReason.END, model=request.model)

    return ScriptedProvider(answer)


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
