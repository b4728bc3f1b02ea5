"""Makes the MCP skills of one expert. What runs where is the caller's: it brings the sandbox, the values, the lock."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from anyio.abc import TaskGroup

from perstack.core.contracts import Service, Skill
from perstack.core.experts import BUILTIN_SKILLS, Expert, SkillSpec
from perstack.core.messages import ToolDefinition
from perstack.skills.mcp.contract import Patience
from perstack.skills.mcp.endpoint import PUBLIC_HTTPS, Policy
from perstack.skills.mcp.environment import environment, missing_variables
from perstack.skills.mcp.skill import AbsentSkill, HttpSkill, StdioSkill

Serve = Callable[[SkillSpec, Mapping[str, str]], AbstractAsyncContextManager[Service]]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What skills need from whoever runs experts.

    `serve` starts a skill's command in its sandbox with exactly the given values. Servers live in `tasks`: it must
    outlast the skills, and cancelling it ends them. `env` holds the values that `requiredEnv` may name; no other value
    reaches a server. `missing` says what a missing value does: leave the skill out and say so, or end the run.
    """

    tasks: TaskGroup
    serve: Serve
    env: Mapping[str, str] = field(default_factory=dict)
    patience: Patience = field(default_factory=Patience)
    policy: Policy = PUBLIC_HTTPS
    missing: Literal["skip", "error"] = "skip"


def skills_of(
    expert: Expert, surroundings: Surroundings, known: Mapping[str, Sequence[ToolDefinition]] | None = None
) -> tuple[Skill, ...]:
    """The expert's MCP skills, not open yet; its base skill and its interactive skills are made elsewhere.

    `known` are the tools of each skill that the lock file still has right; another skill's server is asked.
    Raises: UserError where a required variable is missing and `missing` is "error".
    """
    found: list[Skill] = []
    for name, spec in expert.skills.items():
        if name in BUILTIN_SKILLS or spec.type == "interactiveSkill":
            continue
        tools = known.get(name) if known else None
        found.append(_remote(spec, surroundings, tools) if spec.endpoint else _local(spec, surroundings, tools))
    return tuple(found)


def _remote(spec: SkillSpec, around: Surroundings, known: Sequence[ToolDefinition] | None) -> Skill:
    return HttpSkill(spec, tasks=around.tasks, patience=around.patience, known=known, policy=around.policy)


def _local(spec: SkillSpec, around: Surroundings, known: Sequence[ToolDefinition] | None) -> Skill:
    """Raises: UserError."""
    missing = missing_variables(spec, around.env)
    if missing and around.missing == "skip":
        names = ", ".join(missing)
        return AbsentSkill(spec.name, f"left out: it requires environment variable {names}, which has no value")
    serve = partial(around.serve, spec, environment(spec, around.env))
    return StdioSkill(spec, serve, tasks=around.tasks, patience=around.patience, known=known)
