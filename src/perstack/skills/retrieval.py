"""The skill `@perstack/retrieval`: an expert searches a repository by text, rank, symbol and map. Reads only."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path

from perstack.context.retrieval.client import RetrievalWorker
from perstack.core.contracts import Tell
from perstack.core.experts import RETRIEVAL_SKILL, Expert
from perstack.core.json import Json
from perstack.core.messages import ToolCall, ToolDefinition, ToolResult
from perstack.skills.selection import select
from perstack.skills.tool import Answer, Arguments, Kind, Parameter, Tool, call_tool

_NAME = Parameter(Kind.STRING, "Name, or Class.name.")
_WITHIN = Parameter(Kind.STRING, "Only in this file, folder or glob.", required=False)


def _optional(kind: Kind, description: str) -> Parameter:
    return Parameter(kind, description, required=False)


_TOOLS: dict[str, tuple[str, dict[str, Parameter]]] = {
    "searchText": (
        "Finds lines by regular expression, ignored, hidden and binary files left out.",
        {
            "pattern": Parameter(Kind.STRING, "RE2 expression; no capital letter: case is ignored."),
            "fixed": _optional(Kind.BOOLEAN, "Pattern is plain text."),
            "word": _optional(Kind.BOOLEAN, "Whole words only."),
            "ignoreCase": _optional(Kind.BOOLEAN, "Case, if not by the pattern."),
            "paths": _optional(Kind.STRINGS, "Globs; !glob leaves out."),
            "types": _optional(Kind.STRINGS, "Languages or suffixes: python, md."),
            "hidden": _optional(Kind.BOOLEAN, "Hidden files too."),
            "context": _optional(Kind.INTEGER, "Lines around each match."),
            "limit": _optional(Kind.INTEGER, "Matches, at most 200; 50."),
            "skip": _optional(Kind.INTEGER, "Matches to pass over."),
        },
    ),
    "searchRanked": (
        "Finds the files and lines that best fit a question, an error or names. Start here.",
        {"query": Parameter(Kind.STRING, "Words or identifiers."), "limit": _optional(Kind.INTEGER, "Files; 10.")},
    ),
    "findSymbol": ("Finds where a function, class, type or constant is defined.", {"name": _NAME, "path": _WITHIN}),
    "references": ("Finds where a name is used, and in which function.", {"name": _NAME, "path": _WITHIN}),
    "outline": ("Lists the definitions of one file.", {"path": Parameter(Kind.STRING, "File.")}),
    "repositoryMap": (
        "Shows the most important files with their definitions.",
        {
            "focus": _optional(Kind.STRING, "What it is for, in words."),
            "tokens": _optional(Kind.INTEGER, "Size; 1500."),
        },
    ),
    "failures": (
        "Shows the code that a stack trace or compiler output names.",
        {"output": Parameter(Kind.STRING, "The output as it is.")},
    ),
}
TOOL_NAMES = tuple(_TOOLS)


class RetrievalSkill:
    """Search over one workspace. What it returns is the repository's text: data, never instructions."""

    def __init__(self, worker: RetrievalWorker, *, pick: Collection[str] = (), omit: Collection[str] = ()) -> None:
        self._worker = worker
        made = {
            name: Tool(name, words, partial(self._ask, name), parameters, repeatable=True)
            for name, (words, parameters) in _TOOLS.items()
        }
        self._tools = select(made, pick=pick, omit=omit)
        self._tell: Tell | None = None

    @property
    def name(self) -> str:
        return RETRIEVAL_SKILL

    async def open(self, tell: Tell) -> None:
        """The worker starts with the first question."""
        self._tell = tell
        tell("skillConnected", {"skillName": self.name, "spawnDurationMs": 0, "totalDurationMs": 0})

    async def definitions(self) -> Sequence[ToolDefinition]:
        return [tool.definition(self.name) for tool in self._tools.values()]

    async def call(self, call: ToolCall) -> ToolResult:
        return await call_tool(self._tools, call, skill_name=self.name)

    async def close(self) -> None:
        await self._worker.close()
        if self._tell is not None:
            self._tell("skillDisconnected", {"skillName": self.name})
            self._tell = None

    async def _ask(self, name: str, arguments: Arguments) -> Answer:
        text = await self._worker.ask(name, _values(name, arguments))
        return Answer({"untrusted": "text of the repository", "result": text}, long=("result",))


def retrieval_skill(expert: Expert, workspace: Path, cache: Path, repository: str = "") -> RetrievalSkill:
    """The expert's retrieval tools over one workspace; its index lies in `cache`."""
    spec = expert.skills[RETRIEVAL_SKILL]
    return RetrievalSkill(RetrievalWorker(workspace, cache, repository), pick=spec.pick, omit=spec.omit)


def _values(name: str, arguments: Arguments) -> dict[str, Json]:
    values = dict(arguments.values)
    if name == "searchText":
        if "ignoreCase" in values:
            values["ignore_case"] = values.pop("ignoreCase")
        values["limit"] = _within(arguments.number("limit"), 50, 200)
        values["context"] = _within(arguments.number("context"), 0, 20, least=0)
        values["skip"] = max(0, arguments.number("skip") or 0)
    elif name == "searchRanked":
        values["limit"] = _within(arguments.number("limit"), 10, 50)
    elif name == "repositoryMap":
        values["budget"] = _within(arguments.number("tokens"), 1500, 4000, least=100)
        values.pop("tokens", None)
    return values


def _within(value: int | None, default: int, most: int, *, least: int = 1) -> int:
    return default if value is None else max(least, min(value, most))
