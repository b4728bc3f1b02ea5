"""Getting an expert's tools and prompt ready before its first step, and letting go of them after the last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import anyio

from perstack.context.prompts import system_prompt
from perstack.core.contracts import Skill
from perstack.core.errors import InvariantBroken
from perstack.core.experts import Expert
from perstack.core.messages import ToolDefinition
from perstack.runtime.concurrency import in_order
from perstack.runtime.journal import Journal
from perstack.runtime.state import RunState
from perstack.runtime.toolbox import Toolbox, add_tool, delegate_tools, interactive_tools, skill_tools

_CLOSING_S = 10.0
_PARALLEL_STARTS = 8


async def open_toolbox(
    expert: Expert,
    experts: Mapping[str, Expert],
    skills: Sequence[Skill],
    *,
    journal: Journal,
    state: RunState,
) -> Toolbox:
    """Ask every skill for its tools and add the expert's interactive tools and delegates.

    A delegate gets no interactive tools: there is nobody to answer it.
    Raises: UserError where names collide or a delegate is missing; InfrastructureError where a skill does not start.
    """
    by_name = {skill.name: skill for skill in skills}
    if len(by_name) < len(skills):
        raise InvariantBroken(f"expert `{expert.key}` was given two skills of one name")

    tell = partial(journal.tell, state.job_id, state.run_id)

    async def connect(skill: Skill) -> Sequence[ToolDefinition]:
        await skill.open(tell)
        return await skill.definitions()

    found = await in_order([partial(connect, skill) for skill in skills], limit=_PARALLEL_STARTS)
    offered = [(skill.name, item) for skill, items in zip(skills, found, strict=True) for item in items]
    tools = skill_tools(offered)
    if state.delegated_by is None:
        for definition, route in interactive_tools(expert):
            add_tool(tools, definition, route)
    for definition, route in delegate_tools(expert, experts):
        add_tool(tools, definition, route)
    routes = {name: route for name, (_, route) in tools.items()}
    return Toolbox([definition for definition, _ in tools.values()], routes, by_name)


async def close_skills(skills: Sequence[Skill], *, journal: Journal, state: RunState) -> None:
    """Close skills that the runtime opened; also while being cancelled, but not for ever."""
    with anyio.move_on_after(_CLOSING_S, shield=True):
        for skill in skills:
            await skill.close()
            journal.tell(state.job_id, state.run_id, "skillDisconnected", {"skillName": skill.name})


def prompt_of(expert: Expert, experts: Mapping[str, Expert], *, is_delegate: bool) -> str:
    """The system prompt: rules of the skills it really has, and the delegates it may call."""
    rules = {
        spec.name: spec.rule for spec in expert.skills.values() if not (is_delegate and spec.type == "interactiveSkill")
    }
    return system_prompt(expert, rules, [experts[key] for key in expert.delegates])
