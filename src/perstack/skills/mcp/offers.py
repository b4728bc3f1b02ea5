"""From the tools a server lists to those a model is offered: chosen, renamed, cleaned, bounded. Pure.

A model API answers the whole request with an error where one tool is not to its liking, so a tool that cannot be
made acceptable is left out, and that is said.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from perstack.core.experts import SkillSpec
from perstack.core.json import Json, JsonObject, canonical, compact
from perstack.core.messages import ToolDefinition
from perstack.skills.mcp.contract import Listed
from perstack.skills.mcp.words import plain, plain_json

MAX_TOOLS = 500
MAX_NAME = 64
MAX_DESCRIPTION = 4_000
MAX_SCHEMA = 50_000
_MAX_SCHEMA_TEXT = 2_000
_UNUSABLE = re.compile(r"[^A-Za-z0-9_-]")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ARGUMENT = re.compile(r"[A-Za-z0-9_.-]{1,64}")
# Model APIs refuse these beside `type: object`. The server checks its arguments itself.
_ROOT_CHOICES = ("oneOf", "anyOf", "allOf")


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What a model may call. `own_names` leads from an offered name to the server's own."""

    definitions: tuple[ToolDefinition, ...] = ()
    own_names: Mapping[str, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()


def catalogue(listed: Sequence[Listed], spec: SkillSpec) -> Catalogue:
    """The offer: `omit` first, then `pick`, both by the server's own names; a name that comes twice counts once."""
    definitions: list[ToolDefinition] = []
    own_names: dict[str, str] = {}
    remarks: list[str] = []
    seen: set[str] = set()
    fine = frozenset(tool.name for tool in listed if _NAME.fullmatch(tool.name))
    for tool in listed[:MAX_TOOLS]:
        if tool.name in spec.omit or (spec.pick and tool.name not in spec.pick):
            continue
        shown = plain(tool.name, 100)
        if tool.name in seen:
            remarks.append(f"tool {shown} is listed twice; the second one is left out")
            continue
        seen.add(tool.name)
        try:
            schema = _usable(tool)
        except ValueError as problem:
            remarks.append(f"tool {shown} is left out: {problem}")
            continue
        name = _offered_name(tool.name, fine | own_names.keys())
        if name != tool.name:
            remarks.append(f"tool {shown} is offered as {name}: models do not take its own name")
        own_names[name] = tool.name
        description = plain(tool.description, MAX_DESCRIPTION)
        definitions.append(ToolDefinition(name, description, schema, spec.name, read_only=tool.read_only))
    if len(listed) > MAX_TOOLS:
        remarks.append(f"{len(listed):,} tools are listed; only the first {MAX_TOOLS} are looked at")
    return Catalogue(tuple(definitions), own_names, tuple(remarks))


def kept(known: Sequence[ToolDefinition], spec: SkillSpec) -> tuple[ToolDefinition, ...]:
    """Tools of a lock file that the definition still lets through, under this skill's name, cleaned like a server's.

    Whether one only reads is the server's own word, as in its list. `pick` and `omit` say the server's names.
    Threat: a lock file comes with a repository, and its words go before the model.
    """
    picked, omitted = (frozenset(form for name in names for form in _forms(name)) for names in (spec.pick, spec.omit))
    found: list[ToolDefinition] = []
    for tool in known[:MAX_TOOLS]:
        if tool.name in omitted or (picked and tool.name not in picked) or not _NAME.fullmatch(tool.name):
            continue
        with contextlib.suppress(ValueError):  # then it was never offered, and the server says why when it starts
            description = plain(tool.description, MAX_DESCRIPTION)
            found.append(ToolDefinition(tool.name, description, _schema(tool.input_schema), spec.name, tool.read_only))
    return tuple(found)


def differences(known: Sequence[ToolDefinition], real: Sequence[ToolDefinition]) -> tuple[str, ...]:
    """How a lock file's tools differ from a server's, a short sentence each; empty where they are the same."""
    before = {tool.name: tool for tool in known}
    now = {tool.name: tool for tool in real}
    gone = [f"{name} is gone" for name in before if name not in now]
    new = [f"{name} is new" for name in now if name not in before]
    other = [
        f"{name} has {what}" for name, tool in before.items() if name in now and (what := _difference(tool, now[name]))
    ]
    return (*gone, *new, *other)


def _difference(before: ToolDefinition, now: ToolDefinition) -> str:
    if canonical(before.input_schema) != canonical(now.input_schema):
        return "other arguments"
    return "another description" if before.description != now.description else ""


def _offered_name(name: str, taken: Collection[str]) -> str:
    """A name that model APIs take: letters, digits, `_` and `-`, at most 64. The same for the same list of tools."""
    own, offered, marked = _forms(name)
    if _NAME.fullmatch(own):
        return own
    return offered if offered and len(offered) <= MAX_NAME and offered not in taken else marked


def _forms(name: str) -> tuple[str, str, str]:
    """The names a tool may be offered under: its own, one without the signs that models do not take, and a sure one."""
    offered = _UNUSABLE.sub("_", name)
    mark = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return name, offered, f"{(offered or 'tool')[: MAX_NAME - len(mark) - 1]}_{mark}"


def _usable(tool: Listed) -> JsonObject:
    """The tool's input schema. Raises: ValueError that says why the tool cannot be offered."""
    if tool.unusable:
        raise ValueError(tool.unusable)
    try:
        return _schema(tool.schema)
    except ValueError as problem:
        raise ValueError(f"its input schema {problem}") from problem


def _schema(schema: Json) -> JsonObject:
    """Raises: ValueError that goes on after `its input schema`."""
    if not isinstance(schema, Mapping):
        raise ValueError("is not an object")  # noqa: TRY004
    if schema.get("type", "object") != "object":
        raise ValueError(f"describes {plain(compact(schema.get('type')), 60)}, not an object")
    if len(compact(schema)) > MAX_SCHEMA:
        raise ValueError(f"has more than {MAX_SCHEMA:,} characters")
    properties = schema.get("properties", {})
    if not isinstance(properties, Mapping):
        raise ValueError("has properties that are no object")  # noqa: TRY004
    unusable = next((name for name in properties if not _ARGUMENT.fullmatch(name)), None)
    if unusable is not None:
        raise ValueError(f'has an argument that models do not take: "{plain(unusable, 100)}"')
    root = {key: value for key, value in schema.items() if key not in _ROOT_CHOICES and key != "$schema"}
    cleaned = plain_json(root, _MAX_SCHEMA_TEXT)
    return {"type": "object", "properties": {}, **cleaned} if isinstance(cleaned, Mapping) else {"type": "object"}
