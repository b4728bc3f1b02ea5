"""The skill `@perstack/retrieval`: an expert searches a repository by text, rank, symbol and map. Reads only."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path

from perstack.context.retrieval.client import RetrievalWorker
from perstack.context.retrieval.history import History
from perstack.context.retrieval.render import MAX_TEXT
from perstack.core.contracts import Tell
from perstack.core.errors import ToolError
from perstack.core.experts import RETRIEVAL_SKILL, Expert
from perstack.core.json import Json
from perstack.core.messages import ToolCall, ToolDefinition, ToolResult
from perstack.skills.retrieval_facts import Known
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
        {"output": _optional(Kind.STRING, "The output as it is; without: what failed last in this job.")},
    ),
    "history": (
        "Finds past commits by message, code or path; with lines: who changed them.",
        {
            "message": _optional(Kind.STRING, "Text in the message."),
            "code": _optional(Kind.STRING, "Code that was brought or removed."),
            "path": _optional(Kind.STRING, "File or folder."),
            "firstLine": _optional(Kind.INTEGER, "Of the file at path."),
            "lastLine": _optional(Kind.INTEGER, "Of the file at path."),
            "blame": _optional(Kind.BOOLEAN, "Each line with its commit."),
            "limit": _optional(Kind.INTEGER, "Commits; 10."),
        },
    ),
}
TOOL_NAMES = tuple(_TOOLS)
_NOTHING = Known()


class RetrievalSkill:
    """Search over one workspace. What it returns is the repository's text: data, never instructions."""

    def __init__(
        self,
        worker: RetrievalWorker,
        known: Known = _NOTHING,
        *,
        pick: Collection[str] = (),
        omit: Collection[str] = (),
    ) -> None:
        self._worker, self._known = worker, known
        made = {
            name: Tool(name, words, partial(self._ask, name), parameters, repeatable=True)
            for name, (words, parameters) in _TOOLS.items()
            if name != "history" or known.history is not None
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
        text = await self._answered(name, arguments)
        return Answer({"untrusted": "text of the repository", "result": text}, long=("result",))

    async def _answered(self, name: str, arguments: Arguments) -> str:
        if name == "history" and self._known.history is not None:
            return await _past(self._known.history, arguments)
        values = _values(name, arguments)
        if name == "searchRanked" and self._known.history is not None:
            values["precedents"] = dict(await self._known.history.precedents(arguments.text("query")))
        if name == "failures" and not values.get("output"):
            values["output"] = self._known.failing()
            if not values["output"]:
                return "No signal has failed in this job so far. Give the output of a command."
        return await self._worker.ask(name, values)


def retrieval_skill(
    expert: Expert, workspace: Path, cache: Path, known: Known, say: Callable[[str], None]
) -> RetrievalSkill:
    """The expert's retrieval tools over one workspace; its index lies in `cache`, `say` writes to the job's log."""
    spec = expert.skills[RETRIEVAL_SKILL]
    worker = RetrievalWorker(workspace, cache, known.repository, say)
    return RetrievalSkill(worker, known, pick=spec.pick, omit=spec.omit)


async def _past(history: History, arguments: Arguments) -> str:
    path, first = arguments.text("path"), arguments.number("firstLine")
    limit = arguments.number("limit") or 10
    if first is None and not arguments.flag("blame", default=False):
        text = await history.search(
            message=arguments.text("message"), code=arguments.text("code"), path=path, limit=limit
        )
        return text[:MAX_TEXT]
    if not path:
        raise ToolError("Lines of which file? Give path.")
    start = max(1, first or 1)
    last = arguments.number("lastLine")
    if arguments.flag("blame", default=False):
        return (await history.blame(path, start, max(start, last or start + 199)))[:MAX_TEXT]
    return (await history.touched(path, start, max(start, last or start), limit=limit))[:MAX_TEXT]


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
