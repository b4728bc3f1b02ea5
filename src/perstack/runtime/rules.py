"""What the machine needs to know about a run besides its state: the expert, the limits, where tools lead. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from perstack.core.experts import BASE_SKILL, Expert
from perstack.core.messages import ToolCall

COMPLETION_TOOL = "attemptCompletion"


class Kind(IntEnum):
    """What a call does, in the order in which the calls of one reply are taken."""

    MCP = 0
    DELEGATE = 1
    INTERACTIVE = 2


@dataclass(frozen=True, slots=True)
class Route:
    """Where a tool's name leads. `expert_key` and `version` are set for delegates, whose `skill_name` is their name."""

    kind: Kind
    skill_name: str
    read_only: bool = False
    expert_key: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for a whole run: its expert, its limits and its tools by name.

    `context_window` is how many tokens its model can see, 0 where that is not known; `reply_tokens` is what of it is
    kept free for the reply.
    """

    expert: Expert
    max_steps: int = 100
    max_retries: int = 5
    routes: Mapping[str, Route] = field(default_factory=dict)
    context_window: int = 0
    reply_tokens: int = 8192

    def kind_of(self, call: ToolCall) -> Kind:
        """What the call does. Unknown tools and unusable calls count as MCP: they are answered with an error."""
        route = self.routes.get(call.tool_name)
        if route is None or call.problem:
            return Kind.MCP
        if route.kind is Kind.DELEGATE and not query_of(call):
            return Kind.MCP
        return route.kind

    def is_completion(self, call: ToolCall) -> bool:
        """Whether the call claims that the work is done."""
        route = self.routes.get(call.tool_name)
        return call.tool_name == COMPLETION_TOOL and route is not None and route.skill_name == BASE_SKILL

    def calls_of(self, kind: Kind, calls: tuple[ToolCall, ...]) -> tuple[ToolCall, ...]:
        """The calls of one kind, in their order."""
        return tuple(call for call in calls if self.kind_of(call) is kind)


def query_of(call: ToolCall) -> str:
    """The query of a delegate call; empty where it is missing or no text."""
    query = call.args.get("query")
    return query if isinstance(query, str) and query.strip() else ""
