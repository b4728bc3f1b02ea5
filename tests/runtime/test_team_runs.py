"""Experts that make experts while they run: what the next step has, and what is left after a crash."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from perstack.core.contracts import Skill, Tell
from perstack.core.errors import InfrastructureError
from perstack.core.events import Event
from perstack.core.experts import BASE_SKILL, Expert
from perstack.core.messages import ExpertMessage, ModelReply, ModelRequest, ToolMessage
from perstack.definition.load import load_config, read_experts
from perstack.runtime.fold import fold
from perstack.runtime.past import recorded_calls
from perstack.skills.base import base_skill
from perstack.skills.team import Team
from perstack.testing import FunctionSkill, LocalSession, counting_ids, done, reply
from tests.runtime.running import Bench

pytestmark = pytest.mark.anyio

CONFIG = load_config("""
[experts.lead]
instruction = "I am LEAD."
[experts.lead.skills."@perstack/base"]
type = "mcpStdioSkill"
command = "npx"
packageName = "@perstack/base"
pick = ["createExpert", "addDelegate", "removeDelegate", "addSkill", "removeSkill", "todo", "attemptCompletion"]
""")
MAKE = reply(
    calls=[
        ("todo", {"newTodos": ["write it"]}),
        ("createExpert", {"key": "@lead/write", "instruction": "I am WRITE.", "description": "Writes."}),
        ("addDelegate", {"expertKey": "@lead/write"}),
    ]
)
SERVER = {"name": "extra", "type": "mcpStdioSkill", "command": "python3", "args": ["tools.py"]}


class Scene:
    """One job of a lead that makes its own delegate; `extra` stands for a server that it adds."""

    def __init__(self, root: Path, events: Sequence[Event] = ()) -> None:
        self.team = Team(CONFIG.experts, read_experts)
        self.team.restore(recorded_calls(events))
        self.extra: FunctionSkill = FunctionSkill({"fly": lambda _: "flew"}, name="extra")
        self._root = root
        self.bench = Bench(story, skills_for=self.skills_for, new_id=counting_ids(f"r{len(events)}."))
        self.bench.events.extend(events)

    async def skills_for(self, who: Expert) -> tuple[Skill, ...]:
        base = base_skill(who, self._root, LocalSession(self._root), team=self.team)
        return (base, self.extra) if "extra" in who.skills else (base,)

    @property
    def request(self) -> dict[str, Any]:
        return {"skills": (), "experts": self.team.experts}


def story(request: ModelRequest) -> ModelReply:
    if "I am WRITE." in request.system:
        return done("written")
    turn = sum(isinstance(message, ExpertMessage) for message in request.messages)
    return (MAKE, reply(calls=[("write", {"query": "q"})]), reply(calls=[("todo", {"completedTodos": [0]})]), done())[
        turn
    ]


def offered(bench: Bench) -> list[list[str]]:
    return [[tool.name for tool in request.tools] for request in bench.scripted().requests]


async def test_a_delegate_that_was_made_in_one_step_is_a_tool_in_the_next(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    outcome = await scene.bench.run(CONFIG.experts["lead"], **scene.request)
    assert (outcome.status, outcome.text) == ("completed", "Done.")
    assert "write" not in offered(scene.bench)[0]
    assert offered(scene.bench)[1] == [*offered(scene.bench)[0], "write"], "new tools come last"
    assert scene.bench.collect.tagged("startRun", "completeRun") == [
        "startRun:lead", "startRun:@lead/write", "completeRun:@lead/write", "startRun:lead", "completeRun:lead",
    ]  # fmt: skip


async def test_the_team_and_the_to_dos_outlive_a_crash_after_any_event(tmp_path: Path) -> None:
    whole = Scene(tmp_path)
    await whole.bench.run(CONFIG.experts["lead"], **whole.request)
    types = [event.type for event in whole.bench.events]
    ended = len(types) - 1 - types[::-1].index("completeRun")
    for limit in range(types.index("startRun"), ended):
        before = whole.bench.events[: limit + 1]
        again = Scene(tmp_path, before)
        request = again.bench.request(CONFIG.experts["lead"], **again.request)
        outcome = await again.bench.runner.resume(request, fold(before))
        assert (outcome.status, outcome.text) == ("completed", "Done."), limit
        assert again.team.state == whole.team.state
        assert "remainingTodos" not in str([event.payload for event in again.bench.events]), limit


async def test_nothing_after_the_checkpoint_of_a_branch_counts(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    await scene.bench.run(CONFIG.experts["lead"], **scene.request)
    steps = [event for event in scene.bench.events if event.type == "continueToNextStep"]
    checkpoint = steps[0].payload["checkpoint"]
    assert isinstance(checkpoint, dict)
    names = [call.tool_name for _, call, _ in recorded_calls(scene.bench.events, until=checkpoint["id"])]
    assert names == ["todo", "createExpert", "addDelegate"]
    everything = [(who, call.tool_name) for who, call, _ in recorded_calls(scene.bench.events)]
    assert everything[3:] == [
        ("@lead/write", "attemptCompletion"), ("lead", "todo"), ("lead", "attemptCompletion")
    ]  # fmt: skip


def adding(*then: ModelReply) -> list[ModelReply]:
    return [reply(calls=[("addSkill", SERVER)]), *then]


async def test_a_skill_that_was_added_opens_before_the_next_step_and_ends_with_the_run(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.bench = Bench(adding(reply(calls=[("fly", {})]), done()), skills_for=scene.skills_for)
    await scene.bench.run(CONFIG.experts["lead"], **scene.request)
    assert offered(scene.bench)[1][-1] == "fly"
    last = scene.bench.scripted().requests[2].messages[-1]
    assert isinstance(last, ToolMessage)
    assert last.results[0].text == "flew"
    assert scene.extra.closed


async def test_a_skill_that_was_removed_is_closed_and_its_tools_are_gone(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    gone = reply(calls=[("removeSkill", {"skillName": "extra"})])
    scene.bench = Bench(adding(gone, reply(calls=[("fly", {})]), done()), skills_for=scene.skills_for)
    await scene.bench.run(CONFIG.experts["lead"], **scene.request)
    assert "fly" in offered(scene.bench)[1]
    assert "fly" not in offered(scene.bench)[2]
    assert scene.extra.called == []
    told = [str(event.payload["skillName"]) for event in scene.bench.events if event.type == "skillDisconnected"]
    assert told == ["extra", BASE_SKILL]


async def test_an_added_skill_that_does_not_start_is_told_and_the_run_goes_on(tmp_path: Path) -> None:
    class Dead(FunctionSkill):
        async def open(self, tell: Tell) -> None:
            raise InfrastructureError("no such program")

    scene = Scene(tmp_path)
    scene.extra = Dead({"fly": lambda _: ""}, name="extra")
    scene.bench = Bench(adding(reply("ok")), skills_for=scene.skills_for)
    assert (await scene.bench.run(CONFIG.experts["lead"], **scene.request)).text == "ok"
    assert "fly" not in offered(scene.bench)[1]
    assert scene.bench.collect.first("skillStderr").payload["message"] == "cannot start: no such program"
