"""Sandboxes made ready beforehand: they are as good as fresh ones, used once, and gone with the job."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import docker
import pytest

from perstack.core.errors import UserError
from perstack.core.sandbox import Mount
from perstack.infrastructure import process
from perstack.infrastructure.owned import sweep
from perstack.infrastructure.sandbox import control_group
from perstack.infrastructure.sandbox.docker_container import reap
from perstack.infrastructure.sandbox.pool import WarmSession, warmed
from tests.infrastructure.sandboxes import all_gone, back_end, plain, sh, started

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


def folders(place: Path, number: int) -> tuple[Path, tuple[Mount, ...]]:
    """A workspace and two mounts with files of their own."""
    work, given, out = (place / f"{name}{number}" for name in ("work", "given", "out"))
    for folder in (work / "pkg", given, out):
        folder.mkdir(parents=True)
    (work / "pkg/a.py").write_text(f"{number}\n")
    (given / "word").write_text("given\n")
    return work, (Mount(given, "/perstack/given"), Mount(out, "/perstack/out", writable=True))


def ours(client: docker.DockerClient) -> set[str]:
    """Containers of this process."""
    found = client.containers.list(all=True, filters={"label": "perstack=session"})
    return {str(one.id) for one in found if f"-{os.getpid()}." in one.labels.get("perstack.owner", "")}


async def test_a_ready_sandbox_is_as_good_as_a_fresh_one_and_used_once(tmp_path: Path) -> None:
    inner = await back_end("docker", tmp_path / "cache")
    made = await plain(inner, tmp_path)
    client = docker.from_env()
    warm = 0
    try:
        async with warmed(inner) as sandbox:
            for number in range(3):
                work, mounts = folders(tmp_path, number)
                async with sandbox.open(made, work, mounts=mounts, env={"WORD": f"v{number}"}) as session:
                    warm += isinstance(session, WarmSession)
                    script = (
                        "cat pkg/a.py /perstack/given/word; ls /tmp ~; echo $WORD >/perstack/out/r; echo x >/tmp/left;"
                        " echo new >pkg/new; touch /perstack/given/no 2>/dev/null; setsid sleep 67.0625 &"
                    )
                    assert await sh(session, script) == (0, f"{number}\ngiven\n/home/perstack:\n\n/tmp:\n")
                assert (work / "pkg/new").read_text() == "new\n"
                assert (tmp_path / f"out{number}/r").read_text() == f"v{number}\n"
                assert not (tmp_path / f"given{number}/no").exists()
            work, mounts = folders(tmp_path, 9)
            async with sandbox.open(made, work) as first, sandbox.open(made, work) as second:  # never one moved away
                await sh(first, "echo both >shared")
                assert await sh(second, "cat shared") == (0, "both\n")
        assert warm == 2
        assert ours(client) == set()
        assert await all_gone("67.0625")
    finally:
        client.close()


async def test_an_error_of_the_work_comes_out_as_it_is(tmp_path: Path) -> None:
    inner = await back_end("docker", tmp_path / "cache")
    with pytest.raises(UserError, match="of the work"):
        async with warmed(inner):
            raise UserError("of the work")


_HARNESS = """
import sys
from pathlib import Path
import anyio
from perstack.core.sandbox import SandboxSpec
from perstack.infrastructure.sandbox.{name} import {kind}
from perstack.infrastructure.sandbox.pool import warmed

async def main():
    place = Path(sys.argv[1])
    inner = {kind}()
    made = await inner.prepare(SandboxSpec(), place / "source", lambda _: None)
    async with warmed(inner) as sandbox, sandbox.open(made, place / "work") as session:
        await session.run(["sh", "-c", "setsid sh -c 'trap \\"\\" TERM HUP; sleep {seconds}' & sleep {seconds}"])

anyio.run(main)
"""


@pytest.mark.threat("I11")
@pytest.mark.parametrize(("name", "seconds"), [("bubblewrap", "68.0625"), ("docker", "69.0625")])
async def test_a_harness_that_is_killed_leaves_nothing_for_long(name: str, seconds: str, tmp_path: Path) -> None:
    await back_end(name, tmp_path / "cache")
    (tmp_path / "source").mkdir()
    (tmp_path / "work").mkdir()
    program = _HARNESS.format(name=name, kind=name.capitalize(), seconds=seconds)
    argv = [sys.executable, "-c", program, str(tmp_path)]
    env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "TMPDIR": str(tmp_path)}
    env |= {word: value for word in ("DOCKER_HOST", "PYTHONPATH") if (value := os.environ.get(word))}
    async with process.open_process(argv, env=env) as harness:
        assert await started(f"sleep\0{seconds}")
        os.kill(harness.pid, signal.SIGKILL)
        await harness.wait()
    if name == "docker":  # an engine's containers outlive their client: the next start takes them away
        client = docker.from_env()
        reap(client)
        left = client.containers.list(all=True, filters={"label": "perstack=session"})
        assert not [one for one in left if f"-{harness.pid}." in one.labels.get("perstack.owner", "")]
        client.close()
    assert await all_gone(f"sleep\0{seconds}")
    sweep(tmp_path)
    assert not list(tmp_path.glob("perstack-c.*"))
    assert not list(tmp_path.glob("perstack-w.*"))
    control_group.sweep()
    assert not list(Path("/sys/fs/cgroup").glob(f"*/perstack-{harness.pid}.*"))
