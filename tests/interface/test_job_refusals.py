"""What a job answers when it does not act, or cannot: one clear message in the right place, nothing pushed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from perstack.core.errors import ExitCode
from perstack.forge.contract import Action, Actor
from tests.interface.scene import FILES, MALLORY, Scene

pytestmark = pytest.mark.anyio


def reactions(scene: Scene) -> list[str]:
    return [reaction["content"] for reaction in scene.record("reactions")]


def nothing_pushed(scene: Scene) -> bool:
    unmoved = scene.branch("tidy") == scene.head and scene.branch("main") == scene.main
    return unmoved and scene.record("commits") == []


@pytest.mark.threat("R4", "R11")
async def test_somebody_without_write_permission_is_told_in_the_summary_and_gets_no_comment(tmp_path: Path) -> None:
    scene = await Scene.make(tmp_path)
    result = await scene.run(actor=MALLORY)
    assert result.exit_code is ExitCode.OK
    assert "needs one of the roles" in scene.summary().replace("need one of", "needs one of")
    assert scene.record("comments") == []
    assert reactions(scene) == ["confused"]
    assert nothing_pushed(scene)
    (log,) = (tmp_path / "storage").rglob("events.jsonl")
    events = [json.loads(line) for line in log.read_text().splitlines()]
    (told,) = [event for event in events if event["type"] == "refuse"]
    assert (told["code"], told["event"], told["actor"]) == ("role", "issue_comment", MALLORY.id)


@pytest.mark.threat("R4", "P4")
async def test_a_bot_gets_neither_reaction_nor_comment(tmp_path: Path) -> None:
    scene = await Scene.make(tmp_path)
    result = await scene.run(actor=Actor("helper[bot]", 99, is_bot=True))
    assert result.exit_code is ExitCode.OK
    assert "bot" in scene.summary()
    assert (scene.record("comments"), reactions(scene)) == ([], [])
    assert nothing_pushed(scene)


async def test_a_closed_pull_request_is_answered_with_a_sentence(tmp_path: Path) -> None:
    scene = await Scene.make(tmp_path)
    scene.forge.add_pull_request(scene.pull(state="closed"))
    result = await scene.run()
    assert result.exit_code is ExitCode.OK
    assert "is closed; reopen it" in scene.comment()
    assert scene.record("check-runs") == []
    assert nothing_pushed(scene)


async def test_a_deleted_branch_is_answered_with_a_sentence(tmp_path: Path) -> None:
    scene = await Scene.make(tmp_path)
    await scene.project.git("push", "--quiet", str(scene.repository.path), ":tidy")
    result = await scene.run()
    assert result.exit_code is ExitCode.OK
    assert "branch was deleted" in scene.comment()
    assert scene.record("commits") == []


async def test_a_malformed_configuration_is_reported_with_its_line(tmp_path: Path) -> None:
    scene = await Scene.make(tmp_path, files={**FILES, "perstack.toml": "[signals.tests]\nkind = \n"})
    result = await scene.run()
    assert result.exit_code is ExitCode.USAGE
    assert "perstack.toml:2" in scene.summary()
    assert nothing_pushed(scene)


@pytest.mark.threat("R3", "P15")
async def test_the_pull_requests_own_configuration_is_not_used(tmp_path: Path) -> None:
    hostile = {**FILES, "perstack.toml": "this is not TOML at all ["}
    scene = await Scene.make(tmp_path, files=hostile, main={**FILES, "calc.py": "x = 1\n"})
    result = await scene.run(host={"provider": "anthropic"})
    assert "ANTHROPIC_API_KEY is not set" in result.message, "the base's configuration was read without a complaint"


async def test_a_missing_key_is_told_on_the_comment_and_ends_the_check(tmp_path: Path) -> None:
    scene = await Scene.make(tmp_path)
    result = await scene.run(host={"provider": "anthropic"})
    assert result.exit_code is ExitCode.USAGE
    assert "ANTHROPIC_API_KEY is not set" in scene.comment()
    (check,) = scene.record("check-runs")
    assert (check["status"], check["conclusion"]) == ("completed", "failure")
    assert nothing_pushed(scene)


async def test_an_unknown_provider_names_the_ones_there_are(tmp_path: Path) -> None:
    scene = await Scene.make(tmp_path)
    result = await scene.run(host={"provider": "oracle"})
    assert result.exit_code is ExitCode.USAGE
    assert 'unknown provider "oracle"' in scene.comment()
    assert "anthropic" in scene.comment()


async def test_no_signals_at_all_says_what_to_write(tmp_path: Path) -> None:
    scene = await Scene.make(tmp_path, files={"notes.txt": "b", "calc.py": "x = 1\n"}, main={"notes.txt": "a"})
    result = await scene.run()
    assert result.exit_code is ExitCode.USAGE
    assert "[signals.tests]" in scene.comment()
    assert nothing_pushed(scene)


async def test_verify_on_an_issue_is_a_mistake_told_with_a_hint(tmp_path: Path) -> None:
    scene = await Scene.make(tmp_path)
    result = await scene.run(Action.VERIFY, number=3)
    assert result.exit_code is ExitCode.USAGE
    assert "needs a pull request" in scene.comment()


async def test_a_missing_base_branch_is_answered(tmp_path: Path) -> None:
    scene = await Scene.make(tmp_path)
    scene.forge.add_pull_request(replace(scene.pull(), base_ref="gone"))
    result = await scene.run()
    assert result.exit_code is ExitCode.OK
    assert "branch `gone` does not exist" in scene.summary()
    assert nothing_pushed(scene)


async def test_help_lists_the_commands_and_mistakes_are_shown_with_their_place(tmp_path: Path) -> None:
    scene = await Scene.make(tmp_path)
    result = await scene.run(Action.HELP, notes=("line 1, column 11: `fxi` is not a command",))
    assert result.exit_code is ExitCode.OK
    assert "line 1, column 11" in scene.comment()
    assert "/perstack fix" in scene.comment()
    assert reactions(scene) == ["confused"]
