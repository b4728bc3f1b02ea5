"""The back ends under test, and small helpers for their sessions."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import anyio
import docker
import pytest
from docker.errors import ImageNotFound

from perstack.core.contracts import Sandbox, Session
from perstack.core.sandbox import SandboxSpec, Snapshot
from perstack.infrastructure.sandbox.bubblewrap import Bubblewrap, probe_bubblewrap
from perstack.infrastructure.sandbox.docker import Docker, probe_docker
from perstack.infrastructure.sandbox.docker_image import BASE_IMAGE

BACK_ENDS = [
    pytest.param("bubblewrap", id="bubblewrap"),
    pytest.param("docker", id="docker", marks=pytest.mark.slow),
]
PYTHON_BIN = Path(sys.executable).parent


async def back_end(name: str, cache: Path) -> Sandbox:
    """The named back end, or a skip that says why it cannot be had here."""
    if name == "bubblewrap":
        if problem := await probe_bubblewrap():
            pytest.skip(problem)
        return Bubblewrap((PYTHON_BIN,), cache=cache)
    if problem := await probe_docker():
        pytest.skip(problem)
    client = docker.from_env()
    try:
        client.images.get(BASE_IMAGE)
    except ImageNotFound:
        pytest.skip(f"no image {BASE_IMAGE}: run scripts/sandbox/base-image")
    finally:
        client.close()
    return Docker(cache=cache)


async def plain(sandbox: Sandbox, folder: Path, spec: SandboxSpec | None = None) -> Snapshot:
    """A snapshot without set-up, over an empty source."""
    source = folder / "empty-source"
    source.mkdir(exist_ok=True)
    return await sandbox.prepare(spec or SandboxSpec(), source, lambda _: None)


async def sh(session: Session, script: str, *, timeout_s: float = 30.0) -> tuple[int, str]:
    """Exit code and output of a shell script."""
    result = await session.run(["sh", "-c", script], timeout_s=timeout_s)
    return result.exit_code, result.text()


async def processes_with(word: str) -> list[int]:
    """Host process ids whose command line holds `word`, this process aside."""
    found = []
    async for entry in anyio.Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = await (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if word.encode() in line:
                found.append(int(entry.name))
    return found


async def all_gone(word: str) -> bool:
    """Whether all such processes end within some seconds."""
    return await _becomes(word, there=False)


async def started(word: str) -> bool:
    """Whether such a process is seen within some seconds."""
    return await _becomes(word, there=True)


async def _becomes(word: str, *, there: bool) -> bool:
    with anyio.move_on_after(10):
        while bool(await processes_with(word)) is not there:  # noqa: ASYNC110  # other processes set no event of ours
            await anyio.sleep(0.02)
        return True
    return False
