"""The token budget of a job: one mutable counter shared by every run of it."""

from __future__ import annotations

from perstack.core.errors import BudgetExceeded
from perstack.core.usage import Usage


class TokenBudget:
    """Counts input and output tokens of all model calls. `limit` 0 means no limit."""

    __slots__ = ("_limit", "_used")

    def __init__(self, limit: int = 0) -> None:
        self._limit = limit
        self._used = 0

    @property
    def used(self) -> int:
        """Tokens spent so far."""
        return self._used

    def check(self) -> None:
        """Call before spending.

        Raises: BudgetExceeded when nothing is left.
        """
        if self._limit and self._used >= self._limit:
            raise BudgetExceeded("tokens", value=self._used, limit=self._limit)

    def add(self, usage: Usage) -> None:
        """Count one reply."""
        self._used += usage.total_tokens
