"""The tools of one run: which there are, where their names lead, and how their calls are run.

Delegates and interactive tools are only described here; `delegation.py` and the caller answer them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from perstack.context.prompts import delegate_tool_name
from perstack.core.contracts import Skill
from perstack.core.errors import ToolError, UserError
from perstack.core.experts import Expert
from perstack.core.json import JsonObject, compact
from perstack.core.messages import TextPart, ToolCall, ToolDefinition, ToolResult
from perstack.runtime.concurrency import in_order
from perstack.runtime.rules import COMPLETION_TOOL, Kind, Route

MAX_OUTPUT_CHARS = 30_000
_PARALLEL_READS = 8
_QUERY_SCHEMA: JsonObject = {
    "type": "object",
    "properties": {"query": {"type": "string", "description": "Everything the delegate needs to know."}},
    "required": ["query"],
}


class Toolbox:
    """The tools of one expert: skills (already open), interactive tools, delegates."""

    def __init__(
        self,
        definitions: Sequence[ToolDefinition],
        routes: Mapping[str, Route],
        skills: Mapping[str, Skill],
    ) -> None:
        self.definitions = tuple(definitions)
        self.routes = routes
        self._skills = skills

    async def run(self, calls: Sequence[ToolCall]) -> tuple[ToolResult, ...]:
        """Results in call order. Neighbouring read-only calls run together, all others one after the other.

        Raises: InfrastructureError when the machinery behind a tool fails.
        """
        results: list[ToolResult] = []
        for batch in _batches(calls, self.routes):
            results.extend(await in_order([partial(self._call, call) for call in batch], limit=_PARALLEL_READS))
        return tuple(results)

    def is_safe_again(self, call: ToolCall) -> bool:
        """Whether a call whose result was lost may simply be made again."""
        route = self.routes.get(call.tool_name)
        return route is None or route.read_only or call.tool_name == COMPLETION_TOOL

    async def _call(self, call: ToolCall) -> ToolResult:
        problem = self._problem(call)
        if problem:
            return error_result(call, problem)
        try:
            result = await self._skills[self.routes[call.tool_name].skill_name].call(call)
        except ToolError as error:
            return error_result(call, f"Error calling tool {call.tool_name}: {error}")
        return _presentable(call, result)

    def _problem(self, call: ToolCall) -> str:
        """Why the call cannot be made; empty where it can."""
        route = self.routes.get(call.tool_name)
        if route is None:
            names = ", ".join(sorted(self.routes)) or "none"
            return f"Tool {call.tool_name} not found. Tools you have: {names}."
        if call.problem:
            return f"The arguments of tool {call.tool_name} are unusable: {call.problem}. Send one JSON object."
        if route.kind is Kind.DELEGATE:
            return f"Delegation error: query is undefined for {call.tool_name}"
        return ""


def skill_tools(definitions: Iterable[tuple[str, ToolDefinition]]) -> dict[str, tuple[ToolDefinition, Route]]:
    """Tools of skills, as (skill name, definition), by tool name.

    Raises: UserError where two skills offer the same name.
    """
    tools: dict[str, tuple[ToolDefinition, Route]] = {}
    for skill_name, definition in definitions:
        add_tool(tools, definition, Route(Kind.MCP, skill_name, read_only=definition.read_only))
    return tools


def interactive_tools(expert: Expert) -> Iterable[tuple[ToolDefinition, Route]]:
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


def delegate_tools(expert: Expert, experts: Mapping[str, Expert]) -> Iterable[tuple[ToolDefinition, Route]]:
    """One tool a delegate: the last segment of its name, its public description, a query.

    Raises: UserError where a delegate is not defined.
    """
    for key in expert.delegates:
        target = experts.get(key)
        if target is None:
            raise UserError(
                f"expert `{expert.key}` delegates to `{key}`, which is not found",
                hint=f'Define [experts."{key}"] or remove it from `delegates`.',
            )
        name = target.name or target.key
        definition = ToolDefinition(delegate_tool_name(target), target.description or name, _QUERY_SCHEMA, name)
        yield definition, Route(Kind.DELEGATE, name, expert_key=key)


def add_tool(tools: dict[str, tuple[ToolDefinition, Route]], definition: ToolDefinition, route: Route) -> None:
    """Register one tool.

    Raises: UserError where its name is taken.
    """
    taken = tools.get(definition.name)
    if taken is not None:
        raise UserError(
            f"two tools are named `{definition.name}`: one of `{taken[1].skill_name}`, one of `{route.skill_name}`",
            hint="Leave one out with `omit`, or rename the delegate.",
        )
    tools[definition.name] = (definition, route)


def error_result(call: ToolCall, text: str) -> ToolResult:
    """A failure the model can read and act on."""
    return ToolResult(call.id, call.tool_name, (TextPart(text),), call.skill_name, is_error=True)


def remaining_todos(result: ToolResult) -> bool:
    """Whether `attemptCompletion` was answered with open todos."""
    try:
        answer = json.loads(result.text or "{}")
    except ValueError:
        return False
    return isinstance(answer, dict) and bool(answer.get("remainingTodos"))


def cut_middle(text: str, limit: int = MAX_OUTPUT_CHARS) -> str:
    """`text` with its middle taken out where it is longer than `limit` characters."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n... [truncated: {len(text) - 2 * half} characters] ...\n{text[-half:]}"


def _presentable(call: ToolCall, result: ToolResult) -> ToolResult:
    """The result under the call's own id, never empty, no text over the limit."""
    contents = tuple(
        TextPart(cut_middle(part.text) or "Error: No content") if isinstance(part, TextPart) else part
        for part in result.contents
    )
    if not contents:
        contents = (TextPart(f"Tool {call.tool_name} returned nothing with arguments: {compact(call.args)}"),)
    return ToolResult(call.id, call.tool_name, contents, call.skill_name, result.is_error)


def _schema(text: str, where: str) -> JsonObject:
    try:
        schema = json.loads(text)
    except ValueError as error:
        raise UserError(f"{where}: inputJsonSchema is not JSON: {error}") from error
    if not isinstance(schema, dict):
        raise UserError(f"{where}: inputJsonSchema must be a JSON object")
    return schema


def _batches(calls: Sequence[ToolCall], routes: Mapping[str, Route]) -> Iterable[list[ToolCall]]:
    """Runs of neighbouring read-only calls, and every other call alone."""
    batch: list[ToolCall] = []
    for call in calls:
        route = routes.get(call.tool_name)
        if route is not None and route.read_only:
            batch.append(call)
            continue
        if batch:
            yield batch
        yield [call]
        batch = []
    if batch:
        yield batch
