"""A review: one expert that reads a change and remarks on it, in a sandbox over the result. Soft: decides nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from perstack.context.review_queries import review_query
from perstack.core.contracts import Sandbox
from perstack.core.errors import BudgetExceeded, ProviderError
from perstack.core.experts import Expert
from perstack.core.json import JsonObject
from perstack.core.outcome import Reviewed
from perstack.core.sandbox import Snapshot
from perstack.infrastructure.git import Repository
from perstack.runtime.kits import OpenKit, RunExpert
from perstack.runtime.stage import Stage


@dataclass(frozen=True, slots=True)
class ReviewRequest:
    """A change to look at: the commit `head` that it leads to, its diff, and what people say about it."""

    repository: Repository
    head: str
    patch: str
    title: str
    text: str
    expert: Expert
    snapshot: Snapshot
    workspace: Path


@dataclass(frozen=True, slots=True)
class ReviewTools:
    """The concrete parts a review works with."""

    sandbox: Sandbox
    run_expert: RunExpert
    kit: OpenKit
    emit: Callable[[str, JsonObject], None]
    now_s: Callable[[], float]


async def review(request: ReviewRequest, tools: ReviewTools) -> Reviewed:
    """Have the expert read the change. What a model or its limits ended is a result.

    Raises: InfrastructureErrors other than the model's.
    """
    with Stage(tools.emit, tools.now_s, {"stage": "review", "round": 0}):
        await request.repository.export(request.head, request.workspace)
        async with (
            tools.sandbox.open(request.snapshot, request.workspace) as session,
            tools.kit(session, request.workspace, read_only=True) as skills_for,
        ):
            query = review_query(request.title, request.text, request.patch)
            try:
                outcome = await tools.run_expert(request.expert, query, skills_for)
            except (ProviderError, BudgetExceeded) as error:
                return Reviewed("", error=str(error))
    return Reviewed(outcome.text, outcome.usage, outcome.error)
