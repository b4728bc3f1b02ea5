"""Data of the sandbox contract: what to run in, with which limits, and what came back."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one sandbox. Sizes in MiB, `cpus` in whole or part processors."""

    memory_mb: int = 4096
    processes: int = 512
    cpus: float = 2.0
    file_mb: int = 1024
    tmp_mb: int = 512


@dataclass(frozen=True, slots=True)
class SandboxSpec:
    """`[sandbox]` of `perstack.toml`: an `image` or a Dockerfile to `build` (path), and `setup` commands."""

    image: str = ""
    build: str = ""
    setup: tuple[str, ...] = ()
    setup_timeout_s: float = 900.0
    runtime: str = ""
    env: tuple[tuple[str, str], ...] = ()
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What `prepare` made. `reference` is for the back end; `digest` identifies the content for evidence."""

    reference: str
    digest: str
    limits: Limits = field(default_factory=Limits)
    env: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Mount:
    """A host directory or file seen inside at `target` (absolute), read-only unless `writable`."""

    source: Path
    target: str
    writable: bool = False


@dataclass(frozen=True, slots=True)
class Network:
    """The only way out of a sandbox: a Unix socket on the host behind which a proxy decides (HTTP CONNECT)."""

    socket: Path


@dataclass(frozen=True, slots=True)
class ExecResult:
    """One finished command. `exit_code` is 128+n for signal n, 127 for a missing program, 124 for a time-out."""

    exit_code: int
    stdout: bytes
    stderr: bytes
    seconds: float
    timed_out: bool = False
    truncated: bool = False

    def text(self) -> str:
        """Both streams as one text, undecodable bytes replaced."""
        return (self.stdout + self.stderr).decode("utf-8", errors="replace")
