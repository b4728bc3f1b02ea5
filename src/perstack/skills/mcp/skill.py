"""The skills `mcpStdioSkill` and `mcpSseSkill`: a server's tools as the runtime knows tools. Speaks no protocol."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager

import anyio
from anyio.abc import TaskGroup

from perstack.core.contracts import Service, Tell
from perstack.core.experts import SkillSpec
from perstack.core.json import compact
from perstack.core.messages import TextPart, ToolCall, ToolDefinition, ToolResult
from perstack.skills.mcp.contract import Answer, CallFailed, Connect, Connection, Listed, Patience, SkillUnavailable
from perstack.skills.mcp.endpoint import PUBLIC_HTTPS, Policy
from perstack.skills.mcp.environment import command_line
from perstack.skills.mcp.loading import HTTP, STDIO, deferred
from perstack.skills.mcp.noise import Noise
from perstack.skills.mcp.offers import Catalogue, catalogue, differences, kept
from perstack.skills.mcp.server import Observer, Server
from perstack.skills.truncation import truncate_middle

_MAX_SHOWN_ARGS = 1_000
# So long a call waits to learn why its server is gone.
_FAREWELL_S = 3.0


def _nobody(kind: str, payload: object) -> None:
    """Before `open` nobody listens."""


class McpSkill(Observer):
    """Tools of one server. `known` are its tools as the lock file has them.

    Without `known` the tools are those the server lists, now and after each restart, and `open` waits for them unless
    the skill is `lazyInit`. With `known` those are the tools for good: the server starts with the first call, and where
    it lists something else, that is told, `differences` holds it, and the known words stay before the model.
    """

    def __init__(
        self,
        spec: SkillSpec,
        connect: Connect,
        *,
        tasks: TaskGroup,
        patience: Patience,
        known: Sequence[ToolDefinition] | None,
    ) -> None:
        self.differences: tuple[str, ...] = ()
        self._spec = spec
        self._patience = patience
        self._tell: Tell = _nobody
        self._known = None if known is None else kept(known, spec)
        self._catalogue = Catalogue()
        self._told_remarks: set[str] = set()
        self._server = Server(spec.name, connect, tasks=tasks, patience=patience, noise=self._noise, observer=self)

    @property
    def name(self) -> str:
        return self._spec.name

    @property
    def stale(self) -> bool:
        """Whether the lock file is known not to fit the server any more."""
        return bool(self.differences)

    async def open(self, tell: Tell) -> None:
        """Start the server and wait for its tools; with `known` or `lazyInit`, return at once.

        Raises: SkillUnavailable.
        """
        self._tell = tell
        attempt = self._server.attempt
        if attempt is not None and attempt.connection is not None and not attempt.pulse.ended:
            self.on_connected(attempt.connection)
        elif self._known is not None:
            return
        elif self._spec.lazy_init:
            self._server.begin()
        else:
            await self._server.ready()

    async def definitions(self) -> Sequence[ToolDefinition]:
        return self._catalogue.definitions if self._known is None else self._known

    async def call(self, call: ToolCall) -> ToolResult:
        """Run one tool. Whatever goes wrong with the server is a result that says so."""
        try:
            answer = await self._answer(call)
        except (CallFailed, SkillUnavailable) as error:
            text = truncate_middle(f"Error calling tool {call.tool_name}: {error}")
            return ToolResult(call.id, call.tool_name, (TextPart(text),), self.name, is_error=True)
        contents = answer.contents
        if not contents:
            args = truncate_middle(compact(call.args), _MAX_SHOWN_ARGS)
            contents = (TextPart(f"Tool {call.tool_name} returned nothing with arguments: {args}"),)
        return ToolResult(call.id, call.tool_name, contents, self.name, is_error=answer.is_error)

    async def close(self) -> None:
        """End the server."""
        await self._server.close()

    async def _answer(self, call: ToolCall) -> Answer:
        """Raises: CallFailed, SkillUnavailable."""
        _require_text(call)
        attempt = await self._server.ready()
        if attempt.connection is None:
            raise SkillUnavailable(attempt.failure)
        own_name = self._catalogue.own_names.get(call.tool_name)
        if own_name is None:
            raise CallFailed(
                f'the server of skill "{self.name}" has no such tool any more.',
                hint="Run `perstack install` to write the lock file again." if self._known is not None else "",
            )
        try:
            with anyio.move_on_after(self._patience.call_s):
                return await attempt.connection.call(own_name, call.args)
        except CallFailed as error:
            if not attempt.pulse.ended:
                raise
            with anyio.move_on_after(_FAREWELL_S):
                await attempt.done.wait()
            raise CallFailed(
                f"{attempt.failure or attempt.pulse.reason}.", hint="It is started again with the next call."
            ) from error
        raise CallFailed(f"no answer within {self._patience.call_s:g} s; the call was cancelled.")

    def on_connected(self, connection: Connection) -> None:
        """Tell it and take the list."""
        info = connection.server_info
        server = {"serverInfo": info} if info else {}
        self._tell("skillConnected", {"skillName": self.name, **server, **connection.durations.to_json()})
        self.on_listing(connection.listed)

    def on_listing(self, listed: Sequence[Listed]) -> None:
        """Offer the list, or compare it with the known one."""
        self._catalogue = catalogue(listed, self._spec)
        for remark in self._catalogue.remarks:
            self._remark(remark)
        if self._known is None:
            return
        self.differences = differences(self._known, self._catalogue.definitions)
        if self.differences:
            shown = "; ".join(self.differences[:10])
            self._remark(f"perstack.lock is stale: {shown}. Run `perstack install` to write it again.")

    def on_disconnected(self) -> None:
        """Tell it."""
        self._tell("skillDisconnected", {"skillName": self.name})

    def _remark(self, text: str) -> None:
        """Say something once, however often the server lists its tools."""
        if text not in self._told_remarks:
            self._told_remarks.add(text)
            self._say(text)

    def _say(self, message: str) -> None:
        self._tell("skillStderr", {"skillName": self.name, "message": message})

    def _noise(self) -> Noise:
        return Noise(self._say, anyio.current_time)


class StdioSkill(McpSkill):
    """`mcpStdioSkill`: `serve` starts the skill's program in its sandbox and ends it with the context."""

    def __init__(
        self,
        spec: SkillSpec,
        serve: Callable[[], AbstractAsyncContextManager[Service]],
        *,
        tasks: TaskGroup,
        patience: Patience | None = None,
        known: Sequence[ToolDefinition] | None = None,
    ) -> None:
        connect = deferred(STDIO, serve=serve)
        super().__init__(spec, connect, tasks=tasks, patience=patience or Patience(), known=known)

    def on_start(self) -> None:
        """Tell it, with the command as it is written."""
        command, *args = command_line(self._spec)
        self._tell("skillStarting", {"skillName": self.name, "command": command, "args": args})


class HttpSkill(McpSkill):
    """`mcpSseSkill`: streamable HTTP, or the older SSE where the endpoint speaks only that."""

    def __init__(
        self,
        spec: SkillSpec,
        *,
        tasks: TaskGroup,
        patience: Patience | None = None,
        known: Sequence[ToolDefinition] | None = None,
        policy: Policy = PUBLIC_HTTPS,
    ) -> None:
        connect = deferred(HTTP, endpoint=spec.endpoint, policy=policy)
        super().__init__(spec, connect, tasks=tasks, patience=patience or Patience(), known=known)


class AbsentSkill:
    """Stands for a skill that cannot be there: it says why when it is opened, and has no tools."""

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        self.reason = reason

    async def open(self, tell: Tell) -> None:
        """Tell why."""
        tell("skillStderr", {"skillName": self.name, "message": self.reason})

    async def definitions(self) -> Sequence[ToolDefinition]:
        return ()

    async def call(self, call: ToolCall) -> ToolResult:
        """Always an error that says why."""
        text = f"Error calling tool {call.tool_name}: {self.reason}"
        return ToolResult(call.id, call.tool_name, (TextPart(text),), self.name, is_error=True)

    async def close(self) -> None:
        """Nothing is open."""


def _require_text(call: ToolCall) -> None:
    """Raises: CallFailed where the arguments hold half of a surrogate pair: no wire takes that."""
    try:
        compact(call.args).encode()
    except UnicodeEncodeError as error:
        raise CallFailed("the arguments hold characters that are no text.", hint="Send them again.") from error
