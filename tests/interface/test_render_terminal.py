"""Results on the terminal: complete, no wider than the window, plain in a pipe, unmoved by hostile text."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from rich.console import Console, RenderableType

from perstack.core.outcome import Ending
from perstack.core.verdict import Report, Verdict
from perstack.interface.render import comment_panel, markdown, sentences, terminal
from tests.interface.render_stories import CHANGE, ODD, hostile, outcome, red_report, report, stories, story, unproved

ESCAPE = re.compile(r"\x1b")


def printed(what: RenderableType, width: int = 80, **console: Any) -> str:
    out = io.StringIO()
    Console(file=out, width=width, **console).print(what)
    return out.getvalue()


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("name", stories())
def test_nothing_is_wider_than_the_window(name: str, width: int) -> None:
    one = stories()[name]
    parts = [comment_panel.markdown_panel("the comment", markdown.result_comment(one), one.judged)]
    parts += [terminal.outcome_report(one.outcome)] if one.outcome else []
    for part in parts:
        lines = printed(part, width).splitlines()
        assert max((len(line) for line in lines), default=0) <= width


def test_the_end_of_a_proved_fix_shows_table_change_cost_and_verdict() -> None:
    text = printed(terminal.outcome_report(outcome(cost_usd=0.0312)), 120)
    assert ODD in text
    assert "● red" in text
    assert "● green" in text
    assert "the change (1 file, +1 −1)" in text
    assert "1 round, 8 steps, 11,000 tokens in, 1,345 out, $0.0312, 51 s" in text
    assert text.rstrip().endswith("verdict: pass · Fixed, and proved")


def test_the_end_of_an_unproved_fix_says_unverified_why_and_what_next() -> None:
    ended = unproved().outcome
    assert ended is not None
    text = printed(terminal.outcome_report(ended), 120)
    assert "best attempt, UNVERIFIED" in text
    assert "out, cost unknown, " in text
    for reason in {one.code for one in red_report().reasons}:
        assert sentences.WHY[reason] in text
    assert "why: no proved fix in 3 rounds" in text
    assert "next: say more about the cause in /perstack fix" in text


def test_a_comment_on_the_terminal_has_its_folds_closed_and_its_table_once() -> None:
    text = printed(comment_panel.markdown_panel("it", markdown.result_comment(story()), report()), 100)
    assert "▸ The change (1 file, +1 −1)" in text
    assert "diff --git" not in text
    assert text.count(ODD) == 1
    assert "https://" not in text
    assert "<" not in text


def test_a_narrow_window_folds_names_and_loses_none() -> None:
    lines = [line for line in printed(terminal.report_table(report()), 60).splitlines() if line.strip()]
    first_column = [line[: lines[0].index("before")] for line in lines]
    assert ODD in "".join("".join(first_column).split())


def test_a_pipe_and_no_color_get_no_escape_sequences() -> None:
    assert not ESCAPE.search(printed(terminal.outcome_report(outcome())))
    shown = printed(terminal.outcome_report(outcome()), force_terminal=True, no_color=True)
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", shown)


@pytest.mark.slow
def test_hostile_text_steers_no_terminal() -> None:
    nasty = hostile().outcome
    assert nasty is not None
    assert nasty.report is not None
    text = printed(terminal.outcome_report(nasty), 100)
    text += printed(comment_panel.markdown_panel("x", markdown.result_comment(hostile()), nasty.report), 100)
    assert not re.search("[\x1b\x07\x08\u202e]", text)
    assert len(text) < 300_000


@pytest.mark.parametrize("verdict", Verdict)
def test_every_verdict_ends_with_one_line(verdict: Verdict) -> None:
    assert printed(terminal.verdict_line(verdict)).startswith(f"verdict: {verdict.value} · ")


@pytest.mark.parametrize("ending", Ending)
def test_every_ending_can_be_shown_without_a_report(ending: Ending) -> None:
    text = printed(terminal.outcome_report(outcome(ending, report=None, candidate=None)), 120)
    assert sentences.ENDING[ending] in text


def test_a_check_is_shown_with_its_conclusion_and_states() -> None:
    history = [{"status": status} for status in ("in_progress", "in_progress", "completed")]
    check = {"conclusion": "failure", "status": "completed", "title": "Red \x1b[2Jhere", "name": "perstack",
             "head_sha": "a" * 40, "annotations": [{}], "history": history}  # fmt: skip
    text = printed(terminal.check_panel(check, "checks/1.md"))
    assert "✖ failure  Red here" in text
    assert "in_progress → completed, 1 annotation" in text
    assert "\x1b" not in text


def test_an_empty_report_is_shown_as_nothing() -> None:
    assert not printed(terminal.report_table(Report(Verdict.PASS, (), ()))).strip()
    assert CHANGE.patch.count("\n") < printed(terminal.patch_panel(CHANGE, proved=True)).count("\n") + 2
