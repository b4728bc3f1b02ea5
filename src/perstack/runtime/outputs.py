"""The tool that reads again what was left out of a history. It is there once something was; reads, changes nothing.

What it gives comes from the run's state, which the log holds: it works after a crash and in a replay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from perstack.context.elision import READ_TOOL, LeftOut
from perstack.core.contracts import Tell
from perstack.core.messages import TextPart, ToolCall, ToolDefinition, ToolResult

SKILL = "@perstack/context"
_MOST = 20_000  # characters an answer
_DEFINITION = ToolDefinition(
    READ_TOOL,
    "Reads a tool output again that was left out of the conversation to save room. Long ones come in pieces.",
    {
        "type": "object",
        "properties": {
            "id": {"type": "string", "description": 'The id in the note, such as "out-3".'},
            "offset": {"type": "integer", "minimum": 0, "description": "First character, from 0."},
            "limit": {"type": "integer", "minimum": 1, "description": f"Characters, at most {_MOST}."},
        },
        "required": ["id"],
        "additionalProperties": False,
    },
    SKILL,
    read_only=True,
)


class LeftOutOutputs:
    """A skill with that one tool. `known` is what was left out so far, by its handle; the loop keeps it up."""

    name = SKILL

    def __init__(self) -> None:
        self.known: Mapping[str, LeftOut] = {}

    async def open(self, tell: Tell) -> None:
        """Nothing to start."""

    async def definitions(self) -> Sequence[ToolDefinition]:
        """The tool, once there is something to read."""
        return (_DEFINITION,) if self.known else ()

    async def call(self, call: ToolCall) -> ToolResult:
        """A piece of an output: its text, and with its beginning also its images and files."""
        handle, offset, limit = call.args.get("id"), call.args.get("offset", 0), call.args.get("limit", _MOST)
        found = self.known.get(handle) if isinstance(handle, str) else None
        if found is None:
            names = ", ".join(self.known) if len(self.known) <= 40 else f"out-1 to out-{len(self.known)}"
            return _answer(call, f"No output {handle!r} was left out. There are: {names or 'none'}.", is_error=True)
        if not (_whole(offset) and _whole(limit)) or limit == 0:
            return _answer(call, "`offset` and `limit` must be whole numbers, `limit` at least 1.", is_error=True)
        first, text = int(str(offset)), found.result.text
        piece = text[first : first + min(int(str(limit)), _MOST)]
        end = first + len(piece)
        rest = f"\n[characters {first:,} to {end:,} of {len(text):,}]" if len(piece) < len(text) else ""
        media = [part for part in found.result.contents if not isinstance(part, TextPart)] if not first else []
        return ToolResult(call.id, call.tool_name, (TextPart(piece + rest or "(no text)"), *media), SKILL)

    async def close(self) -> None:
        """Nothing to close."""


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _answer(call: ToolCall, text: str, *, is_error: bool) -> ToolResult:
    return ToolResult(call.id, call.tool_name, (TextPart(text),), SKILL, is_error=is_error)
