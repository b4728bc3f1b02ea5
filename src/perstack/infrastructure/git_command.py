"""Runs git against a repository the harness owns. Not the place for what git is asked: see `git.py` and its siblings.

Threat: a checkout may configure programs (hooks, fsmonitor, filters, textconv, aliases, ssh commands). So git gets
an environment made from nothing, one configuration file of ours, and never a working tree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from perstack.core.errors import InfrastructureError
from perstack.core.faults import fault_in
from perstack.core.sandbox import ExecResult
from perstack.infrastructure import process
from perstack.infrastructure.room import lack_of_room

_CONFIG = Path(__file__).with_name("git.config")

# Fixed, so that no environment decides which program is "git".
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/homebrew/bin"

OUTPUT_LIMIT = 512 * 1024 * 1024


def environment(protocols: str = "") -> dict[str, str]:
    """The whole environment of a git process. `protocols` is a colon-separated list of allowed transports."""
    return {
        "PATH": _PATH,
        "HOME": "/nonexistent",
        "XDG_CONFIG_HOME": "/nonexistent",
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": str(_CONFIG),
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "",
        "SSH_ASKPASS": "",
        "GIT_SSH_COMMAND": "false",
        "GIT_EDITOR": "false",
        "GIT_ALLOW_PROTOCOL": protocols or "none",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_OPTIONAL_LOCKS": "0",
    }


@dataclass(frozen=True, slots=True)
class Git:
    """git on one bare directory."""

    directory: Path

    async def run(
        self,
        *arguments: str,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        protocols: str = "",
        timeout_s: float = 120.0,
        cwd: Path | None = None,
    ) -> ExecResult:
        """Run git and hand back whatever happened.

        Raises: InfrastructureError where git is missing, ran out of time, or wrote more than can be kept.
        """
        result = await process.run(
            ["git", f"--git-dir={self.directory}", *arguments],
            cwd=cwd or self.directory,
            env=environment(protocols) | dict(env or {}),
            stdin=stdin,
            timeout_s=timeout_s,
            output_limit=OUTPUT_LIMIT,
        )
        if result.timed_out:
            raise InfrastructureError(f"git {arguments[0]} did not end within {timeout_s:g} s")
        if result.truncated:
            raise InfrastructureError(f"git {arguments[0]} wrote more than {OUTPUT_LIMIT // 2**20} MiB")
        if result.exit_code == process.NOT_FOUND:
            raise InfrastructureError("git is not installed", hint="Install git 2.30 or newer.")
        if result.exit_code and (fault := fault_in(result.stderr.decode("utf-8", "replace"))):
            raise InfrastructureError(f"git {arguments[0]} failed: {fault[0]}", hint=fault[1])
        return result

    async def check(
        self,
        *arguments: str,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        protocols: str = "",
        timeout_s: float = 120.0,
    ) -> bytes:
        """Run git where only success is expected; its standard output.

        Raises: InfrastructureError with git's own last line.
        """
        result = await self.run(*arguments, stdin=stdin, env=env, protocols=protocols, timeout_s=timeout_s)
        if result.exit_code:
            told = f"git {arguments[0]} failed: {last_line(result.stderr)}"
            raise InfrastructureError(told, hint=lack_of_room(self.directory))
        return result.stdout


def not_here(path: str, sha: str) -> InfrastructureError:
    """What to say of a file whose content is missing: a clone may be partial, and nothing is fetched by itself here."""
    hint = "A partial clone lacks it: clone without --filter, or run `git fetch --refetch --no-filter` first."
    return InfrastructureError(f"{path}: its content ({sha}) is not in the repository", hint=hint)


def last_line(data: bytes) -> str:
    """The last line that says something, decoded."""
    lines = [line.strip() for line in data.decode("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1] if lines else "no message"
