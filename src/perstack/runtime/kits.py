"""What a pipeline needs to have experts at work: who runs them, and what makes their skills. Makes no decision."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Protocol

from perstack.core.contracts import Session, Skill
from perstack.core.experts import Expert
from perstack.runtime.driver import RunOutcome
from perstack.runtime.request import MakeSkills
from perstack.skills.base import base_skill


class RunExpert(Protocol):
    """Runs one expert to its end. Raises ProviderError, BudgetExceeded and InfrastructureErrors."""

    async def __call__(self, expert: Expert, query: str, skills_for: MakeSkills) -> RunOutcome: ...


class OpenKit(Protocol):
    """What makes the skills of experts over one workspace (theirs and their delegates'), while the context lasts."""

    def __call__(
        self, session: Session, workspace: Path, *, read_only: bool
    ) -> AbstractAsyncContextManager[MakeSkills]: ...


@asynccontextmanager
async def base_tools_only(session: Session, workspace: Path, *, read_only: bool) -> AsyncIterator[MakeSkills]:
    """A kit without any server."""

    async def make(expert: Expert) -> tuple[Skill, ...]:
        return (base_skill(expert, workspace, session, read_only=read_only),)

    yield make
