"""One session of the official SDK with one server: handshake, listing, calls. Knows no transport and starts nothing."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import mcp_types as types
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.client.session import ClientSession
from mcp.shared.exceptions import MCPError
from mcp.shared.message import SessionMessage
from pydantic import TypeAdapter, ValidationError

from perstack.core.json import JsonObject
from perstack.core.version import __version__
from perstack.skills.mcp import wire_results
from perstack.skills.mcp.contract import Answer, CallFailed, Connection, Durations, Listed, Pulse, SkillUnavailable
from perstack.skills.mcp.offers import MAX_TOOLS
from perstack.skills.mcp.words import plain

Reading = MemoryObjectReceiveStream[SessionMessage | Exception]
Writing = MemoryObjectSendStream[SessionMessage]

_MAX_MESSAGE = 1_000
_MAX_PAGES = 50
_MAX_QUESTIONS = 64
_HALF = re.compile(r"\\u[dD][89a-fA-F]")
# Codes by which a server that speaks only the newest revision, which has no handshake, answers the handshake.
_NO_HANDSHAKE = frozenset({types.UNSUPPORTED_PROTOCOL_VERSION, types.METHOD_NOT_FOUND})
# The SDK's own `call_tool` also checks the result against the tool's output schema. That schema is the server's, and
# one regular expression in it can keep this process busy for ever; the model reads the result either way.
_RESULT: TypeAdapter[types.CallToolResult | types.InputRequiredResult] = TypeAdapter(
    types.CallToolResult | types.InputRequiredResult
)


_TRIPPED = (
    httpx2.HTTPError, MCPError, OSError, ValueError, TypeError, LookupError, AttributeError, AssertionError,
    ArithmeticError, RuntimeError,
)  # fmt: skip


class TooManyQuestions(ValueError):
    """A server asks and asks, and does not take the answers: each would wait in our memory."""


class Questions:
    """Counts requests of a server (sampling, roots, …) that wait for our answer, which is always a polite no."""

    def __init__(self) -> None:
        self._open = 0

    def asked(self, message: types.JSONRPCMessage) -> None:
        """Raises: TooManyQuestions."""
        if isinstance(message, types.JSONRPCRequest):
            self._open += 1
            if self._open > _MAX_QUESTIONS:
                raise TooManyQuestions(f"it asks more than {_MAX_QUESTIONS} questions without taking the answers")

    def answered(self, message: types.JSONRPCMessage) -> None:
        if isinstance(message, types.JSONRPCResponse | types.JSONRPCError):
            self._open -= 1


def message_of(data: bytes | str) -> types.JSONRPCMessage:
    """One message as it came. Half a character, as a server makes that cuts a text in two, becomes a question mark.

    Raises: ValidationError.
    """
    try:
        return types.jsonrpc_message_adapter.validate_json(data, by_name=False)
    except ValidationError:
        if not _HALF.search(data if isinstance(data, str) else data.decode("utf-8", "replace")):
            raise
        whole = _whole(data)
    return types.jsonrpc_message_adapter.validate_json(whole, by_name=False)


def _whole(data: bytes | str) -> bytes:
    try:
        return json.dumps(json.loads(data), ensure_ascii=False).encode("utf-8", "replace")
    except (ValueError, RecursionError):
        return b""


class SdkConnection:
    """`contract.Connection` over a session that is initialised."""

    def __init__(self, session: ClientSession, pulse: Pulse, *, durations: Durations, listed: Sequence[Listed]) -> None:
        self._session = session
        self._pulse = pulse
        self.durations = durations
        self.listed = listed

    @property
    def server_info(self) -> JsonObject:
        """Name and version as the server gives them."""
        info = self._session.server_info
        return {"name": plain(info.name, 200), "version": plain(info.version, 100)} if info else {}

    async def list_again(self) -> Sequence[Listed]:
        """Raises: CallFailed."""
        try:
            return await _listed(self._session)
        except (MCPError, ValidationError, RuntimeError) as error:
            raise CallFailed(self._what_went_wrong(error)) from error

    async def call(self, name: str, args: JsonObject) -> Answer:
        """Raises: CallFailed."""
        request = types.CallToolRequest(params=types.CallToolRequestParams(name=name, arguments=dict(args)))
        try:
            result = await self._session.send_request(request, _RESULT)
        except (MCPError, ValidationError, RuntimeError) as error:
            if isinstance(error, MCPError) and _is_forgotten(error):
                self._pulse.end("it has forgotten our session")
            raise CallFailed(self._what_went_wrong(error)) from error
        if isinstance(result, types.InputRequiredResult):
            raise CallFailed("the server asks for input in the middle of the call, and there is nobody to give it")
        return wire_results.answer(result)

    def _what_went_wrong(self, error: MCPError | ValidationError | RuntimeError) -> str:
        return f"the server is gone: {self._pulse.reason}" if self._pulse.ended else described(error)


@asynccontextmanager
async def connected(read: Reading, write: Writing, pulse: Pulse, *, spawn_s: float | None) -> AsyncIterator[Connection]:
    """Shake hands over a transport's streams, list the tools, and speak until the context ends.

    Raises: SkillUnavailable where the server refuses, breaks the protocol or is gone.
    """
    keep_quiet()

    async def on_message(message: types.ServerNotification | Exception) -> None:
        if isinstance(message, types.ToolListChangedNotification):
            pulse.change()

    started = time.monotonic()
    client = types.Implementation(name="perstack", version=__version__)
    async with ClientSession(read, write, message_handler=on_message, client_info=client) as session:
        try:
            await _handshake(session)
            shaken = time.monotonic()
            listed = await _listed(session)
        except (MCPError, ValidationError, RuntimeError) as error:
            raise SkillUnavailable(pulse.reason if pulse.ended else described(error)) from error
        durations = Durations(spawn_s, shaken - started, time.monotonic() - shaken)
        try:
            yield SdkConnection(session, pulse, durations=durations, listed=listed)
        finally:
            pulse.end("the connection broke")


@asynccontextmanager
async def blamed(server: str) -> AsyncIterator[None]:
    """What goes wrong below is the server's failure, and ends nothing but its connection. `server` names it.

    A stranger's bytes pass through code that is not ours: whatever they trip there must not end a run.
    Raises: SkillUnavailable, maybe in a group.
    """
    problems: list[str] = []
    try:
        yield
    except* _TRIPPED as group:
        problems = _sentences(group)
    if problems:
        raise SkillUnavailable(plain(f"{server}: {'; '.join(dict.fromkeys(problems))}", _MAX_MESSAGE))


def _sentences(group: BaseExceptionGroup[BaseException]) -> list[str]:
    found: list[str] = []
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            found += _sentences(error)
        else:
            found.append(str(error) or type(error).__name__)
    return found


def described(error: MCPError | ValidationError | RuntimeError) -> str:
    """An error of the protocol in one bounded, clean sentence."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(step) for step in first["loc"])
        return plain(f"the server's answer breaks the protocol: {where}: {first['msg']}", _MAX_MESSAGE)
    return plain(str(error), _MAX_MESSAGE) or "the server gave an error without words"


async def _handshake(session: ClientSession) -> None:
    """`initialize`, as every server of today takes it; `server/discover` where a server has no handshake any more."""
    try:
        await session.initialize()
    except MCPError as error:
        if error.code not in _NO_HANDSHAKE:
            raise
        await session.discover()


async def _listed(session: ClientSession) -> tuple[Listed, ...]:
    """All pages of the list; it ends where a server goes in circles or lists without end."""
    capabilities = session.server_capabilities
    promised = capabilities is None or capabilities.tools is not None
    found: list[Listed] = []
    cursor: str | None = None
    seen: set[str] = set()
    for _ in range(_MAX_PAGES):
        try:
            page = await session.list_tools(params=types.PaginatedRequestParams(cursor=cursor) if cursor else None)
        except MCPError as error:
            if promised or error.code != types.METHOD_NOT_FOUND:
                raise
            break
        found += [_plain_tool(tool) for tool in page.tools]
        cursor = page.next_cursor
        if not cursor or cursor in seen or len(found) > MAX_TOOLS:
            break
        seen.add(cursor)
    return tuple(found)


def _plain_tool(tool: types.Tool) -> Listed:
    schema: dict[str, Any] = tool.input_schema
    read_only = tool.annotations is not None and tool.annotations.read_only_hint is True
    as_task = tool.execution is not None and tool.execution.task_support == "required"
    unusable = "it runs only as a task that is asked for later, which we do not do" if as_task else ""
    return Listed(tool.name, tool.description or "", schema, read_only, unusable)


def _is_forgotten(error: MCPError) -> bool:
    """Whether a server on HTTP does not know our session any more: the SDK's words for the status 404."""
    return error.code == types.INVALID_REQUEST and error.message == "Session terminated"


def keep_quiet() -> None:
    """Without a handler Python prints the SDK's warnings, with a server's words in them, on the standard error."""
    for name in ("mcp", "client"):
        logger = logging.getLogger(name)
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
