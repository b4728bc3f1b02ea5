"""Entries, numbers and lines of `perstack start`, from events alone: no terminal, no job."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from rich.segment import Segment
from textual.app import App
from textual.color import Color

from perstack.core.errors import UserError
from perstack.core.events import Event
from perstack.core.json import Json
from perstack.interface.start import home
from perstack.interface.start.activity import GONE, MAX_ENTRIES, MAX_TEXT, Activity
from perstack.interface.start.board import Board, lamps, side_lines
from perstack.interface.start.rows import height_of, lines_of
from perstack.interface.start.session import FIX
from perstack.interface.start.terminal import AsciiFilter, is_ascii_only, is_light, require_terminal
from perstack.interface.start.text import cleaned, flat, folded

HOSTILE = "\x1b]0;pwned\x07\x1b[2J\x1b[31m[red]x[/red] [@click=app.quit]go[/] \u202egpj.exe \u200b\x9b1A\x08 \ud800"


def event(kind: str, number: int = 0, **payload: Json) -> Event:
    return Event(kind, f"e{number}", 1000 + number, "job", "run", "app", number or 1, payload)


def called(number: int, tool: str, result: str = "") -> list[Event]:
    call: dict[str, Json] = {"id": f"c{number}", "skillName": "s", "toolName": tool, "args": {"path": result or tool}}
    answer: dict[str, Json] = {"id": f"c{number}", "toolName": tool, "result": [{"type": "textPart", "text": result}]}
    return [
        event("callTools", number, toolCalls=[call], newMessage={}, usage={"inputTokens": 10, "outputTokens": 1}),
        event("resolveToolResults", number, toolResults=[answer]),
    ]


def test_nothing_that_a_model_or_tool_says_is_a_control_sequence_or_markup() -> None:
    activity, board = Activity(), Board()
    for one in (
        event("startRun", inputMessages=[{"type": "userMessage", "contents": [{"type": "textPart", "text": HOSTILE}]}]),
        event("completeStreamingReasoning", text=HOSTILE),
        *called(2, HOSTILE, HOSTILE),
        event("startSignal", 3, name=HOSTILE, tree=HOSTILE),
        event("computeCandidate", 3, files=[HOSTILE], patch=HOSTILE),
        event("stopRunByError", 4, error={"message": HOSTILE}),
        event("progress", 4, message=HOSTILE),
        event("completeRun", 5, text=HOSTILE),
    ):
        activity.add(one)
        board.add(one)
    shown = [line for entry in activity.entries for line in lines_of(entry, 90)]
    for entry in activity.entries:
        entry.opened = not entry.opened
        shown += lines_of(entry, 90)
    shown += side_lines(board, activity.runs, 30)
    text = "\n".join(line.plain for line in shown)
    assert not [char for char in text if char != "\n" and not char.isprintable()]
    assert "[@click=app.quit]" in text, "markup is shown as it is"
    assert not [span for line in shown for span in line.spans if "click" in str(span.style)]


def test_a_call_turns_from_running_to_what_its_result_says() -> None:
    activity = Activity()
    begin, end = called(1, "exec", "Error: no such file")
    activity.add(begin)
    (entry,) = activity.entries
    assert entry.state == "running"
    activity.add(end)
    assert entry.state == "failed"
    assert "no such file" in lines_of(entry, 60)[1].plain


def test_signals_turn_red_and_green_on_the_board() -> None:
    board, activity = Board(), Activity()
    for tree, status in (("base", "fail"), ("candidate", "pass"), ("base with 1 broken sources", "fail")):
        for one in (
            event("startSignal", name="tests", tree=tree),
            event("finishSignal", name="tests", tree=tree, status=status),
        ):
            board.add(one)
            activity.add(one)
    assert [entry.state for entry in activity.entries] == ["failed", "ok", "plain"], "in a trial, red is right"
    text = "\n".join(line.plain for line in side_lines(board, [], 30))
    assert "● fail → ● pass tests" in text


def test_a_narrow_window_shows_the_red_signals_first_and_what_they_were() -> None:
    board = Board()
    for name, base, candidate in (("lint", "pass", "pass"), ("tests", "fail", "pass"), ("types", "pass", "fail")):
        board.add(event("finishSignal", name=name, tree="base", status=base))
        board.add(event("finishSignal", name=name, tree="candidate", status=candidate))
    line = lamps(board, 90)
    assert line.plain == "  ● fail types (was pass)  ● pass tests (was fail)  ● pass lint"
    assert {str(span.style) for span in line.spans} >= {"green", "red"}
    assert lamps(board, 40).plain == "  ● fail types (was pass) …"


@pytest.mark.slow
@pytest.mark.anyio
@pytest.mark.parametrize(("size", "shown"), [((40, 15), (True, False)), ((80, 24), (True, True))])
async def test_a_window_of_any_size_has_room_for_the_list_of_experts(
    size: tuple[int, int], shown: tuple[bool, bool]
) -> None:
    class Shown(App[None]):
        CSS_PATH = Path(home.__file__).with_name("start.tcss")

        def on_mount(self) -> None:
            self.push_screen(home.HomeScreen({FIX: None}, "", "/work", []))

    async with Shown().run_test(size=size) as pilot:
        await pilot.pause()
        screen = pilot.app.screen
        widths = [screen.query_one(place).region.width for place in ("#experts", "#about")]
        assert (widths[0] >= 24, widths[1] >= 24) == shown, widths
        assert sum(widths) <= size[0]


def test_what_the_harness_asks_an_expert_is_closed_and_what_a_remark_repeats_is_said_once() -> None:
    activity = Activity()
    asked: Json = [{"type": "userMessage", "contents": [{"type": "textPart", "text": "a long prompt\n" * 50}]}]
    activity.add(event("startStage", stage="plan", round=1))
    activity.add(event("startRun", inputMessages=asked))
    activity.add(event("completeRun", 2, text="It is fine."))
    activity.add(event("remark", 2, message="It is fine."))
    activity.add(event("remark", 2, message="Another."))
    assert [entry.kind for entry in activity.entries] == ["stage", "prompt", "result", "note"]
    prompt = activity.entries[1]
    assert not prompt.opened
    assert [line.plain.strip() for line in lines_of(prompt, 60)] == ["❯ what app is asked"]


def test_lines_are_counted_as_they_are_drawn_at_every_width() -> None:
    activity = Activity()
    for number in range(1, 30):
        for one in called(number, "read", "word " * number * 3 + "漢字" * number):
            activity.add(one)
    activity.add(event("completeRun", 40, text="a long text\n" * 20))
    activity.add(event("completeStreamingReasoning", 41, text="words and words " * 30 + "\n" * 500))
    activity.add(event("stopRunByError", 42, error={"message": "\n漢字 and more, " * 40}))
    activity.add(event("computeCandidate", 43, files=["a"], patch="+x\n-y\n"))
    for width in (20, 60, 200):
        for entry in activity.entries:
            for opened in (False, True):
                entry.opened = opened
                lines = lines_of(entry, width)
                assert len(lines) == height_of(entry, width)
                assert max(line.cell_len for line in lines) <= width


@pytest.mark.slow
def test_memory_is_bounded_and_says_what_went() -> None:
    activity = Activity()
    for number in range(MAX_ENTRIES + 3000):
        activity.add(event("progress", number, message=f"note {number}"))
    assert MAX_ENTRIES <= len(activity.entries) <= MAX_ENTRIES + 1000
    assert activity.dropped + len(activity.entries) == MAX_ENTRIES + 3000
    full = Activity()
    for number in range(1, 2 * MAX_TEXT // 16_000):
        full.add(event("completeRun", number, text="x" * 16_000))
    assert sum(len(entry.detail) for entry in full.entries) <= MAX_TEXT + 16_000
    assert full.entries[0].detail == GONE


def test_text_is_cut_cleaned_and_folded_by_cells() -> None:
    assert flat("a\n\tb\x1b[31mc\x07") == "a bc<U+0007>"
    assert cleaned("x" * 50, 10).startswith("xxxxxxxxxx\n… 40 more")
    assert folded("漢字漢字漢字", 8) == ("漢字漢字", "漢字")
    assert folded("one two three", 8) == ("one two", "three")


def test_a_terminal_is_asked_for_what_it_can_do() -> None:
    require_terminal({"TERM": "xterm"}, is_terminal=True)
    for env, is_terminal in (({"TERM": "dumb"}, True), ({}, True), ({"TERM": "xterm"}, False)):
        with pytest.raises(UserError) as caught:
            require_terminal(env, is_terminal=is_terminal)
        assert "perstack run" in caught.value.hint
    with pytest.raises(UserError, match="40 columns and 10 lines"):
        require_terminal({"TERM": "xterm"}, is_terminal=True, is_tall=False)
    assert is_ascii_only({"LC_ALL": "C"}, "utf-8")
    assert is_ascii_only({}, "latin-1")
    assert not is_ascii_only({"LANG": "de_DE.UTF-8"}, "utf-8")
    assert is_light({"COLORFGBG": "0;15"})
    assert not is_light({})


@pytest.mark.slow
@pytest.mark.nightly
def test_ten_thousand_entries_are_laid_out_fast() -> None:
    activity = Activity()
    events = [one for number in range(1, 10_001) for one in called(number, "readTextFile", f"file {number}")]
    began = time.process_time()
    for one in events:
        activity.add(one)
    heights = sum(height_of(entry, 100) for entry in activity.entries)
    assert time.process_time() - began < 3.0
    assert heights == 10_000
    for entry in activity.entries:
        entry.opened, entry.detail = True, "a line of words\n" * 200
    began = time.process_time()
    assert sum(height_of(entry, 100) for entry in activity.entries) == 10_000 * 201
    assert time.process_time() - began < 3.0


def test_the_ascii_filter_keeps_every_cell() -> None:

    (shown,) = AsciiFilter().apply([Segment("✓ 漢 → ok")], Color(0, 0, 0))
    assert shown.text == "+ ?? > ok"
