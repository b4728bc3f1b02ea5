"""What the parts of an MCP skill say to each other. Free of the SDK, so that it loads at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

import anyio

from perstack.core.errors import InfrastructureError, ToolError
from perstack.core.json import Json, JsonObject
from perstack.core.messages import FilePart, ImagePart, TextPart
from perstack.skills.mcp.noise import Noise


class SkillUnavailable(InfrastructureError):
    """A server cannot be started, or has ended too often."""


class CallFailed(ToolError):
    """One call got no result: the server refused it, broke the protocol, or ended."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a server may take, in seconds, and how often it is started again after it ended by itself.

    `prepare_s` is for its sandbox and its package; `start_s` begins when its program runs.
    """

    prepare_s: float = 660.0
    start_s: float = 60.0
    call_s: float = 300.0
    restarts: int = 3


@dataclass(frozen=True, slots=True)
class Listed:
    """One tool as a server lists it: nothing is cleaned, nothing is believed.

    `read_only` is the server's own word, and only its own tools suffer where it is a lie. `unusable` says why we cannot
    call it; empty where we can.
    """

    name: str
    description: str
    schema: Json
    read_only: bool = False
    unusable: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a tool answered, bounded and cleaned."""

    contents: tuple[TextPart | ImagePart | FilePart, ...]
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class Durations:
    """How long a start took, in seconds. `spawn` is None where no program was started."""

    spawn: float | None
    handshake: float
    discovery: float

    def to_json(self) -> JsonObject:
        """As in `skillConnected`, in milliseconds."""
        known = {} if self.spawn is None else {"spawnDurationMs": _ms(self.spawn)}
        connect = (self.spawn or 0.0) + self.handshake
        return {
            **known,
            "handshakeDurationMs": _ms(self.handshake),
            "toolDiscoveryDurationMs": _ms(self.discovery),
            "connectDurationMs": _ms(connect),
            "totalDurationMs": _ms(connect + self.discovery),
        }


class Pulse:
    """What happens to one connection, for the task that watches it."""

    def __init__(self) -> None:
        self.begun = False
        self.on_begin: Callable[[], None] = lambda: None
        self.ended = False
        self.reason = ""
        self._changed = False
        self._event = anyio.Event()
        self._end = anyio.Event()

    def begin(self) -> None:
        """The program runs, or the endpoint is known: from now on the server's own time counts."""
        self.begun = True
        self.on_begin()

    def end(self, reason: str) -> None:
        """The connection is of no use any more. The first reason counts."""
        if not self.ended:
            self.ended, self.reason = True, reason
        self._end.set()
        self._event.set()

    def change(self) -> None:
        """The server says that its list of tools has changed."""
        self._changed = True
        self._event.set()

    async def wait_for_end(self) -> None:
        """Return when the connection has ended."""
        await self._end.wait()

    async def wait(self) -> None:
        """Return when something happened since the last call."""
        await self._event.wait()
        self._event = anyio.Event()

    def take_change(self) -> bool:
        """Whether the list has changed since this was last asked."""
        changed, self._changed = self._changed, False
        return changed


class Connection(Protocol):
    """One initialised session with a server."""

    @property
    def server_info(self) -> JsonObject: ...

    @property
    def durations(self) -> Durations: ...

    @property
    def listed(self) -> Sequence[Listed]: ...

    async def list_again(self) -> Sequence[Listed]:
        """Ask for the tools once more. Raises: CallFailed."""
        ...

    async def call(self, name: str, args: JsonObject) -> Answer:
        """Call a tool by the server's own name for it. Cancelling the call cancels it at the server.

        Raises: CallFailed.
        """
        ...


# Starts a server and speaks with it until the context ends. What goes wrong is a PerstackError, maybe in a group.
Connect = Callable[[Noise, Pulse], AbstractAsyncContextManager[Connection]]


@dataclass(slots=True)
class Attempt:
    """One start of a server and what became of it."""

    pulse: Pulse = field(default_factory=Pulse)
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    settled: anyio.Event = field(default_factory=anyio.Event)  # connected, or failed
    done: anyio.Event = field(default_factory=anyio.Event)  # nothing of it is left
    connection: Connection | None = None
    failure: str = ""
    closing: bool = False


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
