"""`perstack.stream`: events one by one, a slow reader, leaving early, errors; and the synchronous twins."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

import perstack
from perstack.api.stream import RunStream
from perstack.core.usage import Usage
from perstack.testing import FunctionSkill, done, reply
from tests.api.kit import TESTER, changed, options, requests_of

RESULT = perstack.RunResult("completed", "", Usage(), 1, "j", "r")


@pytest.mark.anyio
async def test_events_come_one_by_one_and_the_result_is_there_at_the_end(tmp_path: Path) -> None:
    async with perstack.stream(TESTER, "hello", **options(tmp_path, done("fine"))) as run:
        with pytest.raises(perstack.UserError, match="has not ended"):
            _ = run.result
        types = [event.type async for event in run]
        assert run.result.text == "fine"
    assert types[0] == "startJob"
    assert types.index("startRun") < types.index("startGeneration") < types.index("completeRun")
    assert run.job_id == run.result.job_id


@pytest.mark.anyio
async def test_the_rest_can_be_waited_for_without_reading(tmp_path: Path) -> None:
    async with perstack.stream(TESTER, "hello", **options(tmp_path, done("fine"))) as run:
        async for event in run:
            if event.type == "startRun":
                break
        assert (await run.wait()).text == "fine"


@pytest.mark.anyio
async def test_on_event_is_called_too(tmp_path: Path) -> None:
    seen: list[perstack.Event] = []
    async with perstack.stream(TESTER, "x", **options(tmp_path, done(), on_event=seen.append)) as run:
        streamed = [event async for event in run]
    assert streamed == seen


@pytest.mark.anyio
async def test_leaving_early_stops_the_run_and_its_job_can_be_resumed(tmp_path: Path) -> None:
    never = anyio.Event()

    async def wait(_: object) -> str:
        await never.wait()
        return "too late"

    config = perstack.Config(experts={"tester": TESTER})
    stuck = FunctionSkill({"wait": wait}, name="slow")
    given = options(tmp_path, reply(calls=[("wait", {})]), done("went on"), config=config)
    with anyio.fail_after(10):
        async with perstack.stream("tester", "hello", **changed(given, skills=[stuck])) as run:
            async for event in run:
                if event.type == "callTools":
                    break
    assert stuck.closed
    store = given["store"]
    assert store is not None
    assert store.load(run.job_id).status == "running"
    with pytest.raises(perstack.UserError, match="has not ended"):
        _ = run.result
    free = FunctionSkill({"wait": lambda _: "in time"}, name="slow")
    found = await perstack.resume(run.job_id, **changed(given, skills=[free]))
    assert (found.text, found.job_id) == ("went on", run.job_id)
    assert len(requests_of(given)) == 2, "the reply before the interruption was not asked for again"


@pytest.mark.anyio
async def test_who_leaves_at_an_event_leaves_before_the_next_model_call_however_fast_the_run_is(tmp_path: Path) -> None:
    given = options(tmp_path, reply(calls=[("healthCheck", {})]), done("too late"))
    async with perstack.stream(TESTER, "x", **given) as run:
        async for event in run:
            if event.type == "callTools":
                break
    assert len(requests_of(given)) == 1


@pytest.mark.anyio
async def test_who_never_reads_does_not_hold_up_the_run(tmp_path: Path) -> None:
    ended = anyio.Event()

    def listen(event: perstack.Event) -> None:
        if event.type == "completeRun":
            ended.set()

    with anyio.fail_after(10):
        async with perstack.stream(TESTER, "x", **options(tmp_path, done("fine"), on_event=listen)) as run:
            await ended.wait()
            assert (await run.wait()).text == "fine"


@pytest.mark.anyio
async def test_a_cancelled_run_can_be_resumed_as_well(tmp_path: Path) -> None:
    async def wait(_: object) -> str:
        scope.cancel()
        await anyio.sleep_forever()
        return "never"

    config = perstack.Config(experts={"tester": TESTER})
    given = options(tmp_path, reply(calls=[("wait", {})]), done("went on"), config=config)
    with anyio.CancelScope() as scope:
        await perstack.run(
            "tester", "x", job_id="mine", **changed(given, skills=[FunctionSkill({"wait": wait}, name="slow")])
        )
    assert scope.cancelled_caught
    assert (await perstack.resume("mine", **given)).text == "went on"


@pytest.mark.anyio
async def test_an_error_in_the_block_stays_what_it_is(tmp_path: Path) -> None:
    async def read() -> None:
        async with perstack.stream(TESTER, "x", **options(tmp_path, done())) as run:
            async for _ in run:
                raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await read()


@pytest.mark.anyio
async def test_what_cannot_run_is_raised_where_events_are_read(tmp_path: Path) -> None:
    async with perstack.stream("nobody", "x", **options(tmp_path, config="[experts.a]\ninstruction = 'x'\n")) as run:
        with pytest.raises(perstack.UserError, match="nobody"):
            [event async for event in run]
        with pytest.raises(perstack.UserError, match="nobody"):
            await run.wait()


@pytest.mark.anyio
async def test_what_cannot_run_is_raised_at_the_end_of_a_block_that_never_read(tmp_path: Path) -> None:
    with pytest.raises(perstack.UserError, match="nobody"):
        async with perstack.stream("nobody", "x", **options(tmp_path, config="[experts.a]\ninstruction = 'x'\n")):
            await anyio.wait_all_tasks_blocked()


def event(kind: str, run_id: str = "r", **payload: str) -> perstack.Event:
    return perstack.Event(kind, "e", 1, "j", run_id, "tester", 1, payload)


@pytest.mark.anyio
async def test_pieces_of_text_that_wait_are_joined_run_by_run_and_nothing_else_is() -> None:
    async def work(live: RunStream) -> perstack.RunResult:
        add = live.add
        add(event("startStreamingRunResult"))
        for number in range(10_000):
            add(event("streamRunResult", "ab"[number % 2], delta=f"{number} "))
        add(event("completeStreamingRunResult", "a"))
        add(event("streamRunResult", "a", delta="next"))
        return RESULT

    async with RunStream(work) as run:
        await anyio.wait_all_tasks_blocked()
        events = [(event.type, event.run_id, event.payload.get("delta", "")) async for event in run]
    assert len(events) == 5
    even = "".join(f"{number} " for number in range(0, 10_000, 2))
    assert events[1] == ("streamRunResult", "a", even)
    assert [(kind, run) for kind, run, _ in events] == [
        ("startStreamingRunResult", "r"),
        ("streamRunResult", "a"),
        ("streamRunResult", "b"),
        ("completeStreamingRunResult", "a"),
        ("streamRunResult", "a"),
    ]


@pytest.mark.anyio
async def test_streamed_text_arrives_whole(tmp_path: Path) -> None:
    given = options(tmp_path, reply("The answer."))
    async with perstack.stream(TESTER, "x", **given) as run:
        text = "".join([str(e.payload["delta"]) async for e in run if e.type == "streamRunResult"])
    assert text == run.result.text == "The answer."


@pytest.mark.anyio
async def test_a_stream_is_entered_first_and_once(tmp_path: Path) -> None:
    stream = perstack.stream(TESTER, "x", **options(tmp_path, done()))
    with pytest.raises(perstack.UserError, match="has not started"):
        [event async for event in stream]
    async with stream as run:
        assert (await run.wait()).ok
    with pytest.raises(perstack.UserError, match="for one run"):
        await stream.__aenter__()


@pytest.mark.anyio
async def test_several_runs_at_once_do_not_mix(tmp_path: Path) -> None:
    texts: dict[int, str] = {}

    async def one(number: int) -> None:
        found = await perstack.run(TESTER, "x", **options(tmp_path, done(f"result {number}")))
        texts[number] = found.text

    async with anyio.create_task_group() as tasks:
        for number in range(4):
            tasks.start_soon(one, number)
    assert texts == {number: f"result {number}" for number in range(4)}


def test_a_program_without_an_event_loop_waits(tmp_path: Path) -> None:
    config = perstack.Config(experts={"tester": TESTER})
    given = options(tmp_path, done("one"), done("two"), config=config)
    first = perstack.run_sync("tester", "hello", **given)
    assert first.text == "one"
    assert perstack.proceed_sync(first.job_id, "more", **given).text == "two"
    with pytest.raises(perstack.UserError, match="nothing to resume"):
        perstack.resume_sync(first.job_id, **given)


@pytest.mark.anyio
async def test_inside_an_event_loop_the_synchronous_twin_says_what_to_use(tmp_path: Path) -> None:
    with pytest.raises(perstack.UserError, match=r"await perstack\.run\(") as caught:
        perstack.run_sync(TESTER, "hello", **options(tmp_path))
    assert "run_sync was called inside a running event loop" in caught.value.message
