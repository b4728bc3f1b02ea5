"""Checkpoints in the fold, and what a branch off one makes of a job's runs and usage."""

from __future__ import annotations

import pytest

from perstack.core.errors import InvariantBroken
from perstack.core.events import Event
from perstack.core.usage import Usage
from perstack.runtime.fold import JobState, fold
from perstack.runtime.state import Phase
from perstack.testing import FunctionSkill, reply
from tests.runtime.running import Bench

pytestmark = pytest.mark.anyio


def look() -> FunctionSkill:
    return FunctionSkill({"look": lambda _: "seen"}, read_only=("look",))


async def two_endings(checkpoint: int) -> tuple[Bench, JobState, str]:
    """A run of three steps, then a branch off one of its checkpoints: the bench, the state before it, its id."""
    bench = Bench(
        [reply("", [("look", {})]), reply("", [("look", {})]), reply("First end."), reply("Second end.")], skill=look()
    )
    await bench.run()
    before = fold(bench.events)
    chosen = tuple(before.checkpoints)[checkpoint]
    await bench.runner.branch(bench.request(query="Otherwise?"), before, chosen)
    return bench, before, chosen


async def test_every_step_and_stop_leaves_a_checkpoint_with_the_run_as_it_was() -> None:
    bench, before, _ = await two_endings(0)
    named = [
        event.payload[key]["id"]  # type: ignore[index,call-overload]
        for event in bench.events
        for key in ("checkpoint", "nextCheckpoint")
        if key in event.payload
    ]
    assert list(before.checkpoints) == named[: len(before.checkpoints)]
    assert list(fold(bench.events).checkpoints) == named
    lengths = [len(state.history) for state in before.checkpoints.values()]
    assert lengths == [3, 3, 5, 5, 6]
    assert [state.phase for state in before.checkpoints.values()] == [Phase.PREPARING] * 4 + [Phase.STOPPED]


@pytest.mark.parametrize(("checkpoint", "seen"), [(0, 3), (1, 3), (2, 5), (4, 6)])
async def test_a_branch_sees_the_history_up_to_its_checkpoint_and_the_old_run_stays(checkpoint: int, seen: int) -> None:
    bench, before, _ = await two_endings(checkpoint)
    after = fold(bench.events)
    assert len(bench.scripted().requests[-1].messages) == seen + 1
    old, new = after.runs.values()
    assert old == before.latest_run()
    assert new == after.latest_run()
    assert (old.text, new.text) == ("First end.", "Second end.")
    assert new.origin_run_id == new.run_id != old.origin_run_id
    assert bench.scripted().requests[-1].run_id == new.run_id, "a provider keeps what it sent by run"


async def test_what_both_share_is_counted_once() -> None:
    bench, before, _ = await two_endings(2)
    after = fold(bench.events)
    assert before.usage == Usage(30, 15)
    assert after.usage == Usage(40, 20)
    new = after.latest_run()
    assert new is not None
    assert new.usage == Usage(30, 15), "the run itself has cost its shared part, too"


async def test_a_checkpoint_that_is_not_on_record_is_an_error() -> None:
    bench, _, _ = await two_endings(0)
    events: list[Event] = [event for event in bench.events if event.type != "continueToNextStep"]
    start = next(event for event in reversed(events) if event.type == "startRun")
    with pytest.raises(InvariantBroken, match=r"branches off checkpoint .*, not on record"):
        fold([start])
