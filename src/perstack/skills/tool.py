"""One tool: its parameters, the check of its arguments, the form of its answers. Knows no concrete tool."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import cast

from perstack.core.errors import ToolError
from perstack.core.json import Json, JsonObject, compact
from perstack.core.messages import FilePart, ImagePart, TextPart, ToolCall, ToolDefinition, ToolResult
from perstack.skills.truncation import fit


class Kind(Enum):
    """What a parameter holds: its words for people and its JSON Schema."""

    STRING = ("a string", {"type": "string"})
    BOOLEAN = ("true or false", {"type": "boolean"})
    INTEGER = ("a whole number", {"type": "integer"})
    STRINGS = ("an array of strings", {"type": "array", "items": {"type": "string"}})
    INTEGERS = ("an array of whole numbers", {"type": "array", "items": {"type": "integer"}})
    STRING_MAP = ("an object of strings", {"type": "object", "additionalProperties": {"type": "string"}})
    TABLES = ("an object of objects", {"type": "object", "additionalProperties": {"type": "object"}})

    @property
    def words(self) -> str:
        return str(self.value[0])

    @property
    def schema(self) -> JsonObject:
        return cast("JsonObject", self.value[1])

    def accepts(self, value: Json) -> bool:
        return _ACCEPTS[self](value)


def _is_integer(value: Json) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_ACCEPTS: Mapping[Kind, Callable[[Json], bool]] = {
    Kind.STRING: lambda value: isinstance(value, str),
    Kind.BOOLEAN: lambda value: isinstance(value, bool),
    Kind.INTEGER: _is_integer,
    Kind.STRINGS: lambda value: isinstance(value, list) and all(isinstance(item, str) for item in value),
    Kind.INTEGERS: lambda value: isinstance(value, list) and all(_is_integer(item) for item in value),
    Kind.STRING_MAP: lambda value: isinstance(value, Mapping) and all(isinstance(item, str) for item in value.values()),
    Kind.TABLES: lambda value: isinstance(value, Mapping) and all(isinstance(item, Mapping) for item in value.values()),
}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument of a tool."""

    kind: Kind
    description: str
    required: bool = True


class Arguments:
    """Checked arguments of one call."""

    def __init__(self, values: Mapping[str, Json]) -> None:
        self._values = values

    @property
    def values(self) -> Mapping[str, Json]:
        """All that were given, by name."""
        return self._values

    def text(self, name: str, default: str = "") -> str:
        return cast("str", self._values.get(name, default))

    def flag(self, name: str, *, default: bool) -> bool:
        return cast("bool", self._values.get(name, default))

    def number(self, name: str) -> int | None:
        return cast("int | None", self._values.get(name))

    def texts(self, name: str) -> Sequence[str]:
        return cast("Sequence[str]", self._values.get(name, ()))

    def numbers(self, name: str) -> Sequence[int]:
        return cast("Sequence[int]", self._values.get(name, ()))

    def mapping(self, name: str) -> Mapping[str, str]:
        return cast("Mapping[str, str]", self._values.get(name, {}))


@dataclass(frozen=True, slots=True)
class Answer:
    """What a tool says. Strings under the keys `long` are shortened in the middle where the text is too long."""

    payload: Mapping[str, Json]
    long: tuple[str, ...] = ()
    parts: tuple[ImagePart | FilePart, ...] = ()
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool with its handler. `changes` tools change the workspace; `repeatable` ones may run twice or side by side:
    they only read, or what they change is rebuilt from their recorded answers.

    The handler raises ToolError where the model can do something about it.
    """

    name: str
    description: str
    handler: Callable[[Arguments], Awaitable[Answer]]
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    changes: bool = False
    repeatable: bool = False

    def definition(self, skill_name: str) -> ToolDefinition:
        """The tool as a model sees it."""
        properties = {name: {**p.kind.schema, "description": p.description} for name, p in self.parameters.items()}
        schema: dict[str, Json] = {
            "type": "object",
            "properties": properties,
            "required": [name for name, parameter in self.parameters.items() if parameter.required],
            "additionalProperties": False,
        }
        return ToolDefinition(self.name, self.description, schema, skill_name, read_only=self.repeatable)


async def call_tool(tools: Mapping[str, Tool], call: ToolCall, *, skill_name: str) -> ToolResult:
    """Run one call of one of `tools`. Everything the model can act on comes back as a result with `is_error`.

    Raises: InfrastructureError where the machinery failed.
    """
    try:
        answer = await _answer(tools, call)
    except ToolError as error:
        message = f"{error.message} {error.hint}".strip()
        answer = Answer({"error": type(error).__name__, "message": message}, long=("message",), is_error=True)
    text = TextPart(fit(answer.payload, answer.long))
    return ToolResult(call.id, call.tool_name, (text, *answer.parts), skill_name, is_error=answer.is_error)


class InvalidArguments(ToolError):
    """The call's arguments do not fit the tool."""


class UnknownTool(ToolError):
    """There is no tool of this name."""


async def _answer(tools: Mapping[str, Tool], call: ToolCall) -> Answer:
    tool = tools.get(call.tool_name)
    if tool is None:
        raise UnknownTool(f'There is no tool "{call.tool_name}".', hint=f"Available: {', '.join(tools) or 'none'}.")
    if call.problem:
        raise InvalidArguments(
            f"The arguments of {tool.name} are not valid JSON: {call.problem}.", hint="Send them again."
        )
    return await tool.handler(Arguments(_checked(tool, call.args)))


def _checked(tool: Tool, args: Mapping[str, Json]) -> Mapping[str, Json]:
    problems: list[str] = []
    given = {name: value for name, value in args.items() if value is not None}  # null means: left out
    for name, value in given.items():
        parameter = tool.parameters.get(name)
        if parameter is None:
            problems.append(f'unknown argument "{name}"')
        elif not parameter.kind.accepts(value):
            problems.append(f'"{name}" must be {parameter.kind.words}, got {_shown(value)}')
    for name, parameter in tool.parameters.items():
        if parameter.required and name not in given:
            problems.append(f'"{name}" is missing ({parameter.kind.words})')
    if problems:
        names = ", ".join(tool.parameters) or "none"
        raise InvalidArguments(f"{tool.name}: {'; '.join(problems)}.", hint=f"Arguments: {names}.")
    return given


def _shown(value: Json) -> str:
    text = compact(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
