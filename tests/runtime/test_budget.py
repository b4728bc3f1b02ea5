"""The budget of a job: what it lets through, and what it stops before it is sent."""

from __future__ import annotations

from decimal import Decimal

import pytest

from perstack.core.errors import BudgetExceeded, UserError
from perstack.core.usage import Usage
from perstack.runtime.budget import TokenBudget


def dollar_a_token(model: str, usage: Usage) -> Decimal | None:
    """One dollar for every token of a known model."""
    return None if model == "mystery" else Decimal(usage.total_tokens)


def test_money_stops_before_the_call_that_would_exceed_it() -> None:
    budget = TokenBudget(cost_limit=100, cost_of=dollar_a_token)
    budget.check("m", Usage(40, 60))
    budget.add(Usage(30, 10), "m")
    budget.check("m", Usage(40, 20))
    with pytest.raises(BudgetExceeded, match=r"\$40\.0000 of \$100\.0000, and the next call would make it \$101"):
        budget.check("m", Usage(41, 20))
    assert budget.cost == 40


def test_money_cannot_be_limited_where_the_price_is_unknown() -> None:
    with pytest.raises(UserError, match="the price of model mystery is not known"):
        TokenBudget(cost_limit=1, cost_of=dollar_a_token).check("mystery", Usage(1, 1))
    TokenBudget(cost_of=dollar_a_token).check("mystery", Usage(1, 1))


def test_one_unknown_price_makes_the_whole_cost_unknown() -> None:
    budget = TokenBudget(cost_of=dollar_a_token)
    assert budget.cost == 0
    budget.add(Usage(5, 5), "m")
    budget.add(Usage(), "mystery")
    assert budget.cost == 10
    other = TokenBudget(cost_of=dollar_a_token)
    other.add(Usage(5, 5), "m")
    other.add(Usage(1, 0), "mystery")
    assert other.cost is None
    assert other.used == 11


def test_a_reply_may_be_as_long_as_the_tokens_that_are_left() -> None:
    budget = TokenBudget(100)
    assert budget.room(20, 500) == 80
    assert TokenBudget().room(20, 500) == 500
    budget.add(Usage(50, 20))
    assert budget.room(29, 500) == 1
    with pytest.raises(BudgetExceeded, match="70 of 100, and the next call would make it 100"):
        budget.room(30, 500)
