"""What an expert may hand on to experts and skills it makes: never more than its author gave it. Decides, does nothing.

Threat: a model says what untrusted text told it to. So values of environment variables go only to the program the
author chose for them, hosts only to skills that had them, and nothing is fetched from a registry on a model's word.
What stays is what a sandbox without network holds: a program of the workspace, and the base tools.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import PurePosixPath

from perstack.core.errors import ToolError
from perstack.core.experts import BASE_SKILL, MANAGEMENT_TOOLS, Expert, SkillSpec
from perstack.core.grammar import parse_expert_key
from perstack.skills.selection import chosen

MAX_CREATED = 32
MAX_SKILLS = 16
MAX_DELEGATES = 32
MAX_CHARACTERS = 400_000
_FETCHING = frozenset({"npx", "npm", "pnpm", "pnpx", "yarn", "bun", "bunx", "uv", "uvx", "pip", "pip3", "pipx", "deno"})


def refuse_wider(expert: Expert, granted: Expert) -> None:
    """Raises: ToolError where an expert that `granted` makes would have more than it has itself."""
    if len(expert.skills) > MAX_SKILLS or len(expert.delegates) > MAX_DELEGATES:
        raise ToolError(f"An expert may have {MAX_SKILLS} skills and {MAX_DELEGATES} delegates at most.")
    for spec in expert.skills.values():
        refuse_wider_skill(spec, granted)
    if not _management(expert) <= _management(granted):
        raise ToolError("Management tools can only be handed on where you have them yourself.")
    if not set(expert.provider_tools) <= set(granted.provider_tools) or expert.provider_skills:
        raise ToolError("providerTools and providerSkills run outside the sandbox: only your own can be handed on.")
    if expert.provider_tool_options not in ({}, granted.provider_tool_options):
        raise ToolError("providerToolOptions can only be left out or be the same as your own.")


def refuse_wider_skill(spec: SkillSpec, granted: Expert) -> None:
    """Raises: ToolError where a skill would reach what no skill of `granted` reaches."""
    alike = [own for own in granted.skills.values() if _same_program(own, spec)]
    if spec.type == "interactiveSkill" or any(_within(spec, own) for own in alike):
        return
    fetched = bool(spec.package_name) or PurePosixPath(spec.command).name in _FETCHING
    if spec.required_env or spec.allowed_domains or (alike and (fetched or spec.endpoint)):
        raise ToolError(
            f'Skill "{spec.name}": requiredEnv, allowedDomains and the tools left by pick and omit may only be what '
            "one of your own skills has that starts the same program.",
            hint="Take over command, packageName, args, pick and omit from that skill.",
        )
    if spec.name == BASE_SKILL:
        return
    if spec.type == "mcpSseSkill":
        raise ToolError(f'Skill "{spec.name}": only an endpoint that one of your own skills has can be used.')
    if fetched:
        raise ToolError(
            f'Skill "{spec.name}": packages are fetched only where the definition names them.',
            hint="Use the program of one of your own skills, or start one that is in the workspace with `args`.",
        )


def refuse_reach(experts: Mapping[str, Expert], delegates: Iterable[str], granted: Expert) -> None:
    """Raises: ToolError where calling one of `delegates` would reach, through it, more than `granted` may do itself.

    What the author let it call, it may let others call.
    """
    pending, seen = list(delegates), set(granted.delegates)
    while pending:
        key = pending.pop()
        if key in seen:
            continue
        seen.add(key)
        expert = experts.get(key)
        if expert is None:
            raise ToolError(f'There is no expert "{key}".', hint="Create it before the experts that delegate to it.")
        try:
            refuse_wider(expert, granted)
        except ToolError as error:
            raise ToolError(f'"{key}" may do more than you: {error.message}') from error
        pending.extend(expert.delegates)


def refuse_wider_team(experts: Mapping[str, Expert], granted: Mapping[str, Expert], made: Mapping[str, str]) -> None:
    """Raises: ToolError where an expert has more than it was granted, or than the one that made it."""
    for key, expert in experts.items():
        if expert is granted[key] and key not in made:
            continue
        for limit in (key, made.get(key, key)):
            refuse_wider(expert, granted[limit])
            known = [delegate for delegate in expert.delegates if delegate in experts]
            refuse_reach(experts, known, granted[limit])


def refuse_key(granted: Mapping[str, Expert], made: Mapping[str, str], caller: str, key: str) -> None:
    """Raises: ToolError where a new expert would be taken for somebody else's, or there are too many."""
    if key in granted:
        raise ToolError(f'There is an expert "{key}" already.', hint="Choose another key.")
    if len(made) >= MAX_CREATED:
        raise ToolError(f"{MAX_CREATED} experts were created in this job, which is the limit.")
    configured = [expert for name, expert in granted.items() if name not in made]
    if any(key in expert.delegates for expert in configured):
        raise ToolError(f'"{key}" is named as a delegate in the definition; only its author can define it.')
    scope = _scope(key)
    if scope and scope != team_of(caller) and scope in {team_of(expert.key) for expert in configured}:
        raise ToolError(f'"@{scope}/…" belongs to another team of the definition.', hint="Choose another scope.")


def refuse_size(made: Collection[Expert]) -> None:
    """Raises: ToolError where everything made in this job would be too much text."""
    total = sum(_characters(expert) for expert in made)
    if total > MAX_CHARACTERS:
        raise ToolError(f"All experts created in a job may have {MAX_CHARACTERS} characters, these have {total}.")


def team_of(key: str) -> str:
    """The coordinator whose team an expert belongs to."""
    parsed = parse_expert_key(key)
    return (parsed.scope or parsed.name) if parsed else key


def _management(expert: Expert) -> set[str]:
    base = expert.skills.get(BASE_SKILL)
    return set(chosen(MANAGEMENT_TOOLS, pick=base.pick, omit=base.omit)) if base else set()


def _scope(key: str) -> str:
    parsed = parse_expert_key(key)
    return parsed.scope if parsed else ""


def _same_program(own: SkillSpec, spec: SkillSpec) -> bool:
    if BASE_SKILL in (own.name, spec.name):
        return own.name == spec.name
    if own.type != spec.type or own.type == "interactiveSkill":
        return False
    if own.type == "mcpSseSkill":
        return own.endpoint == spec.endpoint
    return (own.command, own.package_name, own.args) == (spec.command, spec.package_name, spec.args)


def _within(spec: SkillSpec, own: SkillSpec) -> bool:
    reached = set(spec.required_env) <= set(own.required_env) and all(
        _covered(domain, own.allowed_domains) for domain in spec.allowed_domains
    )
    return reached and (own.name == BASE_SKILL or _tools_within(spec, own))


def _tools_within(spec: SkillSpec, own: SkillSpec) -> bool:
    """Whether a skill leaves no tool that the author's choice took away. Which tools there are is not known here."""
    picked = not own.pick or (bool(spec.pick) and set(spec.pick) <= set(own.pick))
    return picked and all(tool in spec.omit or (spec.pick and tool not in spec.pick) for tool in own.omit)


def _covered(domain: str, allowed: Collection[str]) -> bool:
    name = domain.lower()
    patterns = [pattern.lower() for pattern in allowed]
    bare = name.removeprefix("*.")
    return name in patterns or any(bare.endswith(pattern[1:]) for pattern in patterns if pattern.startswith("*."))


def _characters(expert: Expert) -> int:
    tools = sum(len(text) for spec in expert.skills.values() for pair in spec.tools.values() for text in pair)
    texts = sum(len(spec.rule) + len(spec.description) + sum(map(len, spec.args)) for spec in expert.skills.values())
    return len(expert.instruction) + len(expert.description) + texts + tools
