"""A skill of a single tool in this process: nothing to start and nothing to stop."""

from __future__ import annotations

from collections.abc import Sequence

from perstack.core.contracts import Tell
from perstack.core.messages import ToolCall, ToolDefinition, ToolResult
from perstack.skills.tool import Tool, call_tool


class DataSkill:
    """A skill of one tool that works in this process."""

    def __init__(self, tool: Tool, name: str) -> None:
        self._name = name
        self._tools = {tool.name: tool}
        self._tell: Tell | None = None

    @property
    def name(self) -> str:
        return self._name

    async def open(self, tell: Tell) -> None:
        """In this process: connected at once."""
        self._tell = tell
        tell("skillConnected", {"skillName": self.name, "spawnDurationMs": 0, "totalDurationMs": 0})

    async def definitions(self) -> Sequence[ToolDefinition]:
        return [tool.definition(self.name) for tool in self._tools.values()]

    async def call(self, call: ToolCall) -> ToolResult:
        return await call_tool(self._tools, call, skill_name=self.name)

    async def close(self) -> None:
        """Nothing is held open."""
        if self._tell is not None:
            self._tell("skillDisconnected", {"skillName": self.name})
            self._tell = None
