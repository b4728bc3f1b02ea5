"""The folded state of one run, and the plain data around it. No behaviour beyond growing; no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from perstack.context.elision import LeftOut
from perstack.core.messages import Message, ToolCall, ToolResult
from perstack.core.usage import Usage


class Phase(StrEnum):
    """States of the public state machine, 2026 names."""

    INIT = "Init"
    PREPARING = "PreparingForStep"
    GENERATING = "GeneratingToolCall"
    CALLING_TOOLS = "CallingMcpTools"
    RESOLVING = "ResolvingToolResult"
    CALLING_DELEGATES = "CallingDelegates"
    CALLING_INTERACTIVE = "CallingInteractiveTools"
    FINISHING = "FinishingStep"
    STOPPED = "Stopped"


class RunStatus(StrEnum):
    """`Checkpoint.status` of the public format."""

    INIT = "init"
    PROCEEDING = "proceeding"
    COMPLETED = "completed"
    STOPPED_BY_INTERACTIVE_TOOL = "stoppedByInteractiveTool"
    STOPPED_BY_DELEGATE = "stoppedByDelegate"
    STOPPED_BY_EXCEEDED_MAX_STEPS = "stoppedByExceededMaxSteps"
    STOPPED_BY_ERROR = "stoppedByError"


class History:
    """An immutable sequence of messages that grows in constant time.

    Versions share one list; a version sees only its own length. Growing an old version copies, so no version
    ever changes. This keeps a fold of n events linear where a tuple would be quadratic.
    """

    __slots__ = ("_length", "_shared")

    def __init__(self, messages: Iterable[Message] = ()) -> None:
        self._shared = list(messages)
        self._length = len(self._shared)

    def grow(self, *messages: Message) -> History:
        """This history followed by `messages`."""
        if not messages:
            return self
        shared = self._shared if len(self._shared) == self._length else self._shared[: self._length]
        grown = History.__new__(History)
        shared.extend(messages)
        grown._shared = shared
        grown._length = self._length + len(messages)
        return grown

    def messages(self) -> tuple[Message, ...]:
        """All messages, oldest first."""
        return tuple(self._shared[: self._length])

    def at(self, place: int) -> Message:
        """The message at a place, from 0."""
        return self._shared[place]

    def after(self, place: int) -> tuple[Message, ...]:
        """The messages from a place on."""
        return tuple(self._shared[place : self._length])

    def last(self) -> Message | None:
        """The newest message, None where there is none."""
        return self._shared[self._length - 1] if self._length else None

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Message]:
        return iter(self.messages())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, History) and self.messages() == other.messages()

    def __hash__(self) -> int:
        return hash((self._length, self.last()))

    def __repr__(self) -> str:
        return f"History({self._length} messages)"


@dataclass(frozen=True, slots=True)
class DelegatedBy:
    """Who started a run: the caller's expert, its run (segment), the tool call that asked, and where it waits."""

    expert_key: str
    run_id: str
    tool_call_id: str
    tool_name: str
    checkpoint_id: str = ""
    expert_name: str = ""
    expert_version: str = ""


@dataclass(frozen=True, slots=True)
class RunError:
    """Why a run stopped by error."""

    name: str
    message: str
    retryable: bool = False


@dataclass(frozen=True, slots=True)
class RunState:
    """One run after some of its events.

    `run_id` is the current segment's; `origin_run_id` the first segment's, stable over delegations.
    `pending` are calls of the last reply without a result, `partial` results not yet put into a message; `started`
    are the ids of the last reply's calls that were about to be made and may not be made twice. `usage` covers the
    run and its finished delegates, `step_usage` the last generation. `step` counts from 1 over the whole chain of
    delegation.

    The server has counted `measured` tokens for the call that the first `measured_messages` messages make, 0 where it
    has not since the history was last compacted. `outputs` are results left out of the history, by their handle,
    `dropped` the turns (as they first were) that a summary stands for. `limit` is how many tokens a call had that
    the model refused as too long, 0 for none.
    """

    phase: Phase = Phase.INIT
    status: RunStatus = RunStatus.INIT
    job_id: str = ""
    run_id: str = ""
    origin_run_id: str = ""
    expert_key: str = ""
    delegated_by: DelegatedBy | None = None
    step: int = 0
    system: str = ""
    history: History = field(default_factory=History)
    pending: tuple[ToolCall, ...] = ()
    partial: tuple[ToolResult, ...] = ()
    started: frozenset[str] = frozenset()
    usage: Usage = field(default_factory=Usage)
    step_usage: Usage = field(default_factory=Usage)
    step_started_ms: int = 0
    retries: int = 0
    checkpoint_id: str = ""
    text: str = ""
    error: RunError | None = None
    measured: int = 0
    measured_messages: int = 0
    outputs: Mapping[str, LeftOut] = field(default_factory=dict)
    dropped: History = field(default_factory=History)
    limit: int = 0
