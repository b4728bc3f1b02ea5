"""A model's reply as it may be kept: every text of it can be stored. Judges nothing else about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from perstack.core.messages import ModelReply, TextPart, ThinkingPart, ToolCall
from perstack.core.unicode import well_formed, well_formed_json


def storable(reply: ModelReply) -> ModelReply:
    """The reply itself, or, where it holds half of a surrogate pair, one without."""
    contents = tuple(_part(part) for part in reply.contents)
    return reply if contents == reply.contents else replace(reply, contents=contents)


def _part(part: ThinkingPart | TextPart | ToolCall) -> ThinkingPart | TextPart | ToolCall:
    if isinstance(part, TextPart):
        return TextPart(well_formed(part.text))
    if isinstance(part, ThinkingPart):
        return replace(part, thinking=well_formed(part.thinking))
    args = well_formed_json(part.args)
    return replace(
        part,
        id=well_formed(part.id),
        tool_name=well_formed(part.tool_name),
        args=args if isinstance(args, Mapping) else {},
        problem=well_formed(part.problem),
    )
