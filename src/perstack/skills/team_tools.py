"""The management tools of the base skill: an expert makes experts, and gives itself delegates and skills.

Each call is checked here and then handed to the team; what a change does is in `team.py`, what is too much in
`team_trust.py`. Nothing is written to a file, and everything ends with the job.
"""

from __future__ import annotations

import tomllib
from collections.abc import Awaitable, Callable, Iterator, Mapping

from perstack.core.errors import ToolError, UserError
from perstack.core.experts import BASE_SKILL, BASE_TOOLS, MANAGEMENT_TOOLS, Expert
from perstack.core.grammar import delegation_problem, parse_expert_key
from perstack.core.json import Json, JsonObject, compact
from perstack.infrastructure.workspace import Workspace
from perstack.skills.selection import chosen
from perstack.skills.team import Change, Team, expert_table, read_skill
from perstack.skills.team_trust import (
    MAX_CREATED,
    MAX_DELEGATES,
    MAX_SKILLS,
    refuse_key,
    refuse_reach,
    refuse_size,
    refuse_wider,
    refuse_wider_skill,
)
from perstack.skills.tool import Answer, Arguments, Kind, Parameter, Tool

MAX_FILE_BYTES = 200_000
MAX_CALL = 60_000
"""Characters of the arguments of one call: what is added goes into prompts, and stays in the log."""
MAX_TAKEN_OVER = 24_000
"""Characters of experts taken over from a file: the answer holds them whole, because the log is all that is kept."""

_TEXT = Kind.STRING
_EXPERT_KEY = "Key of the expert, such as `game-dev` or `@game-dev/write`."


class TeamTools:
    """Handlers for one expert (`caller`, its key) of a team."""

    def __init__(self, team: Team, caller: str, workspace: Workspace) -> None:
        self._team = team
        self._caller = caller
        self._workspace = workspace

    def tools(self) -> tuple[Tool, ...]:
        """One tool for each of `MANAGEMENT_TOOLS`."""
        return (
            self._tool("createExpert", _ABOUT_CREATE, self._create, _CREATE),
            self._tool(
                "addSkill",
                "Gives you one more skill in this job. Its tools are there from your next step on. Programs are those "
                "of your own skills or of the workspace; nothing is fetched.",
                self._add_skill,
                _SKILL,
            ),
            self._tool(
                "removeSkill",
                "Takes one of your skills away for the rest of this job.",
                self._remove_skill,
                {"skillName": Parameter(_TEXT, "Name of the skill.")},
            ),
            self._tool(
                "addDelegate",
                "Lets you delegate to an expert of this job. The tool to call it by is there from your next step on.",
                self._add_delegate,
                {"expertKey": Parameter(_TEXT, _EXPERT_KEY)},
            ),
            self._tool(
                "removeDelegate",
                "Takes one of your delegates away for the rest of this job.",
                self._remove_delegate,
                {"expertKey": Parameter(_TEXT, _EXPERT_KEY)},
            ),
            self._tool(
                "addDelegateFromConfig",
                "Takes an expert and its delegates over from a perstack.toml in the workspace and lets you delegate "
                "to it.",
                self._add_from_config,
                {
                    "configPath": Parameter(_TEXT, "The file, in the workspace."),
                    "delegateExpertKey": Parameter(_TEXT, _EXPERT_KEY),
                },
            ),
        )

    @property
    def _me(self) -> Expert:
        return self._team.experts[self._caller]

    @property
    def _granted(self) -> Expert:
        return self._team.state.granted[self._caller]

    def _tool(
        self,
        name: str,
        description: str,
        decide: Callable[[Arguments], Awaitable[Mapping[str, Json]]],
        parameters: Mapping[str, Parameter],
    ) -> Tool:
        async def handle(arguments: Arguments) -> Answer:
            size = len(compact(arguments.values))
            if size > MAX_CALL:
                raise ToolError(f"The arguments have {size} characters, {MAX_CALL} are taken.")
            try:
                answer = await decide(arguments)
            except UserError as error:  # what the rules of a definition refuse, a model can correct
                raise ToolError(error.message, hint=error.hint) from error
            self._team.change(Change(self._caller, name, arguments.values, answer))
            return Answer(answer)

        return Tool(name, description, handle, parameters, repeatable=True)

    async def _create(self, arguments: Arguments) -> Mapping[str, Json]:
        key = arguments.text("key")
        self._accept(self._team.read({key: expert_table(arguments.values)}))
        return {"expertKey": key}

    async def _add_skill(self, arguments: Arguments) -> Mapping[str, Json]:
        name = arguments.text("name")
        if name in self._me.skills:
            raise ToolError(f'You have a skill "{name}" already.', hint="Remove it first, or choose another name.")
        if len(self._me.skills) >= MAX_SKILLS:
            raise ToolError(f"You have {MAX_SKILLS} skills, which is the limit.")
        spec = read_skill(arguments.values, self._team.read)
        refuse_wider_skill(spec, self._granted)
        self._refuse_taken(spec.tools)
        return {"skillName": name}

    async def _remove_skill(self, arguments: Arguments) -> Mapping[str, Json]:
        name = arguments.text("skillName")
        if name == BASE_SKILL:
            raise ToolError("The base skill cannot be removed.")
        if name not in self._me.skills:
            raise ToolError(f'You have no skill "{name}".', hint=f"Skills: {', '.join(self._me.skills)}.")
        return {"removed": name}

    async def _add_delegate(self, arguments: Arguments) -> Mapping[str, Json]:
        key = arguments.text("expertKey")
        if key not in self._team.experts:
            raise ToolError(f'There is no expert "{key}".', hint=f"Experts: {', '.join(self._team.experts)}.")
        refuse_reach(self._team.experts, (key,), self._granted)
        return {"delegateToolName": self._delegate_tool(key)}

    async def _remove_delegate(self, arguments: Arguments) -> Mapping[str, Json]:
        key = arguments.text("expertKey")
        if key not in self._me.delegates:
            names = ", ".join(self._me.delegates) or "none"
            raise ToolError(f'You have no delegate "{key}".', hint=f"Delegates: {names}.")
        return {"removed": key}

    async def _add_from_config(self, arguments: Arguments) -> Mapping[str, Json]:
        path, key = arguments.text("configPath"), arguments.text("delegateExpertKey")
        tables = self._tables(path)
        if key not in tables:
            raise ToolError(f'{path} defines no expert "{key}".', hint=f"It defines: {', '.join(tables) or 'none'}.")
        found = dict(_reachable(tables, key))
        experts = self._team.read(found)
        # A file may define what the job has already, in the same words.
        new = {name: expert for name, expert in experts.items() if self._team.state.granted.get(name) != expert}
        self._accept(new)
        refuse_reach({**self._team.experts, **new}, (key,), self._granted)
        answer: dict[str, Json] = {"expertKey": key, "experts": {name: found[name] for name in new}}
        size = len(compact(answer))
        if size > MAX_TAKEN_OVER:
            raise ToolError(f"{key} and its delegates have {size} characters, {MAX_TAKEN_OVER} can be taken over.")
        return {"delegateToolName": self._delegate_tool(key), **answer}

    def _tables(self, path: str) -> Mapping[str, JsonObject]:
        try:
            data = tomllib.loads(self._workspace.read(path, limit=MAX_FILE_BYTES).decode("utf-8"))
        except (ValueError, RecursionError) as error:  # no UTF-8, no TOML, numbers without end
            raise ToolError(f"{path} is not valid TOML: {error}") from error
        experts = data.get("experts")
        if not isinstance(experts, dict):
            raise ToolError(f"{path} defines no experts.")
        return {key: table for key, table in experts.items() if isinstance(table, dict)}

    def _accept(self, experts: Mapping[str, Expert]) -> None:
        """Raises: ToolError where one of the experts may not be made, or all together are too much."""
        state = self._team.state
        for key, expert in experts.items():
            refuse_key(state.granted, state.made, self._caller, key)
            refuse_wider(expert, self._granted)
            refuse_reach({**state.experts, **experts}, expert.delegates, self._granted)
        if len(state.made) + len(experts) > MAX_CREATED:
            raise ToolError(f"At most {MAX_CREATED} experts can be created in a job.")
        refuse_size([*(state.experts[key] for key in state.made), *experts.values()])

    def _delegate_tool(self, key: str) -> str:
        """The tool name of a new delegate. Raises: ToolError where it may not be one."""
        source, target = parse_expert_key(self._caller), parse_expert_key(key)
        if source is None or target is None:
            raise ToolError(f"Invalid expert key format: {key}")
        problem = delegation_problem(source, target)
        if problem:
            raise ToolError(f'"{key}" is not allowed here: {problem}.')
        if key in self._me.delegates:
            return target.tool_name
        if len(self._me.delegates) >= MAX_DELEGATES:
            raise ToolError(f"You have {MAX_DELEGATES} delegates, which is the limit.")
        self._refuse_taken([target.tool_name])
        return target.tool_name

    def _refuse_taken(self, names: Mapping[str, object] | list[str]) -> None:
        taken = set(_tool_names(self._me))
        for name in names:
            if name in taken:
                raise ToolError(f'You have a tool "{name}" already; two tools cannot share a name.')


def _tool_names(expert: Expert) -> Iterator[str]:
    """Every tool name of an expert that is known without asking an MCP server."""
    base = expert.skills[BASE_SKILL]
    yield from chosen((*BASE_TOOLS, *MANAGEMENT_TOOLS), pick=base.pick, omit=base.omit)
    for spec in expert.skills.values():
        yield from spec.tools
    for delegate in expert.delegates:
        parsed = parse_expert_key(delegate)
        if parsed is not None:
            yield parsed.tool_name


def _reachable(tables: Mapping[str, JsonObject], key: str) -> Iterator[tuple[str, JsonObject]]:
    """An expert of a file and everything it delegates to there, once each."""
    pending, seen = [key], {key}
    while pending:
        current = pending.pop(0)
        yield current, tables[current]
        delegates = tables[current].get("delegates")
        for name in delegates if isinstance(delegates, list) else ():
            if isinstance(name, str) and name in tables and name not in seen:
                seen.add(name)
                pending.append(name)


_ABOUT_CREATE = (
    "Creates an expert for this job and returns its key. It has the base tools; it may have skills like yours and "
    "programs of the workspace, and no environment variable or host that none of your skills has. "
    "Use addDelegate to be able to call it."
)
_CREATE = {
    "key": Parameter(_TEXT, "`name` for a coordinator, `@coordinator/name` for one of its delegates."),
    "instruction": Parameter(_TEXT, "The expert's own, private instruction."),
    "description": Parameter(_TEXT, "What its callers see.", required=False),
    "version": Parameter(_TEXT, 'Such as "1.0.0".', required=False),
    "skills": Parameter(Kind.TABLES, "Skills by name, as in perstack.toml.", required=False),
    "delegates": Parameter(Kind.STRINGS, "Keys of experts it may call.", required=False),
    "tags": Parameter(Kind.STRINGS, "Tags.", required=False),
    "defaultModelTier": Parameter(_TEXT, "low, middle or high.", required=False),
}
_SKILL = {
    "name": Parameter(_TEXT, "Name of the skill."),
    "type": Parameter(_TEXT, "mcpStdioSkill, mcpSseSkill or interactiveSkill."),
    "command": Parameter(_TEXT, "Program that starts the server.", required=False),
    "packageName": Parameter(_TEXT, "Package of the server; instead of `args`.", required=False),
    "args": Parameter(Kind.STRINGS, "Arguments; instead of `packageName`.", required=False),
    "endpoint": Parameter(_TEXT, "Address of a remote server.", required=False),
    "tools": Parameter(Kind.TABLES, "Tools of an interactive skill by name.", required=False),
    "description": Parameter(_TEXT, "What it is for.", required=False),
    "rule": Parameter(_TEXT, "How to use it.", required=False),
    "pick": Parameter(Kind.STRINGS, "Only these tools.", required=False),
    "omit": Parameter(Kind.STRINGS, "Not these tools.", required=False),
    "requiredEnv": Parameter(Kind.STRINGS, "Environment variables.", required=False),
    "allowedDomains": Parameter(Kind.STRINGS, "Hosts it may reach.", required=False),
    "lazyInit": Parameter(Kind.BOOLEAN, "Do not wait for it.", required=False),
}
