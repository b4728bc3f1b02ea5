"""The budget of a job, in tokens and in money: one mutable counter shared by every run of it. Knows no prices."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from decimal import Decimal

from perstack.core.errors import COST, BudgetExceeded, UserError
from perstack.core.messages import Trouble
from perstack.core.usage import ExpertUsage, ModelUsage, Usage

_SHORT_ANSWER = 1024  # tokens; a call that may not even write so much is not worth its reading
CostOf = Callable[[str, Usage], Decimal | None]
"""US dollars of a model's usage; None where its price is not known."""


def _unknown(_model: str, _usage: Usage) -> Decimal | None:
    return None


class TokenBudget:
    """Counts input and output tokens of all model calls, and what they cost. A limit of 0 means no limit."""

    __slots__ = (
        "_cost",
        "_cost_limit",
        "_cost_of",
        "_experts",
        "_limit",
        "_models",
        "_paid",
        "_priced",
        "_troubles",
        "_used",
    )

    def __init__(self, limit: int = 0, *, cost_limit: float = 0.0, cost_of: CostOf = _unknown) -> None:
        self._limit = limit
        self._cost_limit = Decimal(str(cost_limit))
        self._cost_of = cost_of
        self._used = 0
        self._cost = Decimal(0)
        self._priced = True
        self._models: dict[str, ModelUsage] = {}
        self._paid: dict[str, Decimal] = {}
        self._troubles: dict[str, int] = {}
        self._experts: dict[str, ExpertUsage] = {}

    @property
    def used(self) -> int:
        """Tokens spent so far."""
        return self._used

    @property
    def cost(self) -> Decimal | None:
        """US dollars spent so far; None where one of the calls has no known price."""
        return self._cost if self._priced else None

    @property
    def models(self) -> tuple[ModelUsage, ...]:
        """What each model used so far, in the order they were first asked."""
        return tuple(self._models.values())

    @property
    def experts(self) -> tuple[ExpertUsage, ...]:
        """What each expert used so far, in the order they first answered."""
        return tuple(self._experts.values())

    @property
    def troubles(self) -> Mapping[str, int]:
        """How often each kind of trouble was met, by its name."""
        return dict(sorted(self._troubles.items()))

    def note(self, troubles: Iterable[Trouble]) -> None:
        """Count what was wrong and did not end the job."""
        for one in troubles:
            self._troubles[one.kind.value] = self._troubles.get(one.kind.value, 0) + one.count

    @property
    def usage(self) -> Usage:
        """All of it together."""
        return sum((one.usage for one in self._models.values()), Usage())

    def check(self, model: str = "", expected: Usage | None = None) -> None:
        """Call before spending; `expected` is what the next call of `model` may use at most; without a model, whether
        anything is left.

        Raises: BudgetExceeded when nothing is left, or not enough money for that call; UserError where money is
        limited and the price is not known.
        """
        if self._limit and self._used >= self._limit:
            raise BudgetExceeded("tokens", value=self._used, limit=self._limit)
        if not self._cost_limit:
            return
        if not model:
            if self._cost >= self._cost_limit:
                raise BudgetExceeded(COST, value=float(self._cost), limit=float(self._cost_limit))
            return
        price = self._cost_of(model, expected or Usage())
        if price is None:
            raise UserError(
                f"the price of model {model} is not known, so a budget in money cannot be kept",
                hint='Say it in perstack.toml: [provider.models."…"] inputPrice and outputPrice. Or limit tokens.',
            )
        if self._cost + price > self._cost_limit:
            value, used = float(self._cost + price), float(self._cost)
            raise BudgetExceeded(COST, value=value, limit=float(self._cost_limit), used=used)

    def room(self, reading: int, wanted: int) -> int:
        """How many of the `wanted` tokens a call that reads `reading` may write, so that the limit holds.

        Raises: BudgetExceeded where not even the reading fits.
        """
        if not self._limit:
            return wanted
        left = self._limit - self._used - reading
        if left <= 0:
            raise BudgetExceeded("tokens", value=self._used + reading, limit=self._limit, used=self._used)
        return min(wanted, left)

    def affordable(self, model: str, reading: Usage, wanted: int) -> int:
        """How many of the `wanted` tokens a call of `model` that reads `reading` may write, so that the money lasts.

        Raises: BudgetExceeded where not even the reading and a short answer can be paid; UserError as `check`.
        """
        if not self._cost_limit:
            return wanted
        few = min(wanted, _SHORT_ANSWER)
        self.check(model, replace(reading, output_tokens=few))
        low, high = few, wanted
        while low < high:  # prices may have steps: asked, not computed
            middle = (low + high + 1) // 2
            price = self._cost_of(model, replace(reading, output_tokens=middle))
            if price is not None and self._cost + price <= self._cost_limit:
                low = middle
            else:
                high = middle - 1
        return low

    def add(self, usage: Usage, model: str = "", *, replies: int = 1, repairs: int = 0, expert: str = "") -> None:
        """Count `replies` of `model` to `expert`, in which so many things had to be put right."""
        self._used += usage.total_tokens
        if not usage.total_tokens:
            return
        price = self._cost_of(model, usage)
        before = self._models.get(model, ModelUsage(model, Usage(), 0.0))
        self._paid[model] = self._paid.get(model, Decimal(0)) + (price or 0)
        self._models[model] = ModelUsage(
            model,
            before.usage + usage,
            None if price is None or before.cost_usd is None else float(self._paid[model]),
            before.replies + replies,
            before.repairs + repairs,
        )
        if expert:
            past = self._experts.get(expert, ExpertUsage(expert, Usage(), 0.0))
            cost = None if price is None or past.cost_usd is None else float(Decimal(str(past.cost_usd)) + price)
            self._experts[expert] = ExpertUsage(expert, past.usage + usage, cost, past.replies + replies)
        self._priced = self._priced and price is not None
        self._cost += price or 0
