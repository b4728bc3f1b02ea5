"""`perstack.lock` as text: the public format's TOML with digests of ours, which older readers ignore.

Equal locks give equal text. Writes no file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import tomli_w

from perstack.core.json import Json
from perstack.core.messages import ToolDefinition
from perstack.definition.lock import (
    Lock,
    LockedExpert,
    LockedSkill,
    Pin,
    digest,
    skills_digest,
    specs,
    table_of,
    tools_digest,
)

_HEADER = "# Written by `perstack install`; write it again instead of editing it.\n"


def render_lock(lock: Lock) -> str:
    """The lock as text: experts by key, skills and delegates in their own order, tools as their server lists them."""
    body: dict[str, Json] = {
        "version": "1",
        "generatedAt": lock.generated_at,
        "configPath": lock.config_path,
        "experts": {key: _expert_table(lock.experts[key]) for key in sorted(lock.experts)},
    }
    tables: dict[str, Json] = {"experts": body.pop("experts")}
    if lock.dependencies:
        tables["dependencies"] = {name: _pin_table(lock.dependencies[name]) for name in sorted(lock.dependencies)}
    body["integrity"] = digest({**body, **tables})
    return _HEADER + tomli_w.dumps({**body, **tables})


def _pin_table(pin: Pin) -> dict[str, Json]:
    table: dict[str, Json] = {"commit": pin.commit} if pin.commit else {}
    table["digest"] = pin.digest
    return {**table, "file": pin.file} if pin.file else {**table, "experts": dict(pin.tables)}


def _expert_table(expert: LockedExpert) -> dict[str, Json]:
    table: dict[str, Json] = {"key": expert.key, "name": expert.name, "version": expert.version}
    if expert.description:
        table["description"] = expert.description
    table |= {"instruction": expert.instruction, "delegates": list(expert.delegates), "tags": list(expert.tags)}
    table["integrity"] = skills_digest(specs(expert))
    table["skills"] = {name: _skill_table(skill) for name, skill in expert.skills.items()}
    table["toolDefinitions"] = [
        _tool_table(tool, name) for name, skill in expert.skills.items() for tool in skill.tools or ()
    ]
    return table


def _skill_table(skill: LockedSkill) -> dict[str, Json]:
    table = table_of(skill.spec)
    if skill.tools is not None:
        table["digest"] = tools_digest(skill.tools)
    if skill.package.version:
        table["packageVersion"] = skill.package.version
    if skill.package.integrity:
        table["packageIntegrity"] = skill.package.integrity
    return table


def _tool_table(tool: ToolDefinition, skill: str) -> dict[str, Json]:
    table: dict[str, Json] = {"skillName": skill, "name": tool.name}
    if tool.description:
        table["description"] = tool.description
    if tool.read_only:
        table["readOnly"] = True
    schema = without_null(tool.input_schema)
    if schema != tool.input_schema:  # TOML has no null: the exact schema stands beside it, as JSON
        table["inputSchemaJson"] = json.dumps(tool.input_schema, ensure_ascii=False, default=dict)
    return {**table, "inputSchema": schema}


def without_null(value: Json) -> Json:
    """A value with its nulls left out, for TOML."""
    if isinstance(value, Mapping):
        return {key: without_null(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [without_null(item) for item in value if item is not None]
    return value
