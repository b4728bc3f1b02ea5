"""The outputs of `action.yml` for a story. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from perstack.core.json import compact
from perstack.core.usage import ModelUsage
from perstack.core.verdict import ReasonCode
from perstack.interface.shares import matrix_of
from perstack.interface.story import Story


def outputs(story: Story) -> dict[str, str]:
    """Every output by its name; texts, as workflows take them. `cost-usd` is empty where it is not known."""
    outcome, report = story.outcome, story.judged
    values = {
        "verdict": story.verdict.value,
        "outcome": outcome.ending.value if outcome else "verified",
        "head-sha": story.commit or story.base,
        "pr-url": story.pull_url,
        "check-url": story.check_url,
        "evidence": report.evidence if report else "",
        "reasons": compact([r.code.value for r in report.reasons]) if report else "[]",
        "rounds": str(len(outcome.rounds)) if outcome else "0",
        "tokens-in": str(outcome.usage.input_tokens) if outcome else "0",
        "tokens-out": str(outcome.usage.output_tokens) if outcome else "0",
        "tokens-cached": str(outcome.usage.cached_input_tokens) if outcome else "0",
        "models": models_json(outcome.models if outcome else ()),
        "cost-usd": "" if story.cost_usd is None else f"{story.cost_usd:.4f}",
        "report": "",
    }
    told = report is None or all(reason.code is not ReasonCode.SECRET_IN_PATCH for reason in report.reasons)
    if outcome is not None and outcome.candidate is not None and told:
        values["patch"] = outcome.candidate.patch
    return values


def models_json(models: Sequence[ModelUsage]) -> str:
    """What each model used, as a workflow takes it."""
    return compact([one.to_json() for one in models])


def sharing_outputs(shares: Sequence[Sequence[str]]) -> dict[str, str]:
    """The outputs of a job that only says who measures what."""
    return {
        "verdict": "",
        "outcome": "shared",
        "matrix": compact(matrix_of(shares)),
    }
