"""Whether the deciding proxy is installed, and installing it where a machine lives for one job. Starts no proxy."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from perstack.infrastructure import process
from perstack.infrastructure.file_lock import locked
from perstack.infrastructure.sandbox.toolchain import SYSTEM_PATH

PROXY_GATE = "proxy.lock"  # in the scratch directory of a job's process
# Beside the package in a checkout, as in the action; an installed package has none.
_SCRIPT = Path(__file__).parents[4] / "scripts" / "sandbox" / "ensure-egress"
_LONGEST_S = 300.0


def is_installed(path: Sequence[str] = SYSTEM_PATH) -> bool:
    """Whether there is a squid."""
    return shutil.which("squid", path=":".join(path)) is not None


def can_install(env: Mapping[str, str], script: Path = _SCRIPT) -> bool:
    """Whether it is installed when it is needed: on GitHub's own runners, which are thrown away after a job.

    On every other machine installing programs is its owner's decision.
    """
    return env.get("RUNNER_ENVIRONMENT") == "github-hosted" and script.is_file()


async def make_ready(
    env: Mapping[str, str],
    say: Callable[[str], None],
    gate: Path,
    *,
    path: Sequence[str] = SYSTEM_PATH,
    script: Path = _SCRIPT,
) -> None:
    """Install the proxy where it is missing and that may be done; `gate` is a file to lock meanwhile.

    Says so. Where it does not work, whoever opens the proxy raises.
    """
    if is_installed(path) or not can_install(env, script):
        return
    async with locked(gate):
        if not is_installed(path):
            await _install(say, path, script)


async def _install(say: Callable[[str], None], path: Sequence[str], script: Path) -> None:
    say("installing squid, the proxy that decides what set-up and skills may reach (this runner has none)")
    done = await process.run([str(script)], env={"PATH": ":".join(SYSTEM_PATH)}, timeout_s=_LONGEST_S)
    if done.exit_code or not is_installed(path):
        lines = done.text().strip().splitlines() or ["it said nothing"]
        say(f"squid could not be installed: {lines[-1]}")
