"""Strangers' and models' words in our texts: harmless, within limits, folds balanced."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perstack.core.signals import SignalStatus, TestDelta
from perstack.core.verdict import Reason, ReasonCode, Verdict
from perstack.forge.github_markers import DATA_LIMIT
from perstack.forge.limits import CHECK_TEXT_LIMIT, COMMENT_LIMIT, SUMMARY_LIMIT, fit, utf8_bytes, utf16_units
from perstack.interface.progress import JobView
from perstack.interface.render import facts, markdown
from tests.interface.render_pages import hostile_pages
from tests.interface.render_reading import HIDDEN, NOTIFIES, html, prose, tags
from tests.interface.render_stories import HOSTILE, event, hostile, outcome, report, signal, story

NASTY = hostile()
OUTPUT = markdown.check_output(NASTY)
TEXTS = {
    "comment": markdown.result_comment(NASTY),
    "job summary": markdown.summary(NASTY),
    "check summary": OUTPUT.summary,
    "check text": OUTPUT.text,
    "pull request": markdown.pull_request_body(NASTY, closes=0),
    "problem": markdown.problem("fix", HOSTILE * 400, HOSTILE * 400, run_url="https://x/)](http://e.vil)"),
    "short problem": markdown.problem("fix", HOSTILE.replace("\n", " "), HOSTILE),
    "refusal": markdown.refusal("fix", HOSTILE * 400),
    "help": markdown.help_text((HOSTILE,) * 400),
    "progress": markdown.progress_comment(
        "fix", HOSTILE, "a" * 40,
        JobView().apply(event("startStage", stage="build", round=1)).apply(event("progress", message=HOSTILE * 400))
        .apply(event("startSignal", name=HOSTILE, tree="base")),
    ),
} | hostile_pages()  # fmt: skip
text_of = pytest.mark.parametrize("name", TEXTS)


@text_of
def test_nothing_loads_runs_or_leads_elsewhere(name: str) -> None:
    seen = tags(TEXTS[name])
    assert not {"img", "script", "iframe", "style"} & set(seen.seen)
    assert [link for link in seen.links if "e.vil" in link and not link.startswith("https://x/")] == []
    assert "onerror" not in {part for tag in seen.seen for part in tag.split()}


@text_of
def test_nobody_is_mentioned_and_nothing_is_closed_or_referenced(name: str) -> None:
    assert NOTIFIES.findall(prose(TEXTS[name])) == []


@text_of
def test_folds_and_tags_are_balanced(name: str) -> None:
    assert tags(TEXTS[name]).wrong == []


@text_of
def test_no_escape_sequence_and_no_reordering_character_gets_through(name: str) -> None:
    assert not HIDDEN.search(TEXTS[name])


@text_of
def test_a_heading_of_a_stranger_is_none_outside_a_quotation(name: str) -> None:
    ours = re.sub(r"<blockquote>.*?</blockquote>", "", html(TEXTS[name]), flags=re.DOTALL)
    assert "<h1>" not in ours


@text_of
def test_a_text_fits_with_room_for_the_forges_own_marker(name: str) -> None:
    if name == "job summary":
        assert utf8_bytes(TEXTS[name]) <= SUMMARY_LIMIT - 100_000
    else:
        hidden = 0 if name.startswith("check") else DATA_LIMIT
        assert utf16_units(TEXTS[name]) <= min(COMMENT_LIMIT, CHECK_TEXT_LIMIT) - hidden - 2_000


def test_the_table_and_the_reasons_survive_when_there_is_too_much() -> None:
    text = TEXTS["comment"]
    assert "| 🔴 fail |" in text
    assert "Why this is not proved" in text
    assert "more |" in text, "what is left out is counted"
    assert OUTPUT.title
    assert utf16_units(OUTPUT.title) <= 255


def test_a_long_patch_is_cut_at_a_line_and_says_so() -> None:
    shown = facts.block("+line of a patch\n" * 200_000, "diff")
    assert len(shown) < facts.MAX_PATCH + 200
    assert "\n… cut here; 3,400,000 characters in all" in shown
    assert shown.endswith("```")


def test_a_name_of_ten_thousand_characters_takes_one_line_of_a_table() -> None:
    shown = facts.cell("tests/test_x.py::test_" + "x" * 10_000)
    assert len(shown) <= 125
    assert shown.endswith("…`")


def test_pipes_are_escaped_in_tables_and_as_written_elsewhere() -> None:
    assert facts.cell("test[a|b]") == "`test[a\\|b]`"
    assert facts.code("test[a|b]") == "`test[a|b]`"
    assert facts.code("test[a\\|b]") == "`test[a\\|b]`"


def test_what_people_do_not_see_is_written_out() -> None:
    assert facts.code("a\u202eb") == "`a<U+202E>b`"
    assert facts.visible("\x1b[31mred\x1b[0m \x1b]0;title\x07plain") == "red plain"


def test_annotations_hold_no_control_characters() -> None:
    assert OUTPUT.annotations
    for one in OUTPUT.annotations[:200]:
        assert not HIDDEN.search(one.message) or one.code == ReasonCode.REJECT_RULE.value


@pytest.mark.parametrize("name", ["#12", "gh-12", "x[fixes #1]", "https://github.com/a/b/issues/1", "@ada", "a\n\nb"])
def test_a_commit_message_closes_and_mentions_nothing(name: str) -> None:
    delta = TestDelta(fail_to_pass=(f"tests/t.py::{name}",))
    told = story(outcome=outcome(report=report(signals=(signal(tests=delta),))))
    message = markdown.commit_message(told, request_url="", digest="d" * 64)
    assert NOTIFIES.findall(message) == []
    assert "Fix https" not in message
    assert message.splitlines()[1] == ""
    assert sum(line.startswith("Perstack-") for line in message.splitlines()) == 2


@settings(max_examples=60, deadline=None)
@given(name=st.text(max_size=300), detail=st.text(max_size=300), said=st.text(max_size=600))
def test_whatever_is_written_stays_within_its_place(name: str, detail: str, said: str) -> None:
    delta = TestDelta(still_failing=(name,), pass_to_pass=1)
    nasty = report(
        Verdict.FAIL, Reason(ReasonCode.COMMAND_FAILED, detail, name), signals=(signal(SignalStatus.FAIL, tests=delta),)
    )
    text = markdown.result_comment(story(outcome=outcome(report=nasty, plan=said, remarks=(said,))))
    plain = markdown.result_comment(story(outcome=outcome(report=report(Verdict.FAIL), plan="x", remarks=("x",))))
    assert tags(text).wrong == []
    assert tags(text).seen.count("details") == tags(plain).seen.count("details")
    assert "img" not in tags(text).seen


@settings(max_examples=40, deadline=None)
@given(limit=st.integers(400, 60_000))
def test_folds_stay_balanced_wherever_a_text_is_cut(limit: int) -> None:
    cut = fit(TEXTS["check text"], limit)
    assert utf16_units(cut) <= limit
    assert tags(cut).wrong == []


def test_a_patch_is_read_with_the_lines_that_git_means_and_line_ends_that_change_are_seen() -> None:
    head = "diff --git a/a b/a\nindex 1..2 100644\n--- a/a\n+++ b/a\n@@ -1 +1 @@\n"
    shown = facts.visible(facts.readable_patch(f"{head}-x\n+x\u2028index 1\x0cindex 2\n"))
    assert shown == f"{head.replace('index 1..2 100644', '')}-x\n+x<U+2028>index 1<U+000C>index 2".replace("\n\n", "\n")
    assert "-x\n+x<U+000D>" in facts.visible(facts.readable_patch(f"{head}-x\n+x\r\n"))
    assert "-x\n+y" in facts.visible(facts.readable_patch(f"{head}-x\r\n+y\r\n"))
