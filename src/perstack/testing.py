"""Public fakes and builders for tests: scripted models, function skills, a plain local session, real git projects.

Not for production: the session here isolates nothing.
"""

from __future__ import annotations

import contextlib
import inspect
import itertools
import shutil
import socket
import tempfile
import time
import weakref
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from perstack.core.contracts import Tell
from perstack.core.errors import ToolError, UserError
from perstack.core.events import STREAMING_EVENTS, Event
from perstack.core.experts import BASE_SKILL, Expert, SkillSpec
from perstack.core.json import Json, compact
from perstack.core.messages import (
    ModelReply,
    StopReason,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolDefinition,
    ToolResult,
)
from perstack.core.sandbox import ExecResult, Mount
from perstack.core.storage import CHAIN_SEED, EventWriter, JobRecord, LogContents
from perstack.core.usage import Usage
from perstack.infrastructure import process
from perstack.infrastructure.git_command import environment
from perstack.providers.scripted import ScriptedProvider
from perstack.runtime.log import chained

Answer = str | ToolResult
Handler = Callable[[Mapping[str, Json]], Answer | Awaitable[Answer]]


def expert(key: str = "tester", instruction: str = "Do what is asked.", **fields: Any) -> Expert:
    """An expert with the base skill; `fields` as in `Expert`."""
    fields.setdefault("skills", {BASE_SKILL: SkillSpec(BASE_SKILL)})
    return Expert(key=key, instruction=instruction, **fields)


def experts(*items: Expert) -> dict[str, Expert]:
    """Experts by key, as a configuration holds them."""
    return {item.key: item for item in items}


def reply(
    text: str = "",
    calls: Sequence[tuple[str, Mapping[str, Json]]] = (),
    *,
    thinking: str = "",
    usage: Usage | None = None,
    stop: StopReason | None = None,
) -> ModelReply:
    """A model's reply: thinking, text and calls as (tool, arguments); call ids are `call_1`, `call_2`, …"""
    contents: list[ThinkingPart | TextPart | ToolCall] = []
    if thinking:
        contents.append(ThinkingPart(thinking, signature="signed"))
    if text:
        contents.append(TextPart(text))
    contents.extend(ToolCall(f"call_{number}", tool, args) for number, (tool, args) in enumerate(calls, 1))
    reason = stop or (StopReason.TOOL_CALLS if calls else StopReason.END)
    return ModelReply(tuple(contents), reason, usage or Usage(10, 5), "scripted-1")


def done(result: str = "Done.") -> ModelReply:
    """A reply that claims completion with `result`; an empty one is left out of the call."""
    return reply(calls=[("attemptCompletion", {"result": result} if result else {})])


def scripted(*replies: ModelReply) -> ScriptedProvider:
    """A provider that gives these replies in order."""
    return ScriptedProvider(replies)


class FunctionSkill:
    """A skill whose tools are functions of their arguments. `called` records every call in order.

    A function returns text or a whole result, at once or awaited, and may raise ToolError.
    """

    def __init__(
        self, tools: Mapping[str, Handler] | None = None, *, name: str = BASE_SKILL, read_only: Sequence[str] = ()
    ) -> None:
        self.called: list[ToolCall] = []
        self.closed = False
        self._name = name
        self._tell: Tell | None = None
        self._tools = dict(tools or {})
        if name == BASE_SKILL:
            self._tools.setdefault("attemptCompletion", lambda _: "{}")
        self._read_only = frozenset(read_only)

    @property
    def name(self) -> str:
        return self._name

    async def open(self, tell: Tell) -> None:
        """Tell that it is connected."""
        self._tell, self.closed = tell, False
        tell("skillConnected", {"skillName": self._name})

    async def definitions(self) -> Sequence[ToolDefinition]:
        """One definition a function, with an open schema."""
        return tuple(
            ToolDefinition(tool, f"{tool} for tests", {"type": "object"}, self._name, tool in self._read_only)
            for tool in self._tools
        )

    async def call(self, call: ToolCall) -> ToolResult:
        """Run the function.

        Raises: whatever it raises.
        """
        self.called.append(call)
        answer = self._tools[call.tool_name](call.args)
        if inspect.isawaitable(answer):
            answer = await answer
        if isinstance(answer, ToolResult):
            return answer
        return ToolResult(call.id, call.tool_name, (TextPart(answer),), self._name)

    async def close(self) -> None:
        """Tell that it is disconnected, where it was open; remember that it was closed."""
        self.closed = True
        if self._tell is not None:
            self._tell("skillDisconnected", {"skillName": self._name})
            self._tell = None


def failing(message: str) -> Handler:
    """A tool that fails with a ToolError."""

    def fail(_: Mapping[str, Json]) -> str:
        raise ToolError(message)

    return fail


class Collect:
    """An event sink that keeps everything."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    def types(self, *only: str) -> list[str]:
        """Event types in order; with `only`, just those."""
        return [event.type for event in self.events if not only or event.type in only]

    def tagged(self, *only: str) -> list[str]:
        """`type:expertKey` of the events of the given types."""
        return [f"{event.type}:{event.expert_key}" for event in self.events if event.type in only]

    def first(self, kind: str) -> Event:
        """The first event of a type.

        Raises: AssertionError where there is none.
        """
        found = next((event for event in self.events if event.type == kind), None)
        if found is None:
            raise AssertionError(f"no event {kind} among {self.types()}")
        return found


class MemoryStore:
    """A `Store` without a disk: jobs are gone with it. Only `folder` makes a directory, a temporary one.

    Its logs hold what a file would: no streaming deltas, and a chain.
    """

    def __init__(self) -> None:
        self._records: dict[str, JobRecord] = {}
        self._logs: dict[str, _MemoryLog] = {}
        self._root = ""

    def create(self, record: JobRecord) -> None:
        """Make a new job.

        Raises: UserError where the id is taken.
        """
        if record.id in self._records:
            raise UserError(f"job {record.id} already exists")
        self._records[record.id] = record
        self._logs[record.id] = _MemoryLog()

    def save(self, record: JobRecord) -> None:
        """Replace a job's record."""
        self._records[record.id] = record

    def load(self, job_id: str) -> JobRecord:
        """One job's record.

        Raises: UserError where there is no such job.
        """
        self._log(job_id)
        return self._records[job_id]

    def jobs(self) -> tuple[JobRecord, ...]:
        """All jobs, newest first."""
        return tuple(sorted(self._records.values(), key=lambda record: (record.started_at, record.id), reverse=True))

    def open_log(self, job_id: str) -> EventWriter:
        """Go on with a job's log.

        Raises: UserError where it is open already.
        """
        log = self._log(job_id)
        if log.open:
            raise UserError(f"somebody is working on job {job_id} already")
        log.open = True
        return log

    def read(self, job_id: str) -> LogContents:
        """The events so far.

        Raises: UserError where there is no such job.
        """
        log = self._log(job_id)
        return LogContents(tuple(log.events), log.head)

    def folder(self, job_id: str) -> Path:
        """A temporary directory of the job's own, removed with the store."""
        if not self._root:
            self._root = tempfile.mkdtemp(prefix="perstack-jobs-")
            weakref.finalize(self, shutil.rmtree, self._root, ignore_errors=True)
        folder = Path(self._root) / job_id
        folder.mkdir(exist_ok=True)
        return folder

    def _log(self, job_id: str) -> _MemoryLog:
        if job_id not in self._logs:
            raise UserError(f"job {job_id} not found")
        return self._logs[job_id]


class _MemoryLog:
    """The event writer of a MemoryStore."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.head = CHAIN_SEED
        self.open = False

    def __call__(self, event: Event) -> None:
        if event.type not in STREAMING_EVENTS:
            self.events.append(event)
            self.head = chained(self.head, compact(event.to_json()).encode())

    def close(self) -> None:
        self.open = False


def counting_ids(prefix: str = "e") -> Callable[[], str]:
    """Ids `e1`, `e2`, …: repeatable, unique within one test."""
    numbers = itertools.count(1)
    return lambda: f"{prefix}{next(numbers)}"


def ticking_clock(start_ms: int = 1_760_000_000_000) -> Callable[[], int]:
    """A clock that moves one millisecond each time it is read."""
    ticks = itertools.count(start_ms)
    return lambda: next(ticks)


class LocalSession:
    """A `Session` on the host without any isolation, for tests of code that only needs commands to run."""

    def __init__(self, workspace: Path, env: Mapping[str, str] | None = None) -> None:
        self._workspace = workspace
        self._env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8", **(env or {})}

    @property
    def workspace(self) -> str:
        return str(self._workspace)

    def inside(self, mount: Mount) -> str:
        """Mounts are where they are."""
        return str(mount.source)

    async def run(  # the Session contract
        self,
        argv: Sequence[str],
        *,
        cwd: str = ".",
        env: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        timeout_s: float = 60.0,
        output_limit: int = 1_000_000,
    ) -> ExecResult:
        """Run one command in the workspace."""
        return await process.run(
            argv,
            cwd=self._workspace / cwd,
            env=self._env | dict(env or {}),
            stdin=stdin,
            timeout_s=timeout_s,
            output_limit=output_limit,
        )


class ProjectBuilder:
    """A project in a directory: writes files, commits them with real git."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, files: Mapping[str, str | bytes]) -> ProjectBuilder:
        """Write files by relative path; folders are made."""
        for name, content in files.items():
            target = self.path / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.encode() if isinstance(content, str) else content)
        return self

    def remove(self, *names: str) -> ProjectBuilder:
        """Delete files."""
        for name in names:
            (self.path / name).unlink()
        return self

    async def git(self, *arguments: str) -> str:
        """Run git in the project; its output.

        Raises: AssertionError with git's words where it fails.
        """
        identity = {
            f"GIT_{role}_{field}": value
            for role in ("AUTHOR", "COMMITTER")
            for field, value in (("NAME", "Test"), ("EMAIL", "test@example.invalid"))
        }
        result = await process.run(
            ["git", *arguments], cwd=self.path, env=environment("file") | identity, timeout_s=60.0
        )
        if result.exit_code:
            raise AssertionError(f"git {' '.join(arguments)} failed: {result.text().strip()}")
        return result.stdout.decode().strip()

    async def commit(self, message: str = "Change", files: Mapping[str, str | bytes] | None = None) -> str:
        """Write `files`, commit everything there is, and return the commit's SHA. Makes the repository if need be."""
        self.path.mkdir(parents=True, exist_ok=True)
        self.write(files or {})
        if not (self.path / ".git").exists():
            await self.git("init", "--quiet", "--template=", "--initial-branch=main")
        await self.git("add", "--all")
        await self.git("commit", "--quiet", "--allow-empty", "--no-verify", "-m", message)
        return await self.git("rev-parse", "HEAD")


@contextlib.contextmanager
def block_network() -> Iterator[None]:
    """Refuse every connection that does not stay on this machine; loopback and Unix sockets go through."""
    real_connect, real_connect_ex = socket.socket.connect, socket.socket.connect_ex

    def check(address: Any) -> None:
        host = address[0] if isinstance(address, tuple) else "localhost"
        if host not in ("localhost", "::1") and not str(host).startswith("127."):
            raise ConnectionRefusedError(f"the test's network kill switch refused a connection to {host}")

    def connect(self: socket.socket, address: Any) -> None:
        check(address)
        real_connect(self, address)

    def connect_ex(self: socket.socket, address: Any) -> int:
        check(address)
        return real_connect_ex(self, address)

    with (
        mock.patch.object(socket.socket, "connect", connect),
        mock.patch.object(socket.socket, "connect_ex", connect_ex),
    ):
        yield


def wall_clock_ms() -> int:
    """The real time in milliseconds since 1970, for tests that need one."""
    return time.time_ns() // 1_000_000
