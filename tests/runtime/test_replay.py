"""The log is the only source of state: replay equals live, and a run goes on from any point of its log."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import pytest
from hypothesis import given, settings

from perstack.core.errors import UserError
from perstack.core.events import RECORD_EVENTS, RUN_EVENTS, Event
from perstack.core.messages import ExpertMessage, ModelReply, ModelRequest, ToolMessage
from perstack.core.storage import LogContents
from perstack.runtime.apply import apply
from perstack.runtime.fold import JobFold, JobState, fold
from perstack.runtime.log import EventLog, load_log
from perstack.runtime.replay import check
from perstack.runtime.replay_rerun import rerun
from perstack.runtime.state import Phase, RunState, RunStatus
from perstack.runtime.wire import object_of, text_of
from perstack.testing import Collect, FunctionSkill, counting_ids, done, failing, reply
from tests.runtime.histories import PLOTS, TEAM, Plot, play
from tests.runtime.running import Bench


def tools() -> FunctionSkill:
    return FunctionSkill(
        {"look": lambda _: "seen", "write": lambda _: "written", "break": failing("no")}, read_only=("look",)
    )


def through_a_log(events: Sequence[Event]) -> LogContents:
    with TemporaryDirectory() as folder:  # hypothesis and tmp_path do not mix
        path = Path(folder) / "events.jsonl"
        log = EventLog(path, str)
        for event in events:
            log(event)
        log.close()
        return load_log(path)


def assert_answered(state: JobState) -> None:
    """No history holds a call without a result, but for calls still pending or in hand."""
    for run in state.runs.values():
        messages = run.history.messages()
        for message, following in zip(messages, [*messages[1:], None], strict=True):
            if isinstance(message, ExpertMessage) and message.tool_calls:
                results = following.results if isinstance(following, ToolMessage) else run.partial
                known = {r.id for r in results} | {c.id for c in run.pending}
                if run.phase is Phase.STOPPED and run.status is RunStatus.COMPLETED:
                    assert isinstance(following, ToolMessage)
                assert known >= {c.id for c in message.tool_calls}


@settings(max_examples=40, deadline=None)
@given(PLOTS)
def test_the_fold_of_a_log_is_the_live_state_after_every_event(plot: Plot) -> None:
    live, model = play(plot)
    assert all(list(seen) == list(known) for seen, known in model.asked)
    contents = through_a_log(live.collect.events)
    assert contents.problem == ""
    folding, one_by_one = JobFold(), dict[str, RunState]()
    for event in contents.events:
        checkpoints = folding.state().checkpoints
        folding(event)
        if event.type in RUN_EVENTS | RECORD_EVENTS:
            resumed = object_of(object_of(event.payload.get("initialCheckpoint")).get("resumedFrom"))
            before = one_by_one.get(text_of(resumed.get("runId")) or event.run_id, RunState())
            if resumed.get("branch") is True:
                before = checkpoints[text_of(resumed.get("checkpointId"))]
            one_by_one[event.run_id] = apply(before, event)
            assert folding.run(event.run_id) == one_by_one[event.run_id]
    assert folding.state() == live.folding.state()
    assert_answered(folding.state())


@settings(max_examples=40, deadline=None)
@given(PLOTS)
def test_a_log_replays_against_itself_and_against_its_own_record(plot: Plot) -> None:
    contents = through_a_log(play(plot)[0].collect.events)
    assert check(contents).difference is None
    report = anyio.run(rerun, contents, TEAM)
    assert report.difference is None, str(report.difference)
    assert report.runs == len(fold(contents.events).runs)


@pytest.mark.anyio
async def test_the_live_state_of_the_outcome_is_what_the_events_fold_to() -> None:
    bench = Bench([reply(calls=[("b", {"query": "q"}), ("c", {"query": "r"})]), done("x"), done("y"), done("z")])
    outcome = await bench.run(TEAM["a"], experts=TEAM)
    job = fold(bench.events)
    run = job.latest_run()
    assert run is not None
    assert (run.text, run.usage, run.origin_run_id) == (outcome.text, outcome.usage, outcome.run_id)
    assert job.usage == outcome.usage
    assert job.steps == outcome.steps


STORY = (
    reply(calls=[("write", {"n": 1}), ("look", {})]),
    reply(calls=[("b", {"query": "q"})]),
    reply(calls=[("write", {"n": 2})]),
    reply(calls=[("c", {"query": "r"})]),
    done("C"),
    done("B"),
    reply(calls=[("look", {}), ("write", {"n": 3})]),
    done("A"),
)


class Died(BaseException):
    """The process is gone."""


class CrashingSink(Collect):
    """Keeps `limit` events, then dies once: what comes after never reached the disk."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit
        self._died = False

    def __call__(self, event: Event) -> None:
        if len(self.events) < self._limit:
            super().__call__(event)
        elif not self._died:
            self._died = True
            raise Died


def story(request: ModelRequest) -> ModelReply:
    """The story's replies by who asks and how much it has seen, so that asking again gives the same."""
    turn = sum(isinstance(message, ExpertMessage) for message in request.messages)
    parts = {"A": (0, 1, 6, 7), "B": (2, 3, 5), "C": (4,)}
    return STORY[next(parts[key][turn] for key in parts if f"I am {key}." in request.system)]


def story_bench(events: Sequence[Event] = (), limit: int = 10_000) -> tuple[Bench, list[FunctionSkill]]:
    skills = [tools(), tools(), tools()]
    sink = CrashingSink(limit)
    sink.events.extend(events)
    ids = counting_ids(f"r{len(events)}.")
    bench = Bench(story, skill=skills[0], child_skills={"b": skills[1], "c": skills[2]}, collect=sink, new_id=ids)
    return bench, skills


def writes(skills: Sequence[FunctionSkill]) -> int:
    return sum(call.tool_name == "write" for skill in skills for call in skill.called)


@pytest.mark.anyio
async def test_a_run_with_delegates_goes_on_from_a_crash_after_any_event() -> None:
    whole, whole_skills = story_bench()
    finished = await whole.run(TEAM["a"], experts=TEAM)
    assert writes(whole_skills) == 3
    first = next(n for n, event in enumerate(whole.events) if event.type == "startRun") + 1
    for limit in range(first, len(whole.events)):
        crashed, before = story_bench(limit=limit)
        with pytest.raises((Died, BaseExceptionGroup)):
            await crashed.run(TEAM["a"], experts=TEAM)
        job = fold(crashed.events)
        run = job.latest_run()
        assert run is not None
        if run.phase is Phase.STOPPED and run.status is RunStatus.COMPLETED:
            continue
        again, after = story_bench(crashed.events)
        resumed = await again.runner.resume(again.request(TEAM["a"], experts=TEAM), job)
        assert (resumed.status, resumed.text, resumed.steps) == ("completed", "A", finished.steps), limit
        ended = fold(again.events)
        made, told = (
            writes(before) + writes(after),
            str([run.history.messages() for run in ended.runs.values()]).count("run was interrupted"),
        )
        assert made <= 3, f"a tool ran twice after event {limit}"
        assert made + told >= 3, f"a call was lost in silence after event {limit}"
        ended_run = ended.latest_run()
        assert ended_run is not None
        assert len(ended_run.history) == 9


@pytest.mark.anyio
async def test_only_a_run_that_can_go_on_is_resumed() -> None:
    bench, _ = story_bench()
    with pytest.raises(UserError, match="no run to resume"):
        await bench.runner.resume(bench.request(TEAM["a"], experts=TEAM), JobState("job"))
    await bench.run(TEAM["a"], experts=TEAM)
    job = fold(bench.events)
    with pytest.raises(UserError, match="has ended"):
        await bench.runner.resume(bench.request(TEAM["a"], experts=TEAM), job)
    with pytest.raises(UserError, match="expert key a does not match input expert key b"):
        await bench.runner.resume(bench.request(TEAM["b"], experts=TEAM), job)


def test_folding_many_events_of_one_run_copies_no_history() -> None:
    def event(number: int, kind: str, **payload: object) -> Event:
        return Event(kind, f"e{number}", number + 1, "job", "r", "a", 1, payload)  # type: ignore[arg-type]

    folding = JobFold()
    folding(event(0, "startRun", initialCheckpoint={"id": "c", "status": "init"}, inputMessages=[]))
    message = {"id": "m", "type": "userMessage", "contents": [{"type": "textPart", "text": "again"}]}
    for number in range(1, 3000, 3):
        folding(event(number, "startGeneration"))
        folding(event(number + 1, "retry", newMessages=[message], usage={}))
        folding(event(number + 2, "continueToNextStep", checkpoint={}, nextCheckpoint={}))
        if number == 1:
            shared = folding.state().runs["r"].history._shared
    history = folding.state().runs["r"].history
    assert len(history) == 1000
    assert history._shared is shared
