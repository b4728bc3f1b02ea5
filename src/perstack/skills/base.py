"""The skill `@perstack/base`: files, commands and to-dos, inside one workspace and one sandbox session."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from perstack.core.contracts import Session, Tell
from perstack.core.experts import BASE_SKILL, Expert
from perstack.core.json import JsonObject
from perstack.core.messages import ToolCall, ToolDefinition, ToolResult
from perstack.infrastructure.workspace import Workspace
from perstack.skills.command import exec_tool
from perstack.skills.file_tree import FileTree, format_size
from perstack.skills.media import media_tools
from perstack.skills.selection import select
from perstack.skills.team import Team
from perstack.skills.team_tools import TeamTools
from perstack.skills.text_files import TextFiles
from perstack.skills.todo import TodoList, todo_tools
from perstack.skills.tool import Answer, Arguments, Tool, call_tool


class BaseSkill:
    """The base tools of one expert's run. With `read_only`, tools that change the workspace are not there."""

    def __init__(
        self,
        workspace: Workspace,
        session: Session,
        *,
        pick: Collection[str] = (),
        omit: Collection[str] = (),
        read_only: bool = False,
        more: Sequence[Tool] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._todos = TodoList()
        tools = (
            *todo_tools(self._todos),
            exec_tool(workspace, session),
            *TextFiles(workspace).tools(),
            *media_tools(workspace),
            *FileTree(workspace, session).tools(),
            _health_tool(workspace, clock),
            *more,
        )
        offered = {tool.name: tool for tool in tools if not (read_only and tool.changes)}
        self._tools = select(offered, pick=pick, omit=omit)
        self._tell: Tell | None = None

    @property
    def name(self) -> str:
        return BASE_SKILL

    @property
    def remaining_todos(self) -> tuple[JsonObject, ...]:
        """Open to-dos: while there are any, `attemptCompletion` does not end a run."""
        return tuple(todo.to_json() for todo in self._todos.remaining)

    async def open(self, tell: Tell) -> None:
        """In this process: connected at once."""
        self._tell = tell
        tell("skillConnected", {"skillName": self.name, "spawnDurationMs": 0, "totalDurationMs": 0})

    async def definitions(self) -> Sequence[ToolDefinition]:
        return [tool.definition(self.name) for tool in self._tools.values()]

    async def call(self, call: ToolCall) -> ToolResult:
        """Run one tool. Raises: InfrastructureError where the sandbox itself failed."""
        return await call_tool(self._tools, call, skill_name=self.name)

    def restore(self, past: Sequence[tuple[ToolCall, ToolResult]]) -> None:
        """Rebuild the to-do list from recorded calls."""
        self._todos.restore(past)

    async def close(self) -> None:
        """Nothing is held open: the session belongs to whoever opened it."""
        if self._tell is not None:
            self._tell("skillDisconnected", {"skillName": self.name})
            self._tell = None


def base_skill(
    expert: Expert,
    workspace: Path,
    session: Session,
    *,
    read_only: bool = False,
    team: Team | None = None,
    kept: Collection[str] = (),
) -> BaseSkill:
    """The expert's base tools over one workspace and its sandbox; management tools where there is a team to manage.

    `kept` are folders of the workspace that are none of the expert's business.
    """
    spec = expert.skills[BASE_SKILL]
    seen = Workspace(workspace, seen_as=session.workspace, kept=kept)
    more = TeamTools(team, expert.key, seen).tools() if team is not None else ()
    return BaseSkill(seen, session, pick=spec.pick, omit=spec.omit, read_only=read_only, more=more)


def _health_tool(workspace: Workspace, clock: Callable[[], float]) -> Tool:
    started = clock()

    async def health(_: Arguments) -> Answer:
        used = format_size(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
        return Answer(
            {
                "status": "ok",
                "workspace": workspace.seen_as,
                "uptime": f"{int(clock() - started)}s",
                "memory": {"heapUsed": used, "heapTotal": used},
                "pid": os.getpid(),
            }
        )

    return Tool("healthCheck", "Tells whether the tools work.", health, repeatable=True)
