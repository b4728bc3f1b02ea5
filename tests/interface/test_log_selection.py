"""Which events `perstack log` chooses, and the tree it makes of runs: parallel, interleaved, continued, branched."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest

from perstack.core.errors import UserError
from perstack.core.events import Event
from perstack.interface.history.choice import Wish, events_of_run, events_until
from perstack.interface.history.lines import targets_of
from perstack.interface.history.report import summary_of
from perstack.interface.history.runs import runs_of
from perstack.interface.history.selection import Selection, select
from perstack.interface.options import event_types
from tests.interface.log_stories import told

pytestmark = pytest.mark.anyio


def numbered(count: int) -> list[Event]:
    kinds = ("callTools", "retry", "resolveToolResults")
    return [Event(kinds[n % 3], f"e{n}", n + 1, "job", "r1", "app", n + 1) for n in range(count)]


def ids(events: Sequence[Event]) -> list[str]:
    return [event.id for event in events]


def wished(**fields: Any) -> Selection:
    return Wish(**fields).selection()


async def test_filters_come_first_then_offset_then_take_then_context() -> None:
    events = numbered(30)
    page = select(events, wished(errors=True, step=">5", offset="1", take="2", context="1"))
    assert ids(page.matched) == ["e7", "e10", "e13", "e16", "e19", "e22", "e25", "e28"]
    assert ids(page.events) == ["e9", "e10", "e11", "e12", "e13", "e14"]
    assert (page.on_page, page.around, page.is_part) == (2, 4, True)


async def test_a_hundred_are_taken_unless_asked_otherwise() -> None:
    events = numbered(250)
    assert len(select(events, wished()).events) == 100
    assert len(select(events, wished(take="0")).events) == 250
    assert select(events, wished(take="0", offset="300")).events == ()


async def test_filters_all_have_to_hold() -> None:
    events = numbered(12)
    assert ids(select(events, wished(types=event_types(["retry,callTools"]), step="<=3")).events) == ["e0", "e1"]
    assert ids(select(events, wished(types=event_types(["retry", "callTools"]), step="<=3")).events) == ["e0", "e1"]
    assert select(events, wished(errors=True, tools=True)).events == ()
    both = wished(filters=[".stepNumber > 4", ".type == retry"])
    assert ids(select(events, both).events) == ["e4", "e7", "e10"]


async def test_events_of_the_machinery_are_shown_to_who_asks() -> None:
    events = [Event("skillConnected", "e0", 1, "job", "r1", payload={"skillName": "s"}), *numbered(1)]
    assert ids(select(events, wished()).events) == ["e0"]  # of `numbered`: the other one is quiet
    assert select(events, wished()).events[0].type == "callTools"
    assert len(select(events, wished(verbose=True)).events) == 2
    assert [e.type for e in select(events, wished(types=frozenset({"skillConnected"}))).events] == ["skillConnected"]


async def test_a_wrong_expression_is_told_before_anything_is_read() -> None:
    for fields in ({"step": "x"}, {"filters": ["x"]}, {"take": "x"}, {"context": "-1"}):
        with pytest.raises(UserError, match="Invalid"):
            wished(**fields)


async def test_a_summary_counts_calls_of_tools_apart_from_delegations() -> None:
    events = await told()
    found = summary_of(events, targets_of(events))
    assert (found.events, found.errors, found.tool_calls, found.delegations) == (len(events), 2, 3, 4)
    assert found.to_json()["stepRange"] == {"min": 1, "max": 9}
    assert "stepRange" not in summary_of((), {}).to_json()


async def test_the_tree_does_not_depend_on_how_parallel_events_are_interleaved() -> None:
    events = [event for event in await told() if event.expert_key]
    begin = next(n for n, event in enumerate(events) if event.type == "stopRunByDelegate") + 1
    end = next(n for n, event in enumerate(events) if n > begin and event.expert_key == "app")
    expected = [run.to_json() for run in runs_of(events).all]
    checks = dict.fromkeys(event.run_id for event in events[begin:end] if event.expert_key == "@app/check")
    shuffle = random.Random(7)
    orders: set[tuple[str, ...]] = set()
    for _ in range(20):
        lanes = [
            [event for event in events[begin:end] if event.expert_key.startswith("@app/plan")],
            *([event for event in events[begin:end] if event.run_id == run] for run in checks),
        ]
        mixed: list[Event] = []
        while any(lanes):
            mixed.append(shuffle.choice([lane for lane in lanes if lane]).pop(0))
        orders.add(tuple(ids(mixed)))
        found = [run.to_json() for run in runs_of([*events[:begin], *mixed, *events[end:]]).all]
        assert sorted(found, key=str) == sorted(expected, key=str)
    assert len(orders) > 10


async def test_a_run_is_found_by_any_of_its_ids_and_by_their_beginning() -> None:
    events = await told()
    runs = runs_of(events)
    app = runs.all[0]
    assert len(app.segments) == 2
    whole = events_of_run(events, runs, app.id)
    assert {event.run_id for event in whole} == set(app.segments)
    assert {event.run_id for event in events_of_run(events, runs, app.segments[1])} == {app.segments[1]}
    assert events_of_run(events, runs, "nope") == ()
    with pytest.raises(UserError, match="not unique"):
        events_of_run(events, runs, "e")


async def test_a_checkpoint_shows_what_led_to_it() -> None:
    events = await told()
    runs = runs_of(events)
    stop = next(event for event in events if event.type == "stopRunByDelegate")
    checkpoint: Any = stop.payload["checkpoint"]
    led = [event for event in events_until(events, checkpoint, runs) if event.expert_key]
    assert led[0].type == "startRun"
    assert led[-1] is stop
    assert {event.expert_key for event in led} == {"app"}


async def test_a_job_of_the_public_harness_has_its_tree_too() -> None:
    """There a segment that goes on names no earlier one: the expert and the status tell."""

    def start(run: str, expert: str, status: str, at: int, **more: Any) -> Event:
        return Event("startRun", f"s{at}", at, "j", run, expert, at, {"initialCheckpoint": {"status": status, **more}})

    def stop(kind: str, run: str, expert: str, status: str, at: int) -> Event:
        return Event(kind, f"s{at}", at, "j", run, expert, at, {"checkpoint": {"status": status}})

    events = [
        start("r1", "app", "init", 1),
        stop("stopRunByDelegate", "r1", "app", "stoppedByDelegate", 2),
        start("r2", "@app/x", "init", 3, delegatedBy={"runId": "r1"}),
        stop("completeRun", "r2", "@app/x", "completed", 4),
        start("r3", "app", "stoppedByDelegate", 5),
        stop("completeRun", "r3", "app", "completed", 6),
    ]
    runs = runs_of(events)
    assert [(run.expert, run.segments, run.status) for run in runs.all] == [
        ("app", ["r1", "r3"], "completed"),
        ("@app/x", ["r2"], "completed"),
    ]
    assert runs.all[1].parent is runs.all[0]


async def test_a_run_without_an_end_is_running_or_was_interrupted() -> None:
    events = [event for event in await told() if event.run_id == "e1"][:5]
    assert runs_of(events).all[0].status == "running"
    assert runs_of(events, is_over=True).all[0].status == "interrupted"


async def test_a_type_that_no_event_has_is_warned_about(capsys: pytest.CaptureFixture[str]) -> None:
    assert event_types(["callTool, retry", ""]) == {"callTool", "retry"}
    assert "no event has the type `callTool`; there is `callTools`" in capsys.readouterr().err
