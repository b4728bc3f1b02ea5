"""A workspace, a session and a base skill over them, and calls as a model makes them."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perstack.core.json import Json
from perstack.core.messages import ToolCall, ToolResult
from perstack.infrastructure.workspace import Workspace
from perstack.skills.base import BaseSkill
from perstack.testing import LocalSession


@dataclass
class Bench:
    """One expert's tools over a real directory."""

    root: Path
    skill: BaseSkill

    async def result(self, tool: str, **args: Json) -> ToolResult:
        return await self.skill.call(ToolCall("call_1", tool, args))

    async def ok(self, tool: str, **args: Json) -> Any:
        """The answer of a call that succeeds."""
        result = await self.result(tool, **args)
        assert not result.is_error, result.text
        return json.loads(result.text)

    async def fails(self, tool: str, **args: Json) -> Any:
        """The answer of a call that fails."""
        result = await self.result(tool, **args)
        assert result.is_error, result.text
        return json.loads(result.text)

    async def refused(self, tool: str, **args: Json) -> str:
        """The message of a call that is refused."""
        answer = await self.fails(tool, **args)
        return str(answer["message"])

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path


def bench(root: Path, *, pick: Collection[str] = (), omit: Collection[str] = (), read_only: bool = False) -> Bench:
    """Base tools over `root`, which is created."""
    root.mkdir(exist_ok=True)
    session = LocalSession(root)
    workspace = Workspace(root, seen_as=session.workspace)
    return Bench(root, BaseSkill(workspace, session, pick=pick, omit=omit, read_only=read_only))
