"""Tools that no skill runs: questions to a person, and delegates. As a model sees them, and where they lead."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from perstack.context.prompts import delegate_tool_name
from perstack.core.errors import UserError
from perstack.core.experts import Expert
from perstack.core.json import JsonObject
from perstack.core.messages import ToolDefinition
from perstack.runtime.rules import Kind, Route

Offer = tuple[ToolDefinition, Route]

_QUERY_SCHEMA: JsonObject = {
    "type": "object",
    "properties": {"query": {"type": "string", "description": "Everything the delegate needs to know."}},
    "required": ["query"],
}


def interactive_tools(expert: Expert) -> Iterable[Offer]:
    """The tools that a person answers.

    Raises: UserError where a schema is not a JSON object.
    """
    for spec in expert.skills.values():
        if spec.type != "interactiveSkill":
            continue
        for name, (description, schema) in spec.tools.items():
            yield (
                ToolDefinition(name, description, _schema(schema, f"{expert.key}: {spec.name}.{name}"), spec.name),
                Route(Kind.INTERACTIVE, spec.name),
            )


def delegate_tools(expert: Expert, experts: Mapping[str, Expert]) -> Iterable[Offer]:
    """One tool a delegate: the last segment of its name, its public description, a query. Skips unknown ones."""
    for key in expert.delegates:
        target = experts.get(key)
        if target is None:
            continue
        name = target.name or target.key
        definition = ToolDefinition(delegate_tool_name(target), target.description or name, _QUERY_SCHEMA, name)
        yield definition, Route(Kind.DELEGATE, name, expert_key=key, version=target.version)


def _schema(text: str, where: str) -> JsonObject:
    try:
        schema = json.loads(text)
    except ValueError as error:
        raise UserError(f"{where}: inputJsonSchema is not JSON: {error}") from error
    if not isinstance(schema, dict):
        raise UserError(f"{where}: inputJsonSchema must be a JSON object")
    return schema
