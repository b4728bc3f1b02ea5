"""Results of tool calls as a model gets them: never empty, never too long. Pure."""

from __future__ import annotations

import json
from collections.abc import Container, Sequence
from dataclasses import replace

from perstack.core.json import compact
from perstack.core.messages import FilePart, ImagePart, TextPart, ToolCall, ToolResult, Trouble, TroubleKind
from perstack.core.unicode import well_formed
from perstack.skills.truncation import CUT_MARK, MAX_OUTPUT, truncate_middle

# Characters of base64: what the base tools may read (15 MiB for an image, 30 MiB for a file), for any skill.
MAX_IMAGE = 15 * 1024 * 1024 * 4 // 3
MAX_FILE = 30 * 1024 * 1024 * 4 // 3
MAX_MEDIA = 16


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


def presentable(call: ToolCall, result: ToolResult) -> ToolResult:
    """The result under the call's own id, not empty, with at most MAX_OUTPUT characters of text.

    Texts share that room in their order; images and files over their limits become a text that says so.
    """
    parts = [_bounded(part) for part in _few_media(result.contents)]
    room, left_out, contents = MAX_OUTPUT, 0, list[TextPart | ImagePart | FilePart]()
    for part in parts:
        if not isinstance(part, TextPart):
            contents.append(part)
        elif room > 0:
            contents.append(TextPart(truncate_middle(well_formed(part.text), room) or "Error: No content"))
            room -= len(part.text)
        else:
            left_out += 1
    if left_out:
        contents.append(TextPart(f"... [truncated: {left_out} further texts are not shown]"))
    if not contents:
        contents = [TextPart(f"Tool {call.tool_name} returned nothing with arguments: {compact(call.args)}")]
    return ToolResult(call.id, call.tool_name, tuple(contents), call.skill_name, result.is_error)


def answer_troubles(results: Sequence[ToolResult], known: Container[str]) -> tuple[Trouble, ...]:
    """What people hear of results: calls of tools that are not `known`, and outputs too long to be shown whole."""
    found = list[Trouble]()
    for name in dict.fromkeys(result.tool_name for result in results if result.tool_name not in known):
        count = sum(result.tool_name == name for result in results)
        found.append(Trouble(TroubleKind.NO_TOOL, f"there is no tool {name[:60]}: the model is told", count))
    for result in results:
        if result.tool_name in known and (cut := CUT_MARK.search(result.text)):
            words = f"{result.tool_name}: {int(cut[1]):,} of {int(cut[2]):,} characters are not shown to the model"
            found.append(Trouble(TroubleKind.LONG_RESULT, words))
    return tuple(found)


def readable(result: ToolResult, *, images: bool | None, pdf: bool | None) -> ToolResult:
    """The result with a note in place of what the model is known not to read; what is not known (None) is tried."""
    parts = tuple(_noted(part, images=images, pdf=pdf) for part in result.contents)
    return result if parts == result.contents else replace(result, contents=parts)


def _noted(
    part: TextPart | ImagePart | FilePart, *, images: bool | None, pdf: bool | None
) -> TextPart | ImagePart | FilePart:
    if isinstance(part, ImagePart) and images is False:
        return TextPart(f"(an image, {part.mime_type}, is not shown: this model reads no images)")
    if isinstance(part, FilePart) and part.mime_type == "application/pdf" and pdf is False:
        return TextPart("(a PDF file is not shown: this model reads no PDF; try a tool that gives its text)")
    return part


def _few_media(parts: tuple[TextPart | ImagePart | FilePart, ...]) -> list[TextPart | ImagePart | FilePart]:
    media = [number for number, part in enumerate(parts) if not isinstance(part, TextPart)]
    extra = frozenset(media[MAX_MEDIA:])
    kept = [part for number, part in enumerate(parts) if number not in extra]
    if extra:
        kept.append(TextPart(f"... [truncated: {len(extra)} further images and files are not shown]"))
    return kept


def _bounded(part: TextPart | ImagePart | FilePart) -> TextPart | ImagePart | FilePart:
    if isinstance(part, TextPart):
        return part
    limit, what = (MAX_IMAGE, "image") if isinstance(part, ImagePart) else (MAX_FILE, "file")
    if len(part.data) <= limit:
        return part
    size, most = (round(count * 3 / 4 / 1024 / 1024, 1) for count in (len(part.data), limit))
    return TextPart(f"Error: the {what} ({part.mime_type}, {size} MiB) is over the limit of {most:g} MiB; left out")
