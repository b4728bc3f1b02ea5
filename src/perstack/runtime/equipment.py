"""Getting an expert's skills, tools and prompt ready before its first step, and letting go of them after the last."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import anyio

from perstack.context.prompts import system_prompt
from perstack.core.contracts import Skill, Tell
from perstack.core.errors import InvariantBroken, PerstackError, UserError
from perstack.core.experts import Expert
from perstack.core.json import JsonObject
from perstack.runtime.concurrency import in_order
from perstack.runtime.journal import Journal
from perstack.runtime.offers import Offer, delegate_tools, interactive_tools
from perstack.runtime.toolbox import Toolbox

CLOSING_S = 10.0
_PARALLEL_STARTS = 8


class Voice:
    """Tells what happens to a run's skills, under the segment that is under way: skills outlive segments."""

    def __init__(self, journal: Journal, job_id: str, run_id: str) -> None:
        self._journal = journal
        self._job_id = job_id
        self.run_id = run_id

    def __call__(self, kind: str, payload: JsonObject) -> None:
        self._journal.tell(self._job_id, self.run_id, kind, payload)


async def open_skills(skills: Sequence[Skill], tell: Tell) -> None:
    """Open all, several at a time.

    Raises: UserError and InfrastructureErrors of the first that does not start.
    """
    if len({skill.name for skill in skills}) < len(skills):
        raise InvariantBroken(f"two skills of one name: {', '.join(sorted(skill.name for skill in skills))}")
    await in_order([partial(skill.open, tell) for skill in skills], limit=_PARALLEL_STARTS)


async def fill_toolbox(
    expert: Expert, experts: Mapping[str, Expert], skills: Sequence[Skill], tell: Tell, *, is_delegate: bool
) -> Toolbox:
    """The tools of open skills, the expert's interactive tools and its delegates (those `experts` says it has now).

    A delegate gets no interactive tools: there is nobody to answer it.
    Raises: UserError where names collide or a delegate is missing.
    """
    fixed = () if is_delegate else tuple(interactive_tools(expert))
    for key in expert.delegates:
        if key not in experts:
            raise UserError(
                f"expert `{expert.key}` delegates to `{key}`, which is not found",
                hint=f'Define [experts."{key}"] or remove it from `delegates`.',
            )

    def others() -> Iterable[Offer]:
        return (*fixed, *delegate_tools(experts.get(expert.key, expert), experts))

    toolbox = Toolbox(skills, others, tell)
    await toolbox.fill()
    return toolbox


async def close_skills(skills: Sequence[Skill], tell: Tell) -> None:
    """Close all at once; also while being cancelled, but not for ever. A skill that cannot close says so, no more."""

    async def close(skill: Skill) -> None:
        try:
            await skill.close()
        except PerstackError as error:
            tell("skillStderr", {"skillName": skill.name, "message": f"cannot close: {error.message}"})

    with anyio.move_on_after(CLOSING_S, shield=True):
        async with anyio.create_task_group() as group:
            for skill in skills:
                group.start_soon(close, skill)


def prompt_of(expert: Expert, experts: Mapping[str, Expert], *, is_delegate: bool) -> str:
    """The system prompt: rules of the skills it really has, and the delegates it may call."""
    rules = {
        spec.name: spec.rule for spec in expert.skills.values() if not (is_delegate and spec.type == "interactiveSkill")
    }
    return system_prompt(expert, rules, [experts[key] for key in expert.delegates])
