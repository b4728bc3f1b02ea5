"""Data of the sandbox contract: what to run in, with which limits, and what came back."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one sandbox. Sizes in MiB, `cpus` in whole or part processors.

    `disk_mb` and `disk_files` are what its commands may add to the disk; `file_mb` is one file, `tmp_mb` each of /tmp
    and HOME.
    """

    memory_mb: int = 4096
    processes: int = 512
    cpus: float = 2.0
    file_mb: int = 1024
    tmp_mb: int = 512
    disk_mb: int = 8192
    disk_files: int = 1_000_000


@dataclass(frozen=True, slots=True)
class SetupNetwork:
    """What set-up and installations of packages may reach, through a proxy that decides and tells.

    Without `open` nothing. `domains` (exact, or `*.` and a name) narrow it; empty: every public host. `mirrors` are
    URLs (scheme, host, port) that may be reached wherever they are, private addresses included.
    """

    open: bool = True
    domains: tuple[str, ...] = ()
    mirrors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SandboxSpec:
    """`[sandbox]` of `perstack.toml`: `image`, Dockerfile to `build` or `devcontainer` file (paths), and `setup`.

    `services` are names in the `compose` file (path). `require` are names of `core.capabilities.Guarantee`.
    """

    image: str = ""
    build: str = ""
    devcontainer: str = ""
    compose: str = ""
    services: tuple[str, ...] = ()
    engine: str = "auto"
    require: tuple[str, ...] = ()
    setup: tuple[str, ...] = ()
    setup_timeout_s: float = 900.0
    runtime: str = ""
    env: tuple[tuple[str, str], ...] = ()
    limits: Limits = field(default_factory=Limits)
    network: SetupNetwork = field(default_factory=SetupNetwork)

    @property
    def needs_images(self) -> bool:
        """Whether only a back end with images can do what is configured."""
        return bool(self.image or self.build or self.devcontainer or self.compose or self.engine != "auto")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What `prepare` made. `reference` is for the back end; `digest` identifies the content for evidence.

    `guarantees` are names of those that were known to hold when the sandbox was chosen.
    """

    reference: str
    digest: str
    limits: Limits = field(default_factory=Limits)
    env: tuple[tuple[str, str], ...] = ()
    network: SetupNetwork = field(default_factory=SetupNetwork)
    guarantees: tuple[str, ...] = ()


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
    """One finished command. `exit_code` is 128+n for signal n, 127 for a missing program, 124 for a time-out.

    `limit` names the limit of the sandbox for which it was stopped (`disk`: exit code 153), or for which it failed
    since a process of it was killed (`memory`: its own exit code); empty for none.
    """

    exit_code: int
    stdout: bytes
    stderr: bytes
    seconds: float
    timed_out: bool = False
    truncated: bool = False
    limit: str = ""

    def text(self) -> str:
        """Both streams as one text, undecodable bytes replaced."""
        return (self.stdout + self.stderr).decode("utf-8", errors="replace")


_KILLED = 137


def exit_words(code: int) -> str:
    """An exit code for people; one that most often means a reached memory limit says so."""
    killed = " (killed, most often for memory: `[sandbox.limits] memoryMb` sets how much there is)"
    return f"exit code {code}{killed if code == _KILLED else ''}"
