"""Definitions in the forms of 2025 and 2026 that are not among the published files run by the same rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from perstack.core.experts import BASE_TOOLS
from perstack.testing import done, reply
from tests.compat.bench import STAND_IN, Bench
from tests.compat.definitions import BUILDER, GAME_TEAM, ISSUE_BOT

pytestmark = pytest.mark.anyio


async def test_a_bot_of_2025_delegates_to_another_organisation(tmp_path: Path) -> None:
    bench = Bench.of(
        tmp_path,
        ISSUE_BOT,
        {
            "@acme/issue-bot": [reply(calls=[("search", {"query": "where?"})]), done("In a.py.")],
            "@tools/search": [reply(calls=[("listDirectory", {"path": "."})]), done("a.py")],
        },
    )
    (bench.workspace / "a.py").write_text("x = 1\n")

    ended = await bench.run("@acme/issue-bot", "Answer issue #1")

    assert ended.outcome.text == "In a.py."
    assert ended.order("startRun") == [
        "startRun:@acme/issue-bot", "startRun:@tools/search", "startRun:@acme/issue-bot",
    ]  # fmt: skip
    assert set(bench.tools_of(1)) == set(BASE_TOOLS) - {"exec", "writeTextFile", "editTextFile", "appendTextFile"}
    assert [warning.split(": ", 1)[1].split(" ")[0] for warning in bench.config.warnings] == [
        '"runtime"', "requiredEnv", '"@perstack/base@0.0.34":',
    ]  # fmt: skip


async def test_a_team_in_its_scope_works_in_one_workspace_and_a_failure_is_told_to_the_caller(tmp_path: Path) -> None:
    write = reply(calls=[("writeTextFile", {"path": "game.py", "text": "print('ok')\n"})])
    check = reply(calls=[("exec", {"command": "python3", "args": ["game.py"]})])
    bench = Bench.of(
        tmp_path,
        GAME_TEAM,
        {
            "game-dev": [
                reply(calls=[("plan", {"query": "plan"})]),
                reply(calls=[("build", {"query": "build"})]),
                reply(calls=[("verify", {"query": "verify"})]),
                done("It runs."),
            ],
            "@game-dev/plan": [reply(stop=None)] * 10,
            "@game-dev/build": [write, done("built")],
            "@game-dev/verify": [check, done("PASS")],
        },
    )

    ended = await bench.run("game-dev", "Make a game.")

    assert ended.outcome.status == "completed"
    assert (bench.workspace / "game.py").read_text() == "print('ok')\n"
    parent = [request for request in bench.requests if "Plan, build, verify." in request.system]
    assert "Delegation to @game-dev/plan failed: Max retries (5) exceeded" in repr(parent[1].messages)
    assert "PASS" in repr(parent[3].messages)
    assert "stopRunByError:@game-dev/plan" in ended.order("stopRunByError")
    assert {request.reasoning_budget for request in bench.requests} == {5000}


async def test_an_expert_makes_another_and_has_the_work_done_by_it(tmp_path: Path) -> None:
    table = {"key": "@create-team/poet", "instruction": "You write one line.", "description": "Writes."}
    bench = Bench.of(tmp_path, BUILDER)
    bench.script = {
        "create-team": [
            reply(calls=[("createExpert", table), ("addDelegate", {"expertKey": "@create-team/poet"})]),
            reply(calls=[("poet", {"query": "a line"})]),
            done("A line."),
        ]
    }
    bench.spoken["You write one line."] = [done("Roses are red.")]

    ended = await bench.run("create-team", "A poem.")

    assert "poet" not in bench.tools_of(0)
    assert "poet" in bench.tools_of(1)
    assert set(bench.tools_of(2)) == set(BASE_TOOLS)
    assert "Roses are red." in repr(bench.requests[3].messages)
    assert ended.outcome.status == "completed"
    assert "@create-team/poet" not in bench.config.experts


@pytest.mark.slow
async def test_a_server_of_the_workspace_becomes_a_skill_while_running_and_goes_again(tmp_path: Path) -> None:
    skill = {"name": "notes", "type": "mcpStdioSkill", "command": "python3", "args": ["-I", "server.py", "jot"]}
    bench = Bench.of(
        tmp_path,
        BUILDER,
        {
            "create-team": [
                reply(calls=[("addSkill", skill)]),
                reply(calls=[("jot", {"text": "a note"})]),
                reply(calls=[("removeSkill", {"skillName": "notes"})]),
                done("noted"),
            ]
        },
    )
    (bench.workspace / "server.py").write_bytes(STAND_IN.read_bytes())

    ended = await bench.run("create-team")

    assert ["jot" in bench.tools_of(index) for index in range(4)] == [False, True, True, False]
    assert "a note" in repr(bench.requests[2].messages)
    assert next(event["skillName"] for event in ended.payloads("skillDisconnected")) == "notes"
    assert ended.outcome.text == "noted"


async def test_a_skill_that_would_fetch_a_package_is_refused_and_the_run_goes_on(tmp_path: Path) -> None:
    skill = {"name": "evil", "type": "mcpStdioSkill", "command": "npx", "packageName": "evil-server"}
    bench = Bench.of(tmp_path, BUILDER, {"create-team": [reply(calls=[("addSkill", skill)]), done("no")]})

    ended = await bench.run("create-team")

    assert "packages are fetched only where the definition names them" in repr(bench.requests[1].messages)
    assert not ended.payloads("skillStarting")
