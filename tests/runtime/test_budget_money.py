"""Money: what may still be spent is decided before a call, and what each model cost is kept apart."""

from __future__ import annotations

from decimal import Decimal

import pytest

from perstack.core.errors import BudgetExceeded, UserError
from perstack.core.messages import ModelReply, ModelRequest
from perstack.core.usage import ModelUsage, Usage
from perstack.interface.history.lines import View, event_lines
from perstack.runtime.budget import TokenBudget
from perstack.testing import expert, experts, reply
from tests.runtime.running import Bench


def _price(model: str, usage: Usage) -> Decimal | None:
    """A dollar for a thousand tokens read, two for a thousand written."""
    return None if model == "mystery" else Decimal(usage.input_tokens + 2 * usage.output_tokens) / 1000


def test_a_reply_is_made_as_long_as_the_money_lasts_and_no_longer() -> None:
    budget = TokenBudget(cost_limit=5.0, cost_of=_price)
    assert budget.affordable("m", Usage(1000), 1500) == 1500
    assert budget.affordable("m", Usage(1000), 30_000) == 2000
    budget.add(Usage(1000, 0), "m")
    assert budget.affordable("m", Usage(1000), 30_000) == 1500


def test_a_call_that_cannot_even_write_a_little_is_not_made_the_first_one_neither() -> None:
    budget = TokenBudget(cost_limit=2.0, cost_of=_price)
    with pytest.raises(BudgetExceeded):
        budget.affordable("m", Usage(1000), 8000)
    with pytest.raises(UserError, match="price of model mystery"):
        budget.affordable("mystery", Usage(10), 10)


def test_whether_anything_is_left_needs_no_model() -> None:
    budget = TokenBudget(cost_limit=1.0, cost_of=_price)
    budget.check()
    budget.add(Usage(1000, 0), "m")
    with pytest.raises(BudgetExceeded):
        budget.check()


def test_what_each_model_used_and_cost_is_kept_apart() -> None:
    budget = TokenBudget(cost_of=_price)
    budget.add(Usage(1000, 500), "a")
    budget.add(Usage(10, 0), "mystery")
    budget.add(Usage(1000, 0), "a", repairs=2)
    assert budget.models == (
        ModelUsage("a", Usage(2000, 500), 3.0, replies=2, repairs=2),
        ModelUsage("mystery", Usage(10), None, replies=1),
    )
    assert budget.usage == Usage(2010, 500)
    assert budget.cost is None


@pytest.mark.anyio
async def test_what_each_expert_used_is_told_apart_in_the_result_the_event_and_the_log() -> None:
    team = experts(expert("lead", "I lead.", delegates=("helper",)), expert("helper", "I help."))

    def play(request: ModelRequest) -> ModelReply:
        if "I help." in request.system:
            return reply(calls=[("attemptCompletion", {"result": "helped"})], usage=Usage(1000, 0))
        if len(request.messages) > 1:
            return reply("led", usage=Usage(1000, 0))
        return reply(calls=[("helper", {"query": "help"}), ("moon", {})], usage=Usage(2000, 0))

    bench = Bench(play, tokens=TokenBudget(cost_of=lambda _, usage: Decimal(usage.total_tokens) / 1000))
    outcome = await bench.run(team["lead"], experts=team)
    used = {one.expert: (one.usage.input_tokens, one.cost_usd, one.replies) for one in outcome.experts}
    assert used["helper"] == (1000, 1.0, 1)
    assert used["lead"][0] >= 3000
    assert sum(one.usage.total_tokens for one in outcome.experts) == sum(m.usage.total_tokens for m in outcome.models)
    assert outcome.troubles == {"unknown-tool": 1}
    event = bench.events[-1]
    assert event.payload["experts"] == [one.to_json() for one in outcome.experts]
    lines = [line.plain for line in event_lines(event, View())]
    assert any("expert helper: 1,000 in, 0 out, $1.0000" in line for line in lines)
    assert any("1 × unknown-tool" in line for line in lines)
