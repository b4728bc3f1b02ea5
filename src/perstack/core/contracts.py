"""The Protocols behind which all I/O sits: Provider, Skill, Sandbox. Forge has its own in `forge/contract.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol, runtime_checkable

from perstack.core.json import JsonObject
from perstack.core.messages import Delta, ModelReply, ModelRequest, ToolCall, ToolDefinition, ToolResult
from perstack.core.sandbox import ExecResult, Limits, Mount, Network, SandboxSpec, Snapshot

# Tells a runtime event of the run a skill works for: its type (`skillConnected`, …) and its payload.
Tell = Callable[[str, JsonObject], None]


class Provider(Protocol):
    """A model behind a wire protocol."""

    @property
    def name(self) -> str: ...

    async def generate(self, request: ModelRequest, on_delta: Callable[[Delta], None]) -> ModelReply:
        """Ask for one reply, retrying what may be retried.

        Raises: ProviderError when no usable reply can be had.
        """
        ...

    async def close(self) -> None:
        """Release connections."""
        ...


class Skill(Protocol):
    """A set of tools."""

    @property
    def name(self) -> str: ...

    async def open(self, tell: Tell) -> None:
        """Start what must be there before the first step. The skill tells its own life: `skillStarting`,
        `skillConnected`, `skillStderr`, `skillDisconnected`, then and later. Called again for a further run.

        Raises: UserError and InfrastructureErrors where it cannot start.
        """
        ...

    async def definitions(self) -> Sequence[ToolDefinition]:
        """The tools it offers now, already filtered by `pick` and `omit`. Asked again before every step: at once."""
        ...

    async def call(self, call: ToolCall) -> ToolResult:
        """Run one tool. A failure the model can act on is a result with `is_error`, not an exception.

        Raises: SandboxUnavailable and other InfrastructureErrors when the machinery fails.
        """
        ...

    async def close(self) -> None: ...


@runtime_checkable
class Restorable(Protocol):
    """A skill that keeps something in memory over a run, such as a to-do list."""

    def restore(self, past: Sequence[tuple[ToolCall, ToolResult]]) -> None:
        """Learn what its tools did before, in order, failures included; after `open`, when a run goes on from a log."""
        ...


class Service(Protocol):
    """A long-running program in a sandbox of its own, spoken to over its standard streams."""

    async def send(self, data: bytes) -> None:
        """Write to its standard input. Raises: SandboxUnavailable when it has ended."""
        ...

    async def receive(self) -> bytes:
        """The next bytes of its standard output; empty when it has ended."""
        ...

    async def receive_errors(self) -> bytes:
        """The next bytes of its standard error; empty when it has ended."""
        ...

    async def wait(self) -> int:
        """Its exit code, once it has ended: 128+n for signal n, 127 for a missing program."""
        ...


class Session(Protocol):
    """A live sandbox: one long-lived channel for commands, one workspace, nothing left behind."""

    @property
    def workspace(self) -> str:
        """The workspace's path as seen inside, absolute."""
        ...

    def inside(self, mount: Mount) -> str:
        """Where a mount is seen inside (the host back end cannot choose `mount.target`)."""
        ...

    async def run(
        self,
        argv: Sequence[str],
        *,
        cwd: str = ".",
        env: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        timeout_s: float = 60.0,
        output_limit: int = 1_000_000,
    ) -> ExecResult:
        """Run one command; `cwd` is relative to the workspace. A missing program is exit code 127.

        Raises: SandboxUnavailable when the sandbox itself died.
        """
        ...


class Sandbox(Protocol):
    """A back end that can make sessions."""

    @property
    def name(self) -> str: ...

    async def prepare(self, spec: SandboxSpec, source: Path, log: Callable[[str], None]) -> Snapshot:
        """Build or find the image snapshot, running `spec.setup` on a copy of `source` with network.

        `source` is a clean export of the base commit. Cached by digest. `log` gets progress lines.
        Raises: SandboxUnavailable, UserError (set-up failed: says the command and its last lines).
        """
        ...

    def open(
        self,
        snapshot: Snapshot,
        workspace: Path,
        *,
        mounts: Sequence[Mount] = (),
        env: Mapping[str, str] | None = None,
        limits: Limits | None = None,
    ) -> AbstractAsyncContextManager[Session]:
        """A fresh sandbox over `workspace` (a host directory the sandbox may write). Without network.

        Everything in it is dead when the context ends.
        """
        ...

    def serve(
        self,
        snapshot: Snapshot,
        workspace: Path,
        argv: Sequence[str],
        *,
        mounts: Sequence[Mount] = (),
        env: Mapping[str, str] | None = None,
        limits: Limits | None = None,
        network: Network | None = None,
    ) -> AbstractAsyncContextManager[Service]:
        """Start a program in a fresh sandbox over `workspace`, its working directory, and speak with it.

        It has a PID namespace of its own and `env` on top of the minimal environment, nothing else. Without
        `network` it has none; with it, only the proxy. Everything in it is dead when the context ends.
        """
        ...

    async def install(
        self, snapshot: Snapshot, argv: Sequence[str], folder: Mount, *, timeout_s: float = 600.0
    ) -> ExecResult:
        """Run one command with network, as set-up does, in `folder` (writable, the working directory); no workspace.

        For packages of skills: nothing secret is there, and nothing else is kept.
        Raises: SandboxUnavailable.
        """
        ...
