"""`SearchProvider`: the same protocol as any model behind a wire, answered by a program. Uses no network and no key."""

from __future__ import annotations

from collections.abc import Callable

from perstack.core.messages import (
    Delta,
    ModelReply,
    ModelRequest,
    StopReason,
    TextPart,
    ToolCall,
    UserMessage,
)
from perstack.providers.search.build import Effort, Move, build_move
from perstack.providers.search.progress import exchanges, read_progress
from perstack.providers.search.query import Query, read_query
from perstack.providers.search.roles import arguments_for, plan_moves, verify_moves

MODEL = "search"


class SearchProvider:
    """A model that is a plain program. Stateless: every reply follows from the request's messages and tools."""

    def __init__(self, effort: Effort | None = None) -> None:
        self._effort = effort or Effort()

    @property
    def name(self) -> str:
        return "search"

    async def generate(self, request: ModelRequest, on_delta: Callable[[Delta], None]) -> ModelReply:
        """The next move of the role that the offered tools imply."""
        offered = {tool.name: tool for tool in request.tools}
        done = [call for call, result in exchanges(request.messages) if call.tool_name == "attemptCompletion"]
        moves = [] if done else self._moves(request, set(offered))
        say = "\n".join(dict.fromkeys(move.say for move in moves if move.say))
        if done:
            say = str(done[-1].args.get("result", ""))
        if moves and "attemptCompletion" not in offered and moves[0].tool == "attemptCompletion":
            say, moves = str(moves[0].args["result"]), []
        if say:
            on_delta(Delta("text", say))
        step = len(request.messages)
        calls = tuple(
            ToolCall(
                id=f"search_{step}_{index}",
                tool_name=move.tool,
                args=arguments_for(move, offered[move.tool].input_schema),
                skill_name=offered[move.tool].skill_name,
            )
            for index, move in enumerate(moves)
            if move.tool in offered
        )
        text = (TextPart(say),) if say else ()
        reason = StopReason.TOOL_CALLS if calls else StopReason.END
        return ModelReply(contents=(*text, *calls), stop_reason=reason, model=MODEL)

    async def close(self) -> None:
        """Nothing to release."""

    def _moves(self, request: ModelRequest, offered: set[str]) -> list[Move]:
        if "runSignals" in offered:
            return verify_moves(request.messages)
        query = _query(request)
        if {"exec", "editTextFile"} <= offered:
            return [build_move(query, read_progress(request.messages), self._effort)]
        return plan_moves(query, request.messages, offered)


def _query(request: ModelRequest) -> Query | None:
    """The block of the first message that has one: what comes later is tool output or notes."""
    for message in request.messages:
        if isinstance(message, UserMessage):
            query = read_query("\n".join(p.text for p in message.contents if isinstance(p, TextPart)))
            if query is not None:
                return query
    return None
