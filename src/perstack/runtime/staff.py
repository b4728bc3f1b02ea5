"""The experts of one job at work: one provider, one budget, each expert with its own model. Picks no provider."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from perstack.core.errors import BudgetExceeded, UserError
from perstack.core.experts import Config, Expert
from perstack.core.outcome import FixOutcome, Planned, Reviewed
from perstack.runtime.driver import Runner, RunOutcome, RunRequest
from perstack.runtime.request import MakeSkills

E = TypeVar("E", FixOutcome, Planned, Reviewed)
REASONING_TOKENS = {"none": 0, "minimal": 1024, "low": 2048, "medium": 5000, "high": 10_000}


def reasoning_tokens(budget: str | int) -> int:
    """A named level or a number of tokens, as tokens."""
    return budget if isinstance(budget, int) else REASONING_TOKENS[budget]


@dataclass(slots=True)
class Staff:
    """Runs experts within the job's step budget. `model_of` resolves an expert's tier to a model id."""

    runner: Runner
    config: Config
    job_id: str
    model_of: Callable[[Expert], str]
    max_steps: int
    next_step: int = 1

    def billed(self, ending: E) -> E:
        """The end of a job with what it has cost, and what each model used."""
        return replace(ending, cost_usd=self.runner.cost_usd, models=self.runner.models)

    def check(self, keys: tuple[str, ...]) -> None:
        """Raises: UserError when a pipeline names an expert that is not defined."""
        for key in keys:
            if key not in self.config.experts:
                known = ", ".join(sorted(self.config.experts)) or "none"
                raise UserError(
                    f"a pipeline names expert `{key}`, which is not defined", hint=f"defined experts: {known}"
                )

    async def __call__(self, expert: Expert, query: str, skills_for: MakeSkills) -> RunOutcome:
        """Run one expert to its end; `skills_for` makes its skills and those of its delegates.

        Raises: BudgetExceeded when the job's steps are used up, ProviderError and InfrastructureErrors.
        """
        used = self.next_step - 1
        if used >= self.max_steps:
            raise BudgetExceeded("steps", value=used, limit=self.max_steps)
        outcome = await self.runner.run(
            RunRequest(
                expert=expert,
                query=query,
                model=self.model_of(expert),
                skills_for=skills_for,
                experts=self.config.experts,
                max_steps=self.max_steps,
                max_retries=self.config.max_retries,
                timeout_s=self.config.timeout_ms / 1000,
                reasoning_budget=reasoning_tokens(self.config.reasoning_budget),
                job_id=self.job_id,
                first_step=self.next_step,
                context=self.config.context,
            )
        )
        self.next_step += max(outcome.steps, 1)
        return outcome
