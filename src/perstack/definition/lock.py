"""What a `perstack.lock` holds, and which of it still fits a definition. Reads and writes no file, starts no server.

Its digests find damage and drift. They are no protection against somebody who may write the file: that one may
write the configuration beside it as well.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from perstack.core.experts import BASE_SKILL, BUILTIN_SKILLS, Expert, SkillSpec
from perstack.core.json import Json, JsonObject, canonical
from perstack.core.messages import ToolDefinition

LOCK_NAME = "perstack.lock"
INTERACTIVE = "interactiveSkill"
_RUN_AGAIN = "run `perstack install`"


@dataclass(frozen=True, slots=True)
class LockedPackage:
    """The package a server came from: its exact version and the digest of its files, each "" where not known."""

    version: str = ""
    integrity: str = ""


@dataclass(frozen=True, slots=True)
class LockedSkill:
    """A skill as it was defined, and its tools after `pick` and `omit`. `tools` is None where they were not collected.

    Interactive skills have their tools in the definition itself.
    """

    spec: SkillSpec
    tools: tuple[ToolDefinition, ...] | None = None
    package: LockedPackage = field(default_factory=LockedPackage)


@dataclass(frozen=True, slots=True)
class LockedExpert:
    """One expert and the tools its skills offered."""

    key: str
    name: str
    instruction: str
    version: str = "1.0.0"
    description: str = ""
    skills: Mapping[str, LockedSkill] = field(default_factory=dict)
    delegates: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pin:
    """A dependency as it was taken. `commit` is empty for a folder of a machine.

    Its experts are in `tables`, as their author wrote them, or in `file` beside the lock: then `tables` is empty.
    """

    digest: str
    commit: str = ""
    file: str = ""
    tables: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Lock:
    """A whole lock file. `generated_at` is in milliseconds since 1970, `config_path` the definition's base name.

    `dependencies` has a pin for each source.
    """

    generated_at: int
    config_path: str
    experts: Mapping[str, LockedExpert] = field(default_factory=dict)
    dependencies: Mapping[str, Pin] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Known:
    """What a lock knows about one expert: tool definitions by skill, and why others are not used, one sentence each."""

    tools: Mapping[str, tuple[ToolDefinition, ...]] = field(default_factory=dict)
    stale: tuple[str, ...] = ()


def locked_expert(expert: Expert, skills: Mapping[str, LockedSkill]) -> LockedExpert:
    """An expert with what was collected for its skills."""
    return LockedExpert(
        key=expert.key,
        name=expert.name or expert.key,
        instruction=expert.instruction,
        version=expert.version,
        description=expert.description,
        skills={name: _public(skill) for name, skill in skills.items()},
        delegates=expert.delegates,
        tags=expert.tags,
    )


def _public(skill: LockedSkill) -> LockedSkill:
    """The base skill that nobody wrote down, as the public format has it."""
    if skill.spec.name != BASE_SKILL or skill.spec.command:
        return skill
    return replace(skill, spec=replace(skill.spec, command="npx", package_name=BASE_SKILL))


def known_tools(lock: Lock, expert: Expert) -> Known:
    """The tools of an expert's MCP servers that need not be asked for; what changed since is told and left out."""
    wanted = {
        name: spec for name, spec in expert.skills.items() if name not in BUILTIN_SKILLS and spec.type != INTERACTIVE
    }
    if not wanted:
        return Known()
    locked = lock.experts.get(expert.key)
    if locked is None:
        return Known(stale=(f'{LOCK_NAME} does not know expert "{expert.key}"; {_RUN_AGAIN}',))
    tools: dict[str, tuple[ToolDefinition, ...]] = {}
    stale: list[str] = []
    for name, spec in wanted.items():
        skill = locked.skills.get(name)
        if skill is None or skill.tools is None:
            stale.append(f'{LOCK_NAME} has no tools of skill "{name}" of expert "{expert.key}"; {_RUN_AGAIN}')
        elif source(skill.spec) != source(spec):
            stale.append(f'skill "{name}" of expert "{expert.key}" changed since {LOCK_NAME}; {_RUN_AGAIN}')
        else:
            tools[name] = skill.tools
    return Known(tools, tuple(stale))


def differences(old: Lock, new: Lock) -> tuple[str, ...]:
    """What `new` says otherwise than `old`, one line each, without the time; empty where they agree."""
    return tuple(_differences(old, new))


def table_of(spec: SkillSpec) -> dict[str, Json]:
    """A skill as the public lock writes it; keys without a value only where the public format has them."""
    table: dict[str, Json] = {"type": spec.type, "name": spec.name}
    table |= {key: value for key, value in (("description", spec.description), ("rule", spec.rule)) if value}
    if spec.type == INTERACTIVE:
        tools = {
            name: {"name": name} | ({"description": about} if about else {}) | {"inputJsonSchema": schema}
            for name, (about, schema) in spec.tools.items()
        }
        return {**table, "tools": tools}
    if spec.type == "mcpSseSkill":
        table |= {"endpoint": spec.endpoint, "pick": list(spec.pick), "omit": list(spec.omit)}
    else:
        table["command"] = spec.command
        if spec.package_name:
            table["packageName"] = spec.package_name
        table |= {"pick": list(spec.pick), "omit": list(spec.omit), "args": list(spec.args)}
        table |= {"requiredEnv": list(spec.required_env), "lazyInit": spec.lazy_init}
    if spec.allowed_domains:
        table["allowedDomains"] = list(spec.allowed_domains)
    return table


def source(spec: SkillSpec) -> JsonObject:
    """The part of a skill that decides which tools there are. Texts for the prompt are not part of it."""
    return {key: value for key, value in table_of(spec).items() if key not in {"description", "rule", "lazyInit"}}


def tool_table(tool: ToolDefinition) -> dict[str, Json]:
    """A tool's definition without its skill, as digests see it."""
    return {
        "name": tool.name,
        "description": tool.description,
        "inputSchema": tool.input_schema,
        "readOnly": tool.read_only,
    }


def tools_digest(tools: Sequence[ToolDefinition]) -> str:
    """Identifies the tools of one skill, in their order."""
    return digest([tool_table(tool) for tool in tools])


def skills_digest(skills: Mapping[str, SkillSpec]) -> str:
    """Identifies the skills of one expert as they are defined."""
    return digest({name: table_of(spec) for name, spec in skills.items()})


def specs(expert: LockedExpert) -> dict[str, SkillSpec]:
    """An expert's skills as they were defined."""
    return {name: skill.spec for name, skill in expert.skills.items()}


def digest(value: Json) -> str:
    """`sha256:` over the canonical JSON of a value. Raises: TypeError for what JSON cannot say."""
    return f"sha256:{hashlib.sha256(canonical(value).encode('utf-8', 'surrogatepass')).hexdigest()}"


def _differences(old: Lock, new: Lock) -> Iterator[str]:
    if old.config_path != new.config_path:
        yield f"it was written for {old.config_path}, not for {new.config_path}"
    for key in sorted({*old.experts, *new.experts}):
        was, now = old.experts.get(key), new.experts.get(key)
        if was is None or now is None:
            yield f'expert "{key}" {"was added" if was is None else "was removed"}'
        else:
            yield from _expert_differences(was, now)


def _expert_differences(was: LockedExpert, now: LockedExpert) -> Iterator[str]:
    fields = ("name", "version", "description", "instruction", "delegates", "tags")
    changed = [name for name in fields if getattr(was, name) != getattr(now, name)]
    if changed:
        yield f'expert "{now.key}": {", ".join(changed)} changed'
    for name in sorted({*was.skills, *now.skills}):
        place = f'expert "{now.key}", skill "{name}"'
        before, after = was.skills.get(name), now.skills.get(name)
        if before is None or after is None:
            yield f"{place}: {'was added' if before is None else 'was removed'}"
            continue
        if table_of(before.spec) != table_of(after.spec):
            yield f"{place}: its definition changed"
        if before.package.version != after.package.version:
            yield f"{place}: its package changed ({_version(before)} → {_version(after)})"
        yield from (f"{place}: {line}" for line in tool_differences(before.tools or (), after.tools or ()))


def tool_differences(was: Sequence[ToolDefinition], now: Sequence[ToolDefinition]) -> tuple[str, ...]:
    """What changed between two lists of tools, in words; their order does not count."""
    before, after = ({tool.name: tool_table(tool) for tool in tools} for tools in (was, now))
    found = [f'tool "{name}" is new' for name in sorted(after.keys() - before.keys())]
    found += [f'tool "{name}" is gone' for name in sorted(before.keys() - after.keys())]
    common = sorted(before.keys() & after.keys())
    found += [f'tool "{name}" is defined otherwise' for name in common if before[name] != after[name]]
    return tuple(found)


def _version(skill: LockedSkill) -> str:
    return skill.package.version or "unknown version"
