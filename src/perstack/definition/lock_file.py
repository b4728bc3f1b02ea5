"""Text of a `perstack.lock` → what it holds. The only reader of that format; trusts neither shape nor content."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, NoReturn

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from perstack.core.errors import UserError
from perstack.core.experts import SkillSpec
from perstack.core.json import JsonObject
from perstack.core.messages import ToolDefinition
from perstack.definition.locate import KeyPath, line_of, locate
from perstack.definition.lock import (
    INTERACTIVE,
    LOCK_NAME,
    Lock,
    LockedExpert,
    LockedPackage,
    LockedSkill,
    Pin,
    digest,
    skills_digest,
    specs,
    tool_table,
)
from perstack.definition.problems import Problem, dotted, from_validation

_HINT = "Run `perstack install` to write it again."
_TOML_LINE = re.compile(r"\s*\(at (?:line (\d+), column \d+|end of document)\)$")


class _Table(BaseModel):
    model_config = ConfigDict(extra="ignore", alias_generator=to_camel, strict=True, frozen=True)


class _InteractiveTool(_Table):
    description: str = ""
    input_json_schema: str = "{}"


class _Skill(_Table):
    type: Literal["mcpStdioSkill", "mcpSseSkill", "interactiveSkill"]
    description: str = ""
    rule: str = ""
    command: str = ""
    package_name: str = ""
    args: list[str] = Field(default_factory=list)
    pick: list[str] = Field(default_factory=list)
    omit: list[str] = Field(default_factory=list)
    required_env: list[str] = Field(default_factory=list)
    allowed_domains: list[str] = Field(default_factory=list)
    lazy_init: bool = False
    endpoint: str = ""
    tools: dict[str, _InteractiveTool] = Field(default_factory=dict)
    digest: str = ""
    package_version: str = ""
    package_integrity: str = ""


class _Tool(_Table):
    skill_name: str
    name: str
    description: str = ""
    input_schema: dict[str, object] = Field(default_factory=dict)
    input_schema_json: str = ""
    read_only: bool = False


class _Expert(_Table):
    key: str
    name: str
    version: str = "1.0.0"
    description: str = ""
    instruction: str
    skills: dict[str, _Skill] = Field(default_factory=dict)
    delegates: list[str] = Field(default_factory=list)
    tags: list[str] = Field(default_factory=list)
    tool_definitions: list[_Tool] = Field(default_factory=list)
    integrity: str = ""


class _Pin(_Table):
    digest: str
    commit: str = ""
    file: str = ""
    experts: dict[str, object] = Field(default_factory=dict)


class _Document(_Table):
    version: Literal["1"]
    generated_at: int
    config_path: str
    integrity: str = ""
    experts: dict[str, _Expert] = Field(default_factory=dict)
    dependencies: dict[str, _Pin] = Field(default_factory=dict)


def read_lock(path: Path) -> Lock | None:
    """The lock in a file; None where there is none.

    Raises: UserError where it cannot be read or is damaged.
    """
    try:
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {error}", hint=_HINT) from error
    return parse_lock(text, str(path))


def parse_lock(text: str, path: str = LOCK_NAME) -> Lock:
    """The lock in a text. One without our digests (written by another harness) is taken as it is.

    Raises: UserError with file:line where it is damaged: no TOML, a wrong shape, or not what its digests say.
    """
    try:
        data = tomllib.loads(text)
    except ValueError as error:  # a TOMLDecodeError, or an integer of more digits than Python reads
        found = _TOML_LINE.search(str(error))
        line = found[1] if found and found[1] else len(text.splitlines())
        raise UserError(f"{path}:{line}: damaged: {_TOML_LINE.sub('', str(error))}", hint=_HINT) from error
    except RecursionError as error:
        raise UserError(f"{path}: damaged: nested too deeply", hint=_HINT) from error
    try:
        document = _Document.model_validate(data)
    except ValidationError as error:
        _refuse(text, path, from_validation(error, data))
    experts = {key: _expert(expert) for key, expert in document.experts.items()}
    problems = [*_broken(document, experts), *_changed(document, data)]
    if problems:
        _refuse(text, path, problems)
    pins = {source: _pin(pin) for source, pin in document.dependencies.items()}
    return Lock(document.generated_at, document.config_path, experts, pins)


def _refuse(text: str, path: str, problems: list[Problem]) -> NoReturn:
    lines = locate(text)
    told = [
        f"  - {dotted(problem.path)}: {problem.message} ({path}:{line_of(lines, problem.path)})" for problem in problems
    ]
    raise UserError("\n".join([f"{path}: damaged:", *told]), hint=_HINT)


def _broken(document: _Document, experts: Mapping[str, LockedExpert]) -> Iterator[Problem]:
    """What does not match its own digest. The most exact place is told."""
    for key, expert in experts.items():
        written, place = document.experts[key], ("experts", key)
        if written.key != key:
            yield Problem((*place, "key"), f'expected "{key}", as its table is named')
        for index, tool in enumerate(written.tool_definitions):
            where: KeyPath = (*place, "toolDefinitions", index)
            if tool.skill_name not in written.skills:
                yield Problem((*where, "skillName"), f'there is no skill "{tool.skill_name}"')
            if tool.input_schema_json and not _is_object(tool.input_schema_json):
                yield Problem((*where, "inputSchemaJson"), "expected a string that holds a JSON object")
            if not _digest_of(tool.input_schema):
                yield Problem((*where, "inputSchema"), "holds a date or a time, which no JSON Schema has")
        for name, skill in expert.skills.items():
            stated = written.skills[name].digest
            if stated and skill.tools is not None and stated != _digest_of([tool_table(tool) for tool in skill.tools]):
                yield Problem((*place, "skills", name, "digest"), "its tool definitions were changed")
        if written.integrity and written.integrity != skills_digest(specs(expert)):
            yield Problem((*place, "integrity"), "its skills were changed")
    for source, pin in document.dependencies.items():
        if not pin.file and pin.digest != _digest_of(pin.experts):
            yield Problem(("dependencies", source, "digest"), "its experts were changed after they were taken")


def _changed(document: _Document, data: Mapping[str, object]) -> Iterator[Problem]:
    if not document.integrity:
        return
    if document.integrity != _digest_of({key: value for key, value in data.items() if key != "integrity"}):
        yield Problem(("integrity",), "the file was changed after it was written")


def _expert(expert: _Expert) -> LockedExpert:
    tools: dict[str, list[ToolDefinition]] = {}
    for tool in expert.tool_definitions:
        tools.setdefault(tool.skill_name, []).append(_tool(tool))
    return LockedExpert(
        key=expert.key,
        name=expert.name,
        instruction=expert.instruction,
        version=expert.version,
        description=expert.description,
        skills={name: _skill(name, skill, tools.get(name, [])) for name, skill in expert.skills.items()},
        delegates=tuple(expert.delegates),
        tags=tuple(expert.tags),
    )


def _pin(pin: _Pin) -> Pin:
    return Pin(pin.digest, pin.commit, pin.file, _object(pin.experts))


def _skill(name: str, skill: _Skill, tools: list[ToolDefinition]) -> LockedSkill:
    spec = SkillSpec(
        name=name,
        type=skill.type,
        description=skill.description,
        rule=skill.rule,
        pick=tuple(skill.pick),
        omit=tuple(skill.omit),
        command=skill.command,
        package_name=skill.package_name,
        args=tuple(skill.args),
        required_env=tuple(skill.required_env),
        allowed_domains=tuple(skill.allowed_domains),
        lazy_init=skill.lazy_init,
        endpoint=skill.endpoint,
        tools={tool: (item.description, item.input_json_schema) for tool, item in skill.tools.items()},
    )
    # A server may offer no tools at all: then only the digest tells that it was asked.
    collected = bool(skill.digest or tools) or skill.type == INTERACTIVE
    package = LockedPackage(skill.package_version, skill.package_integrity)
    return LockedSkill(spec, tuple(tools) if collected else None, package)


def _tool(tool: _Tool) -> ToolDefinition:
    schema = tool.input_schema
    if _is_object(tool.input_schema_json):
        schema = json.loads(tool.input_schema_json)
    return ToolDefinition(tool.name, tool.description, _object(schema), tool.skill_name, tool.read_only)


def _digest_of(value: object) -> str:
    """The digest of a value read from TOML; empty where it holds what JSON cannot say."""
    try:
        return digest(value)  # type: ignore[arg-type]  # what is no JSON is told by TypeError
    except TypeError:
        return ""


def _object(value: dict[str, object]) -> JsonObject:
    return value  # type: ignore[return-value]  # TOML without dates is JSON, and dates are refused


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False
