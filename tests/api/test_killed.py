"""A program that is killed in the middle of a run: another one goes on with its job."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import perstack
from perstack.core.messages import ToolMessage
from perstack.testing import done
from tests.api.kit import TESTER, options, requests_of

# Runs an expert whose second tool call never returns, and says so.
PROGRAM = """
import asyncio
import perstack
from perstack.testing import FunctionSkill, reply, scripted

async def stuck(_):
    print("stuck", flush=True)
    await asyncio.Event().wait()

skill = FunctionSkill({"first": lambda _: "one", "second": stuck}, name="slow")
model = scripted(reply(calls=[("first", {})]), reply(calls=[("second", {})]))
tester = perstack.Expert("tester", "Do what is asked.")
machine = {"sandbox": "host", "storage": "jobs", "env": {"PATH": "/usr/bin"}}
perstack.run_sync(tester, "x", provider=model, skills=[skill], job_id="killed", **machine)
"""


@pytest.mark.slow
def test_nothing_that_was_done_is_lost_and_what_was_under_way_is_told(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "stuck\n"
        program.kill()
    given = options(tmp_path, done("went on"), config=perstack.Config(experts={"tester": TESTER}))
    given["store"] = None
    given["storage"] = tmp_path / "jobs"
    (job,) = perstack.jobs(storage=tmp_path / "jobs")
    assert (job.id, job.status) == ("killed", "running")
    found = perstack.resume_sync("killed", **given)
    assert (found.text, found.status) == ("went on", "completed")
    (request,) = requests_of(given)
    results = [result for message in request.messages if isinstance(message, ToolMessage) for result in message.results]
    assert [(result.tool_name, result.is_error) for result in results] == [("first", False), ("second", True)]
    assert results[0].text == "one"
    assert perstack.jobs(storage=tmp_path / "jobs")[0].status == "completed"
