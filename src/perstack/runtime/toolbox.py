"""The tools of one run: which there are in each step, where their names lead, and how their calls are run.

Delegates and interactive tools are only named here; the driver and the caller answer them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from perstack.core.contracts import Skill, Tell
from perstack.core.errors import ToolError, UserError
from perstack.core.experts import BASE_SKILL
from perstack.core.messages import ToolCall, ToolDefinition, ToolResult
from perstack.runtime.concurrency import in_order
from perstack.runtime.offers import Offer
from perstack.runtime.results import error_result, presentable
from perstack.runtime.rules import COMPLETION_TOOL, Kind, Route

_PARALLEL_CALLS = 8


class Toolbox:
    """The tools of one run: its skills', which may gain and lose some between steps, and what `others` gives.

    `definitions` and `routes` are those of the current step. A tool keeps its place as long as it is there and new
    ones come last, so the prefix that a model's cache holds stays.
    """

    def __init__(self, skills: Mapping[str, Skill], others: Callable[[], Iterable[Offer]], tell: Tell) -> None:
        """`skills` are open, by name, and may come and go; `others` gives interactive tools and delegates.

        `tell` gets what has to be left out.
        """
        self.definitions: tuple[ToolDefinition, ...] = ()
        self.routes: dict[str, Route] = {}
        self._skills = skills
        self._others = others
        self._tell = tell
        self._left_out: set[tuple[str, str]] = set()

    async def fill(self) -> None:
        """Ask for the tools of the first step.

        Raises: UserError where two have one name or a delegate is missing.
        """
        tools: dict[str, Offer] = {}
        for definition, route in await self._offers():
            taken = tools.get(definition.name)
            if taken is not None:
                raise UserError(
                    f"{_collision(definition.name, taken[1], route)}",
                    hint="Leave one out with `omit`, or rename the delegate.",
                )
            tools[definition.name] = (definition, route)
        self._take(tools)

    async def refresh(self) -> None:
        """Ask again, before a further step. A name that is taken stays with its holder; the other is left out."""
        tools: dict[str, Offer] = {}
        for definition, route in await self._offers():
            name, taken = definition.name, tools.get(definition.name)
            if taken is None:
                tools[name] = (definition, route)
                continue
            loser = route
            if _same_place(route, self.routes.get(name)):
                tools[name], loser = (definition, route), taken[1]
            self._leave_out(name, loser, _collision(name, tools[name][1], loser))
        self._take(tools)

    async def _offers(self) -> list[Offer]:
        offers: list[Offer] = []
        for skill in self._skills.values():
            offers += [
                (item, Route(Kind.MCP, skill.name, read_only=item.read_only)) for item in await skill.definitions()
            ]
        return [*offers, *self._others()]

    def _take(self, tools: Mapping[str, Offer]) -> None:
        names = [name for name in self.routes if name in tools]
        names += [name for name in tools if name not in self.routes]
        definitions = tuple(tools[name][0] for name in names)
        if definitions != self.definitions:
            self.definitions = definitions
        # The same mapping for the whole run: the rules and the delegations in hand look into it.
        routes = {name: tools[name][1] for name in names}
        self.routes.clear()
        self.routes.update(routes)

    def _leave_out(self, name: str, route: Route, why: str) -> None:
        if (name, route.skill_name) not in self._left_out:
            self._left_out.add((name, route.skill_name))
            self._tell("skillStderr", {"skillName": route.skill_name, "message": f"{why}; the later one is left out"})

    def batches(self, calls: Sequence[ToolCall]) -> Iterable[list[ToolCall]]:
        """What may run at the same time: neighbouring calls that are safe to repeat or that no base tool answers.

        A base tool that changes the workspace runs alone, in its place: two edits of one file must not meet.
        """
        batch: list[ToolCall] = []
        for call in calls:
            if call.skill_name != BASE_SKILL or self.is_repeatable(call):
                batch.append(call)
                continue
            if batch:
                yield batch
            yield [call]
            batch = []
        if batch:
            yield batch

    async def run(self, batch: Sequence[ToolCall]) -> list[ToolResult]:
        """Run the calls of one batch at the same time; results in their order.

        Raises: InfrastructureError when the machinery behind a tool fails.
        """
        return await in_order([partial(self._call, call) for call in batch], limit=_PARALLEL_CALLS)

    def is_repeatable(self, call: ToolCall) -> bool:
        """Whether a call may be made again, or never reaches a tool: then a lost result is no loss."""
        route = self.routes.get(call.tool_name)
        return route is None or route.read_only or call.tool_name == COMPLETION_TOOL or bool(self._problem(call))

    async def _call(self, call: ToolCall) -> ToolResult:
        problem = self._problem(call)
        if problem:
            return error_result(call, problem)
        try:
            result = await self._skills[self.routes[call.tool_name].skill_name].call(call)
        except ToolError as error:
            return error_result(call, f"Error calling tool {call.tool_name}: {error}")
        return presentable(call, result)

    def _problem(self, call: ToolCall) -> str:
        """Why the call cannot be made; empty where it can."""
        route = self.routes.get(call.tool_name)
        if route is None:
            names = ", ".join(sorted(self.routes)) or "none"
            return f"Tool {call.tool_name} not found. Tools you have: {names}."
        if call.problem:
            return f"The arguments of tool {call.tool_name} are unusable: {call.problem}. Send one JSON object."
        if route.kind is Kind.DELEGATE:
            return f"Delegation error: query is undefined for {call.tool_name}"
        return ""


def _same_place(route: Route, holder: Route | None) -> bool:
    return holder is not None and (route.kind, route.skill_name) == (holder.kind, holder.skill_name)


def _collision(name: str, first: Route, second: Route) -> str:
    return f"two tools are named `{name}`: one of `{first.skill_name}`, one of `{second.skill_name}`"
