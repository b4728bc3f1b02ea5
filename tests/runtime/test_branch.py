"""Going on from an older checkpoint: a branch of its own, and what cannot be branched off."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from perstack.core.errors import UserError
from perstack.core.events import Event
from perstack.core.messages import ExpertMessage, ModelReply, ModelRequest, ToolMessage, UserMessage
from perstack.core.usage import Usage
from perstack.runtime.driver import RunOutcome
from perstack.runtime.fold import fold
from perstack.testing import FunctionSkill, done, expert, experts, reply
from tests.runtime.running import Bench
from tests.runtime.test_continue import ASKING

pytestmark = pytest.mark.anyio

TEAM = experts(expert("a", "I am A.", delegates=("b",)), expert("b", "I am B."))


def checkpoint_ids(bench: Bench, kind: str, *, name: str = "checkpoint", who: str = "") -> list[str]:
    found = [event for event in bench.events if event.type == kind and who in ("", event.expert_key)]
    return [str(mapping(event, name)["id"]) for event in found]


def mapping(event: Event, name: str) -> Mapping[str, object]:
    value = event.payload[name]
    assert isinstance(value, Mapping)
    return value


def story(request: ModelRequest) -> ModelReply:
    if "I am B." in request.system:
        return done("B")
    last = request.messages[-1]
    if isinstance(last, UserMessage) and "Other way." in str(last.contents):
        return done("other")
    turn = sum(isinstance(message, ExpertMessage) for message in request.messages)
    return (reply(calls=[("look", {})]), reply(calls=[("b", {"query": "q"})]), done("first"))[turn]


async def ran() -> Bench:
    bench = Bench(story, skill=FunctionSkill({"look": lambda _: "seen"}))
    await bench.run(TEAM["a"], experts=TEAM)
    return bench


async def branched(bench: Bench, checkpoint_id: str, query: str = "Other way.") -> RunOutcome:
    request = bench.request(TEAM["a"], query, experts=TEAM)
    return await bench.runner.branch(request, fold(bench.events), checkpoint_id)


@pytest.mark.parametrize("name", ["checkpoint", "nextCheckpoint"])
async def test_a_branch_goes_on_from_the_end_of_a_step_with_the_history_up_to_there(name: str) -> None:
    bench = await ran()
    (first, *_) = checkpoint_ids(bench, "continueToNextStep", name=name, who="a")
    outcome = await branched(bench, first)
    assert (outcome.status, outcome.text) == ("completed", "other")
    messages = bench.scripted().requests[-1].messages
    assert [type(message).__name__ for message in messages] == [
        "UserMessage", "ExpertMessage", "ToolMessage", "UserMessage"
    ]  # fmt: skip
    start = [event for event in bench.events if event.type == "startRun"][-1]
    assert start.step_number == 2
    assert mapping(start, "initialCheckpoint")["resumedFrom"] == {
        "runId": bench.events[2].run_id, "checkpointId": first, "branch": True
    }  # fmt: skip


async def test_a_branch_folds_to_what_it_was_and_leaves_the_old_run_as_it_was() -> None:
    bench = await ran()
    before = fold(bench.events)
    (first, *_) = checkpoint_ids(bench, "continueToNextStep", who="a")
    outcome = await branched(bench, first)
    after = fold(bench.events)
    latest = after.latest_run()
    assert latest is not None
    assert (latest.text, latest.origin_run_id) == ("other", outcome.run_id)
    assert {origin: after.runs[origin] for origin in before.runs} == dict(before.runs)
    assert after.usage == before.usage + Usage(10, 5)


async def test_the_end_of_a_run_and_a_wait_for_delegates_can_be_branched_off() -> None:
    for kind in ("completeRun", "stopRunByDelegate"):
        bench = await ran()
        assert (await branched(bench, checkpoint_ids(bench, kind, who="a")[0])).text == "other"
    results = bench.scripted().requests[-1].messages[-2]
    assert isinstance(results, ToolMessage)
    assert [result.is_error for result in results.results] == [True]


async def test_a_branch_can_be_branched_and_gone_on_with() -> None:
    bench = await ran()
    (first, *_) = checkpoint_ids(bench, "continueToNextStep", who="a")
    await branched(bench, first)
    await branched(bench, checkpoint_ids(bench, "completeRun", who="a")[-1])
    request = bench.request(TEAM["a"], "Other way.", experts=TEAM)
    assert (await bench.runner.proceed(request, fold(bench.events))).status == "completed"
    assert len(bench.scripted().requests[-1].messages) == 10


async def test_what_cannot_be_branched_off_is_said() -> None:
    bench = await ran()
    with pytest.raises(UserError, match="Checkpoint nowhere not found in job job"):
        await branched(bench, "nowhere")
    (child,) = checkpoint_ids(bench, "completeRun", who="b")
    with pytest.raises(UserError, match="belongs to the delegate `b`: only checkpoints of the job's coordinator"):
        await branched(bench, child)
    (own, *_) = checkpoint_ids(bench, "continueToNextStep", who="a")
    with pytest.raises(UserError, match="Checkpoint expert key a does not match input expert key b"):
        await bench.runner.branch(bench.request(TEAM["b"], experts=TEAM), fold(bench.events), own)
    with pytest.raises(UserError, match="Input message is undefined"):
        await branched(bench, own, "  ")


async def test_a_question_of_an_older_checkpoint_can_be_answered_another_way() -> None:
    bench = Bench([reply(calls=[("askUser", {"q": 1})]), done("yes"), done("no")])
    await bench.run(ASKING)
    (asked,) = checkpoint_ids(bench, "stopRunByInteractiveTool")
    await bench.runner.answer(bench.request(ASKING), fold(bench.events), "yes")
    with pytest.raises(UserError, match="Interactive tool call result is undefined"):
        await bench.runner.branch(bench.request(ASKING, "Never mind."), fold(bench.events), asked)
    second = await bench.runner.answer(bench.request(ASKING), fold(bench.events), "no", checkpoint_id=asked)
    assert second.text == "no"
    last = bench.scripted().requests[-1].messages[-1]
    assert isinstance(last, ToolMessage)
    assert [result.text for result in last.results] == ["no"]
