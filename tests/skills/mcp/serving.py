"""Starts MCP servers as plain processes of this machine and collects what skills tell. Not a sandbox."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import anyio

from perstack.core.contracts import Service, Skill
from perstack.core.experts import SkillSpec
from perstack.core.json import Json, JsonObject
from perstack.core.messages import ImagePart, TextPart, ToolCall, ToolDefinition, ToolResult
from perstack.infrastructure.process import exit_code_of, open_process
from perstack.infrastructure.sandbox.service import PipeService
from perstack.skills.mcp.contract import Patience
from perstack.skills.mcp.skill import StdioSkill

ROOT = Path(__file__).parents[3]
NODE = ROOT / "tests/node/node_modules/@modelcontextprotocol"
EVERYTHING = ("node", str(NODE / "server-everything/dist/index.js"))
FILESYSTEM = ("node", str(NODE / "server-filesystem/dist/index.js"))
HOSTILE = (sys.executable, "-I", str(Path(__file__).with_name("hostile_server.py")))
BIN = Path(sys.executable).parent
PATH = f"{BIN}:/usr/local/bin:/usr/bin:/bin"
PATIENCE = Patience(start_s=20.0, call_s=20.0)


@asynccontextmanager
async def program(
    argv: Sequence[str], cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> AsyncIterator[Service]:
    """A program of this machine as a service; a missing one ends with exit code 127, as in a sandbox."""
    async with open_process(["/usr/bin/env", *argv], cwd=cwd, env={"PATH": PATH, **(env or {})}) as process:
        yield PipeService(process, exit_code_of)


class Told:
    """What a skill told, and a way to wait for it."""

    def __init__(self) -> None:
        self.events: list[tuple[str, JsonObject]] = []
        self._news = anyio.Event()

    def __call__(self, kind: str, payload: JsonObject) -> None:
        self.events.append((kind, payload))
        self._news.set()
        self._news = anyio.Event()

    def kinds(self) -> list[str]:
        """The events but for what was said on standard error."""
        return [kind for kind, _ in self.events if kind != "skillStderr"]

    def said(self) -> list[str]:
        """The lines told as standard error."""
        return [str(payload["message"]) for kind, payload in self.events if kind == "skillStderr"]

    def first(self, kind: str) -> JsonObject:
        return next(payload for told, payload in self.events if told == kind)

    async def until(self, fulfilled: Callable[[], bool], seconds: float = 20.0) -> None:
        """Wait until what was told fulfils a condition; fails with all that was told."""
        try:
            with anyio.fail_after(seconds):
                while not fulfilled():
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"never told; told was {self.events}") from None

    async def until_said(self, words: str) -> None:
        await self.until(lambda: any(words in line for line in self.said()))


@asynccontextmanager
async def server(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    patience: Patience = PATIENCE,
    known: Sequence[ToolDefinition] | None = None,
    **fields: object,
) -> AsyncIterator[tuple[StdioSkill, Told]]:
    """A skill over a program, not opened yet; closed at the end. `fields` as in `SkillSpec`."""
    spec = SkillSpec("reference", command=argv[0], args=tuple(argv[1:]), **fields)  # type: ignore[arg-type]
    async with anyio.create_task_group() as tasks:
        serve = partial(program, argv, cwd, env)
        skill = StdioSkill(spec, serve, tasks=tasks, patience=patience, known=known)
        try:
            yield skill, Told()
        finally:
            with anyio.fail_after(15, shield=True):
                await skill.close()
            tasks.cancel_scope.cancel()


@asynccontextmanager
async def connected(argv: Sequence[str], **options: object) -> AsyncIterator[tuple[StdioSkill, Told]]:
    """The same, opened."""
    async with server(argv, **options) as (skill, told):  # type: ignore[arg-type]
        await skill.open(told)
        yield skill, told


async def call(skill: Skill, tool: str, **args: Json) -> ToolResult:
    """Call a tool and get its result."""
    return await skill.call(ToolCall("call_1", tool, args, skill.name))


async def names(skill: Skill) -> set[str]:
    """The names of the tools on offer."""
    return {definition.name for definition in await skill.definitions()}


def texts(result: ToolResult) -> list[str]:
    return [part.text for part in result.contents if isinstance(part, TextPart)]


def images(result: ToolResult) -> list[ImagePart]:
    return [part for part in result.contents if isinstance(part, ImagePart)]
