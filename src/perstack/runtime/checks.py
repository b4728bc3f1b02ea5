"""Checks that an expert writes from the task alone, before anything is built: two authors, one harness that weighs.

Each author has a context of its own, an empty workspace and one tool that takes data. What comes out is soft in origin:
where no author can be asked, a job goes on without.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from perstack.context.check_queries import answer_query, write_query
from perstack.context.fix_queries import FixFacts
from perstack.core.contracts import Skill
from perstack.core.errors import ProviderError, ToolError
from perstack.core.json import JsonObject
from perstack.signals.held_out.written import (
    MAX_CHECKS,
    Result,
    WrittenCheck,
    WrittenChecks,
    controls_for,
    literal,
    read_check,
    settle,
)
from perstack.signals.held_out.written_check import Draft
from perstack.skills.checks import answering, writing

MAX_TRIES = 3
"""Candidates of one job that an expert's checks may speak against; each of them tells a builder one bit."""
Ask = Callable[[str, Path, Skill], Awaitable[object]]
"""Puts a query to the expert, over a workspace, with one skill more than its own. Raises: ProviderError."""


class TooManyChecks(ToolError):
    """An author has written as many checks as are asked."""


@dataclass(slots=True)
class _Author:
    draft: Draft
    checks: list[WrittenCheck] = field(default_factory=list)

    def accept(self, texts: Mapping[str, str], _: int) -> str:
        if len(self.checks) >= MAX_CHECKS:
            raise TooManyChecks(f"there are {MAX_CHECKS} checks already", hint="End with `attemptCompletion`.")
        self.checks.append(read_check(texts.get("call", ""), _result(texts), self.draft.surface.targets))
        return f"check {len(self.checks)} of at most {MAX_CHECKS} is written"


@dataclass(slots=True)
class _Second:
    """`questions` are calls with what they are compared with, in the order of their numbers."""

    questions: tuple[tuple[str, str], ...]
    answers: dict[tuple[str, str], Result] = field(default_factory=dict)

    def accept(self, texts: Mapping[str, str], number: int) -> str:
        if not 1 <= number <= len(self.questions):
            raise ToolError(f"there is no question {number}", hint=f"The questions are 1 to {len(self.questions)}.")
        call, other = self.questions[number - 1]
        result = _result(texts)
        if result.expected:
            result = Result(expected=literal(result.expected))
        elif result.same_as:
            result = Result(same_as=other)  # says that they are the same; there is nothing else to say
        self.answers[call, other] = result
        return "noted"


def _result(texts: Mapping[str, str]) -> Result:
    return Result(texts.get("expected", ""), texts.get("raises", ""), texts.get("sameAs", ""))


async def write_checks(
    draft: Draft, facts: FixFacts, ask: Ask, emit: Callable[[str, JsonObject], None], scratch: Path
) -> WrittenChecks | None:
    """The checks that count for this job; None where there are none."""
    author = _Author(draft)
    try:
        await ask(write_query(facts, draft.surface.text, MAX_CHECKS), _empty(scratch / "1"), writing(author.accept))
        if not author.checks:
            return None
        controls = controls_for(author.checks, draft.known)
        pairs = {(check.call, check.result.same_as) for check in author.checks} | {(one.call, "") for one in controls}
        second = _Second(tuple(sorted(pairs)))  # by their text: nothing tells a control from a check
        query = answer_query(facts, draft.surface.text, second.questions)
        await ask(query, _empty(scratch / "2"), answering(second.accept))
    except ProviderError as error:
        emit("progress", {"message": f"no checks were written: {error.message}"})
        return None
    kept = settle(author.checks, draft.known, second.answers, controls)
    emit("progress", {"message": f"{len(author.checks)} check(s) were written from the task alone, {len(kept)} count"})
    return WrittenChecks(kept, draft.python, draft.signal) if kept else None


def _empty(workspace: Path) -> Path:
    workspace.mkdir(parents=True)
    return workspace
