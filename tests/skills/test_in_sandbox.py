"""Base tools over a real sandbox: commands and file tools see one workspace, and nothing else."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from perstack.core.sandbox import Snapshot
from perstack.infrastructure.sandbox.bubblewrap import Bubblewrap, probe_bubblewrap
from perstack.infrastructure.workspace import Workspace
from perstack.skills.base import BaseSkill
from tests.skills.kit import Bench

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.fixture
async def sandboxed(tmp_path: Path) -> AsyncIterator[Bench]:
    problem = await probe_bubblewrap()
    if problem:
        pytest.skip(problem)
    root = tmp_path / "work"
    root.mkdir()
    async with Bubblewrap().open(Snapshot("", ""), root) as session:
        yield Bench(root, BaseSkill(Workspace(root, seen_as=session.workspace), session))


async def test_commands_and_file_tools_see_the_same_files(sandboxed: Bench) -> None:
    await sandboxed.ok("writeTextFile", path="/workspace/pkg/a.txt", text="from the tool\n")
    seen = await sandboxed.ok("exec", command="cat", args=["a.txt"], cwd="pkg")
    await sandboxed.ok("exec", command="sh", args=["-c", "echo from the command > b.txt"])

    assert seen["output"] == "from the tool\n"
    assert (await sandboxed.ok("readTextFile", path="b.txt"))["content"] == "from the command\n"


async def test_a_command_changes_nothing_outside_and_reaches_no_network(sandboxed: Bench, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    canary.write_text("host")

    outside = await sandboxed.fails("exec", command="cat", args=[str(canary)])
    network = await sandboxed.ok("exec", command="cat", args=["/proc/net/route"])

    assert "host" not in outside.get("stdout", "")
    assert "00000000" not in network["output"]


async def test_a_missing_program_is_told(sandboxed: Bench) -> None:
    assert (await sandboxed.fails("exec", command="no-such-program-here"))["exitCode"] == 127


async def test_traps_a_command_planted_do_not_catch_the_file_tools(sandboxed: Bench, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("host secret")
    plant = f"ln -s {secret} link; ln -s / root; mkfifo pipe; mkdir perstack"
    await sandboxed.ok("exec", command="sh", args=["-c", plant])

    for path in ("link", "root/etc/passwd", "pipe", "perstack/x"):
        await sandboxed.refused("readTextFile", path=path)
        await sandboxed.refused("editTextFile", path=path, oldText="host", newText="x")
    await sandboxed.refused("listDirectory", path="root")
    assert secret.read_text() == "host secret"


async def test_a_move_happens_inside(sandboxed: Bench) -> None:
    sandboxed.write("a/x.txt", "content")

    await sandboxed.ok("moveFile", source="/workspace/a", destination="b/c")

    assert (sandboxed.root / "b/c/x.txt").read_text() == "content"


async def test_a_command_that_takes_too_long_is_stopped_and_the_next_one_works(sandboxed: Bench) -> None:
    late = await sandboxed.fails("exec", command="sleep", args=["30"], timeout=300)
    next_one = await sandboxed.result("exec", command="echo", args=["alive"])

    assert late["error"] == "Command timed out after 300ms."
    assert json.loads(next_one.text)["output"] == "alive\n"
