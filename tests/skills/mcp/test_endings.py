"""However a skill ends, its server ends with it, and whoever waits is told."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path

import anyio
import pytest

from perstack.core.experts import SkillSpec
from perstack.core.messages import ToolResult
from perstack.infrastructure import process
from perstack.skills.mcp.skill import StdioSkill
from tests.skills.mcp.serving import HOSTILE, PATH, ROOT, Told, call, connected, program, server, texts

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_call_under_way_when_the_skill_is_closed_ends_with_an_error(tmp_path: Path) -> None:
    results: list[ToolResult] = []

    async def wait() -> None:
        results.append(await call(skill, "hang", note=str(tmp_path / "note")))

    async with connected(HOSTILE) as (skill, told), anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        await told.until_said("called")
        with anyio.fail_after(10):
            await skill.close()
    assert results[0].is_error
    assert "is gone: it was closed" in results[0].text
    assert told.kinds()[-1] == "skillDisconnected"
    assert not any("is gone" in line for line in told.said())


async def test_a_skill_closed_while_it_starts_does_not_wait_for_the_start() -> None:
    async with server((*HOSTILE, "silent")) as (skill, told):
        with anyio.move_on_after(0.5):
            await skill.open(told)
        with anyio.fail_after(10):
            await skill.close()
        assert told.kinds() == ["skillStarting"]
        await skill.close()


async def test_a_job_that_ends_takes_its_servers_with_it() -> None:
    told = Told()
    async with anyio.create_task_group() as tasks:
        skill = StdioSkill(SkillSpec("left", command="python3"), partial(program, HOSTILE), tasks=tasks)
        await skill.open(told)
        pid = int(texts(await call(skill, "pid"))[0])
        tasks.cancel_scope.cancel()
    assert told.kinds() == ["skillStarting", "skillConnected", "skillDisconnected"]
    assert not is_running(pid)
    with anyio.fail_after(5):
        await skill.close()


SCRIPT = """
import anyio, sys
from tests.skills.mcp.serving import HOSTILE, call, connected

async def main():
    async with connected((*HOSTILE, "garbage")) as (skill, _):
        for tool in ("junk", "malformed", "refuse", "exit", "echo"):
            await call(skill, tool)

anyio.run(main)
print("sdk" if "mcp.client.session" in sys.modules else "no sdk")
"""


async def test_no_word_of_a_server_reaches_our_own_output() -> None:
    done = await process.run([sys.executable, "-W", "error", "-c", SCRIPT], cwd=ROOT, env={"PATH": PATH})
    assert (done.exit_code, done.stderr.decode(), done.stdout.decode()) == (0, "", "sdk\n")


async def test_making_and_opening_a_skill_with_known_tools_does_not_load_the_sdk() -> None:
    script = """
import anyio, sys
from tests.skills.mcp.serving import HOSTILE, Told, server

async def main():
    async with server(HOSTILE, known=[]) as (skill, _):
        await skill.open(Told())

anyio.run(main)
print([name for name in sys.modules if name.split(".")[0] in ("mcp", "mcp_types", "httpx2")])
"""
    done = await process.run([sys.executable, "-c", script], cwd=ROOT, env={"PATH": PATH})
    assert done.text() == "[]\n"
