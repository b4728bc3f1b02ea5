"""What an expert that a model wrote may be able to do. Decides, runs nothing.

Threat: the wish may come from a stranger's comment, and the new expert is run at once. So it gets base tools, each by
name, in a sandbox without network; a skill, with its variables and hosts, only where the person who asks names it and
the definition has it already; nobody else's delegates; and no tool that makes experts.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from perstack.core.errors import ToolError, UserError
from perstack.core.experts import BASE_SKILL, BASE_TOOLS, Config, Expert, SkillSpec
from perstack.skills.team_trust import refuse_wider


def allowed_skills(config: Config, names: Collection[str]) -> Mapping[str, SkillSpec]:
    """The skills of `config` that a person lets the new expert have, by name.

    Raises: UserError where no expert has one of that name, or two have different ones.
    """
    found: dict[str, SkillSpec] = {}
    for name in names:
        specs = [expert.skills[name] for expert in config.experts.values() if name in expert.skills]
        if name == BASE_SKILL or not specs:
            there = sorted({skill for one in config.experts.values() for skill in one.skills} - {BASE_SKILL})
            raise UserError(
                f"--allow-skill {name}: no expert of the definition has a skill of that name",
                hint=f"There are: {', '.join(there) or 'none'}. Define it at an expert by hand first.",
            )
        if any(spec != specs[0] for spec in specs):
            raise UserError(f"--allow-skill {name}: two experts have different skills of that name", hint="Rename one.")
        found[name] = specs[0]
    return found


def refuse_more(experts: Mapping[str, Expert], allowed: Mapping[str, SkillSpec], path: str) -> None:
    """Raises: ToolError that names everything the written experts have and may not have."""
    problems = [f"{path}: {key}: {told}" for key, expert in experts.items() for told in _problems(expert, allowed)]
    for key, expert in experts.items():
        others = sorted(set(expert.delegates) - set(experts))
        if others:
            problems.append(f"{path}: {key}: delegates only to experts that are written with it, not to {others}")
    if problems:
        raise ToolError("\n".join(problems), hint="Take it out: the person who asks did not allow it.")


def _problems(expert: Expert, allowed: Mapping[str, SkillSpec]) -> list[str]:
    found = []
    base = expert.skills.get(BASE_SKILL)
    pick = base.pick if base else ()
    if not pick:
        found.append(f'name its tools with `pick` in the skill "{BASE_SKILL}"')
    found += [f'"{tool}" is no base tool that may be given' for tool in sorted(set(pick) - set(BASE_TOOLS))]
    unknown = sorted(set(expert.skills) - {BASE_SKILL} - set(allowed))
    found += [f'the skill "{name}" is not allowed' for name in unknown]
    own = {BASE_SKILL: SkillSpec(BASE_SKILL, pick=BASE_TOOLS), **allowed}
    kept = {name: spec for name, spec in expert.skills.items() if name in allowed}
    for name, spec in kept.items():
        if not _same(spec, allowed[name]):
            found.append(f'the skill "{name}" is not the one that is allowed: take its table as it is')
    try:
        refuse_wider(_with(expert, kept), Expert(expert.key, "-", skills=own))
    except ToolError as error:
        found.append(error.message)
    return found


def _with(expert: Expert, skills: Mapping[str, SkillSpec]) -> Expert:
    return Expert(
        expert.key,
        expert.instruction,
        skills=skills,
        provider_tools=expert.provider_tools,
        provider_skills=expert.provider_skills,
        provider_tool_options=expert.provider_tool_options,
    )


def _same(spec: SkillSpec, allowed: SkillSpec) -> bool:
    """Whether it is the same program or server with the same tools; words to the model may differ."""
    parts = ("type", "command", "package_name", "args", "required_env", "allowed_domains", "endpoint", "pick", "omit")
    return all(getattr(spec, part) == getattr(allowed, part) for part in parts) and spec.tools == allowed.tools
