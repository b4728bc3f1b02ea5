"""Messages, calls, results and usage as JSON of the public format, and back. Pure; knows no state.

A result or message that an earlier event already holds is written as a reference (without its contents), so
each appears once in a log.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from perstack.core.errors import InvariantBroken
from perstack.core.json import Json, JsonObject
from perstack.core.messages import (
    ExpertMessage,
    FilePart,
    ImagePart,
    Message,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolMessage,
    ToolResult,
    UserMessage,
)
from perstack.core.usage import Usage

Content = TextPart | ImagePart | FilePart


def text_of(value: Json, default: str = "") -> str:
    """`value` where it is a string, else `default`."""
    return value if isinstance(value, str) else default


def int_of(value: Json) -> int:
    """`value` where it is a whole number, else 0."""
    return value if isinstance(value, int) else 0


def object_of(value: Json) -> JsonObject:
    """`value` where it is an object, else an empty one."""
    # The exact types come first: from a log everything is one of them, and asking an ABC is ten times slower.
    return value if type(value) is dict or isinstance(value, Mapping) else {}


def objects_of(value: Json) -> Sequence[JsonObject]:
    """The objects in a list; empty where `value` is no list."""
    if type(value) is list or (isinstance(value, Sequence) and not isinstance(value, str)):
        return [item for item in value if type(item) is dict or isinstance(item, Mapping)]
    return ()


def usage_from(value: Json) -> Usage:
    """Usage as written by `Usage.to_json`."""
    data = object_of(value)
    return Usage(
        int_of(data.get("inputTokens")),
        int_of(data.get("outputTokens")),
        int_of(data.get("reasoningTokens")),
        int_of(data.get("cachedInputTokens")),
        int_of(data.get("cacheWrittenTokens")),
        int_of(data.get("estimatedTokens")),
    )


def instruction_json(message_id: str, system: str) -> JsonObject:
    """The `instructionMessage` that opens a run."""
    contents: list[Json] = [{"id": "p1", "type": "textPart", "text": system}]
    return {"id": message_id, "type": "instructionMessage", "contents": contents, "cache": True}


def message_json(message: Message) -> JsonObject:
    """A message with all its contents."""
    if isinstance(message, UserMessage):
        return _envelope(message.id, "userMessage", map(_content_json, message.contents))
    if isinstance(message, ExpertMessage):
        return _envelope(message.id, "expertMessage", map(_expert_part_json, message.contents))
    return _envelope(message.id, "toolMessage", map(_result_part_json, message.results))


def message_reference(message: ToolMessage) -> JsonObject:
    """A tool message whose results an earlier event holds."""
    parts = ({"type": "toolResultPart", "toolCallId": r.id, "toolName": r.tool_name} for r in message.results)
    return _envelope(message.id, "toolMessage", parts)


def message_from(data: JsonObject, known: Mapping[str, ToolResult]) -> Message:
    """A message as written above; references are filled in from `known` (by call id).

    Raises: InvariantBroken on a message type or reference that is not known.
    """
    kind, message_id, parts = data.get("type"), text_of(data.get("id")), objects_of(data.get("contents"))
    if kind == "userMessage":
        return UserMessage(message_id, tuple([_content_from(part) for part in parts]))
    if kind == "expertMessage":
        return ExpertMessage(message_id, tuple([_expert_part_from(part) for part in parts]))
    if kind == "toolMessage":
        return ToolMessage(message_id, tuple([_result_part_from(part, known) for part in parts]))
    raise InvariantBroken(f"an event holds a message of unknown type {kind!r}")


def call_json(call: ToolCall) -> JsonObject:
    """A tool call as in `toolCalls`."""
    return {"id": call.id, "skillName": call.skill_name, "toolName": call.tool_name, "args": call.args}


def result_json(result: ToolResult) -> JsonObject:
    """A tool result as in `toolResults`."""
    data: dict[str, Json] = {
        "id": result.id,
        "skillName": result.skill_name,
        "toolName": result.tool_name,
        "result": [_content_json(part) for part in result.contents],
    }
    if result.is_error:
        data["isError"] = True
    return data


def result_reference(result: ToolResult) -> JsonObject:
    """A result whose contents an earlier event holds."""
    return {"id": result.id, "skillName": result.skill_name, "toolName": result.tool_name}


def results_from(value: Json, known: Mapping[str, ToolResult]) -> tuple[ToolResult, ...]:
    """Results written in full or as references into `known`.

    Raises: InvariantBroken where a reference points nowhere.
    """
    return tuple([_result_from(item, known) for item in objects_of(value)])


def by_id(results: Iterable[ToolResult]) -> Mapping[str, ToolResult]:
    """Results by the id of their call."""
    return {result.id: result for result in results}


def _envelope(message_id: str, kind: str, parts: Iterable[JsonObject]) -> JsonObject:
    contents: list[Json] = [{"id": f"p{number}", **part} for number, part in enumerate(parts, 1)]
    return {"id": message_id, "type": kind, "contents": contents}


def _content_json(part: Content) -> JsonObject:
    if isinstance(part, TextPart):
        return {"type": "textPart", "text": part.text}
    kind = "imageInlinePart" if isinstance(part, ImagePart) else "fileInlinePart"
    return {"type": kind, "encodedData": part.data, "mimeType": part.mime_type}


def _content_from(data: JsonObject) -> Content:
    kind = data.get("type")
    if kind == "imageInlinePart":
        return ImagePart(text_of(data.get("encodedData")), text_of(data.get("mimeType")))
    if kind == "fileInlinePart":
        return FilePart(text_of(data.get("encodedData")), text_of(data.get("mimeType")))
    return TextPart(text_of(data.get("text")))


def _expert_part_json(part: ThinkingPart | TextPart | ToolCall) -> JsonObject:
    if isinstance(part, TextPart):
        return {"type": "textPart", "text": part.text}
    if isinstance(part, ToolCall):
        data: dict[str, Json] = {"type": "toolCallPart", "toolCallId": part.id, "toolName": part.tool_name,
                                 "args": part.args}  # fmt: skip
        optional = {"skillName": part.skill_name, "problem": part.problem}
    else:
        data = {"type": "thinkingPart", "thinking": part.thinking}
        optional = {"signature": part.signature, "redacted": part.redacted}
    data.update((key, value) for key, value in optional.items() if value)
    return data


def _expert_part_from(data: JsonObject) -> ThinkingPart | TextPart | ToolCall:
    kind = data.get("type")
    if kind == "toolCallPart":
        return ToolCall(
            text_of(data.get("toolCallId")),
            text_of(data.get("toolName")),
            object_of(data.get("args")),
            text_of(data.get("skillName")),
            text_of(data.get("problem")),
        )
    if kind == "thinkingPart":
        return ThinkingPart(
            text_of(data.get("thinking")), text_of(data.get("signature")), text_of(data.get("redacted"))
        )
    return TextPart(text_of(data.get("text")))


def _result_part_json(result: ToolResult) -> JsonObject:
    data: dict[str, Json] = {"type": "toolResultPart", "toolCallId": result.id, "toolName": result.tool_name}
    if result.skill_name:
        data["skillName"] = result.skill_name
    data["contents"] = [_content_json(part) for part in result.contents]
    if result.is_error:
        data["isError"] = True
    return data


def _result_part_from(data: JsonObject, known: Mapping[str, ToolResult]) -> ToolResult:
    return _result(data, data.get("toolCallId"), data.get("contents"), known)


def _result_from(data: JsonObject, known: Mapping[str, ToolResult]) -> ToolResult:
    return _result(data, data.get("id"), data.get("result"), known)


def _result(data: JsonObject, call_id: Json, contents: Json, known: Mapping[str, ToolResult]) -> ToolResult:
    name = text_of(call_id)
    if contents is None:
        if name not in known:
            raise InvariantBroken(f"an event refers to the result of call {name!r}, which no event holds")
        return known[name]
    return ToolResult(
        name,
        text_of(data.get("toolName")),
        tuple([_content_from(part) for part in objects_of(contents)]),
        text_of(data.get("skillName")),
        data.get("isError") is True,
    )
