"""One command on the long-lived channel beside a plain subprocess, and the start of a session. Prints JSON."""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import anyio

from perstack.api.choice import working_sandbox
from perstack.core.contracts import Sandbox, Session
from perstack.core.errors import SandboxUnavailable
from perstack.core.sandbox import SandboxSpec, Snapshot
from perstack.infrastructure import process
from perstack.infrastructure.sandbox.pool import WarmSession, warmed

_SESSIONS = {"bubblewrap": 4, "docker": 1}  # where a start takes some 10 ms, the machine's own moods weigh more
_WORK_S = 2.0  # what a session does meanwhile: the next one is made ready then
_PATH = {"PATH": "/usr/local/bin:/usr/bin:/bin"}


async def back_end(name: str, commands: int, sessions: int, warm_ones: int) -> dict[str, object]:
    """Medians in milliseconds: `command`, `plain` beside it, `ready` and `stop` of a session.

    `start` is the same to the end of the first command, `warm` that where a sandbox was made ready before.
    """
    try:
        sandbox = await working_sandbox(name, ())
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            place = Path(folder)
            snapshot = await sandbox.prepare(SandboxSpec(), place, lambda _: None)
            ready, starts, ends, inside, plain = [], [], [], [], []
            async with sandbox.open(snapshot, place) as session:  # what a harness does once
                await session.run(["true"])
            for _ in range(sessions):
                at = time.perf_counter()
                async with sandbox.open(snapshot, place) as session:
                    ready.append(time.perf_counter() - at)
                    await session.run(["true"])
                    starts.append(time.perf_counter() - at)
                    for _ in range(max(1, commands // sessions)):
                        inside.append(await _in(session))
                        plain.append(await _plain())
                    at = time.perf_counter()
                ends.append(time.perf_counter() - at)
            warm = await _warm(sandbox, snapshot, place, warm_ones)
    except SandboxUnavailable as error:
        return {"unavailable": error.message}
    named = {"command": inside, "plain": plain, "ready": ready, "start": starts, "stop": ends, "warm": warm}
    return {key: statistics.median(values) * 1000 for key, values in named.items() if values}


async def _warm(sandbox: Sandbox, snapshot: Snapshot, place: Path, sessions: int) -> list[float]:
    """Starts with a first command after another session of the same shape gave time to make one ready."""
    seconds = []
    async with warmed(sandbox) as pool:
        for number in range(sessions + 1):
            workspace = place / f"warm-{number}"
            workspace.mkdir()
            at = time.perf_counter()
            async with pool.open(snapshot, workspace) as session:
                await session.run(["true"])
                took = time.perf_counter() - at
                if isinstance(session, WarmSession):
                    seconds.append(took)
                await anyio.sleep(_WORK_S)
    return seconds


async def _in(session: Session) -> float:
    at = time.perf_counter()
    result = await session.run(["true"])
    seconds = time.perf_counter() - at
    if result.exit_code:
        raise RuntimeError(result.text())
    return seconds


async def _plain() -> float:
    at = time.perf_counter()
    await process.run(["true"], env=_PATH)
    return time.perf_counter() - at


async def _main(commands: int, sessions: int, warm_ones: int) -> None:
    found = {name: await back_end(name, commands, sessions * times, warm_ones) for name, times in _SESSIONS.items()}
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    anyio.run(_main, int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
