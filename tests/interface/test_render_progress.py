"""The view of a running job: a fold over events that nothing can break, on terminals and where there is none."""

from __future__ import annotations

import io
import re
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from perstack.core.events import Event
from perstack.interface.progress import MAX_RUNS, MAX_SIGNALS, STAGES, JobView, StageState
from perstack.interface.render import stages
from perstack.interface.render.live import LiveView, waiting
from tests.interface.render_stories import event

EVENTS = st.one_of(
    st.builds(event, st.just("startStage"), stage=st.sampled_from(STAGES), round=st.integers(0, 9)),
    st.builds(event, st.just("finishStage"), stage=st.sampled_from(STAGES), seconds=st.floats(0, 9), ok=st.booleans()),
    st.builds(event, st.just("startSignal"), name=st.text(max_size=3), tree=st.sampled_from(["base", "candidate"])),
    st.builds(event, st.just("finishSignal"), name=st.text(max_size=3), tree=st.sampled_from(["base", "candidate"]),
              status=st.sampled_from(["pass", "fail", "flaky", "error"])),
    st.builds(event, st.just("progress"), message=st.text(max_size=40)),
    st.builds(event, st.just("callTools"), toolCalls=st.lists(st.just({"toolName": "exec"}), max_size=3)),
    st.builds(event, st.just("decideVerdict"), report=st.sampled_from([{"verdict": "pass"}, {"verdict": "fail"}])),
    st.builds(event, st.sampled_from(["computeCandidate", "measureBaseline", "finishJob", "startJob", "nobodyKnows"])),
)  # fmt: skip


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(st.lists(EVENTS, max_size=40))
def test_the_fold_of_stages_takes_any_events_and_stays_small(events: list[Event]) -> None:
    view = JobView()
    for one in events:
        before, view = view, view.apply(one)
        assert len(view.lines) - len(before.lines) == (one.type == "startStage")
        assert view.steps >= before.steps
        for line in view.lines:
            assert len(line.signals) <= MAX_SIGNALS
            assert all(runs.running >= 0 and len(runs.results) <= MAX_RUNS for runs in line.signals)
    assert len(view.lines) == sum(one.type == "startStage" for one in events)
    finished = [line for line in view.lines if line.state is not StageState.RUNNING]
    assert len(finished) <= sum(one.type == "finishStage" for one in events)
    assert len(stages.stage_table(view).splitlines()) <= stages.MAX_LINES + 3
    table = stages.signal_table(view).splitlines()
    assert len(table) <= stages.MAX_ROWS + 3
    assert all(row.count("|") == table[0].count("|") <= stages.MAX_COLUMNS + 3 for row in table)


@settings(max_examples=40, deadline=None)
@given(st.lists(EVENTS, max_size=30), st.sampled_from([30, 80, 120]))
def test_a_live_view_draws_any_events_no_wider_and_no_taller_than_the_terminal(events: list[Event], width: int) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=width, height=12, color_system=None)
    view = LiveView(console)
    for one in events:
        view._view = view._view.apply(one)
    rows = console.render_lines(view._render(), pad=False)
    assert len(rows) <= 12
    assert all(sum(segment.cell_length for segment in row) <= width for row in rows)


JOB = (
    event("startStage", stage="prepare", round=0),
    event("progress", message="sandbox docker cannot be used: no engine"),
    event("progress", message="sandbox: bubblewrap"),
    event("finishStage", stage="prepare", round=0, seconds=0.4, ok=True),
    event("startStage", stage="baseline", round=0),
    event("startSignal", name="tests", tree="base", run=1),
    event("finishSignal", name="tests", tree="base", run=1, status="fail"),
    event("startSignal", name="tests", tree="base", run=2),
    event("finishSignal", name="tests", tree="base", run=2, status="fail"),
    event("finishStage", stage="baseline", round=0, seconds=9.0, ok=True),
    event("startStage", stage="build", round=1, rounds=3),
    event("callTools", expert="@fix/build", toolCalls=[{"toolName": "exec"}], usage={"totalTokens": 10}),
    event("computeCandidate", files=["a.py"], insertions=2, deletions=1),
    event("finishStage", stage="build", round=1, seconds=3.0, ok=True),
    event("startStage", stage="verify", round=1),
    event("decideVerdict", report={"verdict": "fail"}),
    event("finishStage", stage="verify", round=1, seconds=3.0, ok=True),
)


def told(**console: Any) -> str:
    out = io.StringIO()
    with LiveView(Console(file=out, **console)) as view:
        for one in JOB:
            view(one)
    return out.getvalue()


def test_without_a_terminal_each_stage_is_told_once_with_its_note() -> None:
    assert told(force_terminal=False, width=40).splitlines() == [
        "  sandbox docker cannot be used: no engine",
        "✔ prepare the sandbox · sandbox: bubblewrap 0.4 s",
        "✔ measure the base commit · tests base fail, fail 9.0 s",
        "✔ build, round 1 of 3 · 1 file, +2 −1 3.0 s",
        "✖ verify in fresh sandboxes, round 1 of 3 · fail 3.0 s",
    ]


def test_without_a_terminal_a_long_stage_is_told_after_a_second_and_then_every_ten() -> None:
    out = io.StringIO()
    view = LiveView(Console(file=out, force_terminal=False))
    begun = time.monotonic()
    for seconds in (0.5, 2, 3, 13):
        view.beat(begun + seconds)
    for one in JOB[:1]:
        view(one)
    view.beat(time.monotonic())  # at work for less than a second
    for one in JOB[1:12]:
        view(one)
    begun = time.monotonic()
    for seconds in range(2, 33):
        view.beat(begun + seconds)
    for one in JOB[12:]:
        view(one)
    view.beat(begun + 99)  # nothing is at work
    assert [line for line in out.getvalue().splitlines() if line.startswith("…")] == [
        "… read the repository",
        "… read the repository 13 s",
        "… build, round 1 of 3 · 1 step, 10 tokens · @fix/build: exec",
        "… build, round 1 of 3 · 1 step, 10 tokens · @fix/build: exec 12 s",
        "… build, round 1 of 3 · 1 step, 10 tokens · @fix/build: exec 22 s",
        "… build, round 1 of 3 · 1 step, 10 tokens · @fix/build: exec 32 s",
    ]


def test_a_dumb_terminal_gets_plain_lines() -> None:
    plain = told(force_terminal=True, _environ={"TERM": "dumb"})
    assert "\x1b[" not in plain
    assert "✔ measure the base commit" in plain


def test_on_a_runner_nothing_is_drawn_before_a_workflow_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    out = io.StringIO()
    console = Console(file=out, force_terminal=True)
    with waiting(console, "look at the machine"), LiveView(console):
        out.write("::error::no\n")
    assert out.getvalue().startswith("::error::no\n")


def test_a_terminal_without_colour_gets_words_instead_of_coloured_dots() -> None:
    plain = told(force_terminal=True, width=100, no_color=True)
    assert "tests base fail, fail" in plain
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", plain)
    colours = told(force_terminal=True, width=100, color_system="truecolor")
    assert "tests base ●●" in re.sub(r"\x1b\[[0-9;]*m", "", colours)


@pytest.mark.parametrize("verdict", ["fail", "inconclusive", "needs-test-change", "error"])
def test_a_verify_stage_that_does_not_pass_is_no_success(verdict: str) -> None:
    view = JobView()
    for one in (
        event("startStage", stage="verify", round=1),
        event("decideVerdict", report={"verdict": verdict}),
        event("finishStage", stage="verify", round=1, ok=True),
    ):
        view = view.apply(one)
    assert view.lines[0].state is StageState.FAILED
    assert f"| ✖️ | verify in fresh sandboxes, round 1 |  | {verdict} |" in stages.stage_table(view)
