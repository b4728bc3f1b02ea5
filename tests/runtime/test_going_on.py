"""Whatever was going on when a job was cut off: every way to go on works, and no call stays without its result."""

from __future__ import annotations

import contextlib

import anyio
from hypothesis import given, settings
from hypothesis import strategies as st

from perstack.core.errors import PerstackError, UserError
from perstack.core.messages import ExpertMessage, ModelReply, ModelRequest, ToolMessage, UserMessage
from perstack.runtime.driver import RunOutcome
from perstack.runtime.fold import JobState, fold
from perstack.runtime.state import RunStatus
from perstack.testing import counting_ids, done
from tests.runtime.histories import PLOTS, TEAM, Plot, play, tools
from tests.runtime.running import Bench

WAYS = ("resume", "proceed", "branch", "answer")


def content(request: ModelRequest) -> ModelReply:
    """A model that wants nothing more, and whose history must be one that every provider takes."""
    for message, following in zip(request.messages, [*request.messages[1:], None], strict=True):
        if isinstance(message, ExpertMessage) and message.tool_calls:
            assert isinstance(following, ToolMessage), "calls are answered at once"
            assert [result.id for result in following.results] == [call.id for call in message.tool_calls]
    assert isinstance(request.messages[0], UserMessage)
    assert not isinstance(request.messages[-1], ExpertMessage)
    return done("ok")


async def going_on(bench: Bench, job: JobState, way: str, number: int) -> RunOutcome:
    request = bench.request(TEAM["a"], "And now?", experts=TEAM, max_steps=50)
    if way == "resume":
        return await bench.runner.resume(request, job)
    if way == "proceed":
        return await bench.runner.proceed(request, job)
    if way == "answer":
        return await bench.runner.answer(request, job, "Yes.")
    ids = list(job.checkpoints) or ["none"]
    return await bench.runner.branch(request, job, ids[number % len(ids)])


@settings(max_examples=50, deadline=None)
@given(PLOTS, st.integers(0, 10_000), st.sampled_from(WAYS), st.integers(0, 50))
def test_a_job_cut_anywhere_goes_on_in_every_way_it_may(plot: Plot, where: int, way: str, number: int) -> None:
    events = play(plot)[0].stored
    events = events[: 1 + where % len(events)]
    bench = Bench(content, skill=tools(), child_skills={"b": tools(), "c": tools()}, new_id=counting_ids("n"))
    bench.events.extend(events)
    outcome: RunOutcome | None = None

    async def main() -> None:
        nonlocal outcome
        with contextlib.suppress(UserError):  # not a way for this job: said so, and nothing written
            outcome = await going_on(bench, fold(events), way, number)

    with contextlib.suppress(PerstackError):
        anyio.run(main)
    after = fold(bench.events)
    run = after.latest_run()
    if outcome is None or run is None:
        return
    assert (run.status.value, run.text) == (outcome.status, outcome.text)
    assert run.status not in (RunStatus.PROCEEDING, RunStatus.STOPPED_BY_DELEGATE)
    if way != "resume" and run.status is RunStatus.COMPLETED:
        assert outcome.text == "ok"
