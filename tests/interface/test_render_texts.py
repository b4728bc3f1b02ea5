"""What a text says and where: headline, one table, why not, what next, folds; every way in which a job can end."""

from __future__ import annotations

import re

import pytest

from perstack.core.outcome import Ending
from perstack.core.verdict import ReasonCode, Verdict
from perstack.interface.render import markdown, sentences
from tests.interface.render_reading import folds, prose, tables
from tests.interface.render_stories import BASE, CHANGE, COMMIT, EVEN, ODD, red_report, stories, story, unproved, view

STORIES = stories()


@pytest.mark.parametrize("name", STORIES)
def test_a_comment_starts_with_what_happened_and_shows_one_table_outside_the_folds(name: str) -> None:
    text = markdown.result_comment(STORIES[name])
    first, where, *_ = text.split("\n\n")
    assert re.fullmatch(r"### \S+ [A-Z].+", first)
    assert BASE[:12] in where
    assert tables(text.split("<details>")[0]) == (1 if STORIES[name].judged else 0)
    assert text.count("only signals decide") == 1


@pytest.mark.parametrize("name", [n for n, one in STORIES.items() if one.verdict is not Verdict.PASS])
def test_whoever_gets_no_proof_is_told_why_and_what_to_do(name: str) -> None:
    text = markdown.result_comment(STORIES[name]).split("<details>")[0]
    assert "**Next:** " in text
    assert "**Nothing was pushed:**" in text or "**Why this is not proved**" in text or name == "nothing-to-fix"


def test_every_reason_has_one_plain_sentence() -> None:
    assert set(sentences.WHY) == set(ReasonCode)
    for code, sentence in sentences.WHY.items():
        assert sentence[0].isupper(), code
        assert not sentence.endswith("."), code
        assert 20 <= len(sentence) <= 120, code
        assert code.value not in sentence
    assert len(set(sentences.WHY.values())) == len(ReasonCode)


def test_every_ending_and_every_verdict_has_its_words() -> None:
    assert set(sentences.ENDING) == set(sentences.ENDING_MARK) == set(sentences.AFTER_ENDING) == set(Ending)
    assert set(sentences.VERIFIED) == set(sentences.VERDICT_MARK) == set(sentences.AFTER_VERDICT) == set(Verdict)


def test_only_a_proof_satisfies_a_required_check() -> None:
    for name, one in STORIES.items():
        conclusion = markdown.conclusion(one)
        assert conclusion in {"success", "failure", "action_required"}
        assert (conclusion == "success") == (one.verdict is Verdict.PASS), name


def test_the_table_shows_every_colour_a_test_can_take_worst_first() -> None:
    text = markdown.result_comment(unproved())
    rows = re.findall(r"^\| `tests/(?:.*?)` \| (\S+) \| (\S+) \| (.+?) \|$", text, re.MULTILINE)
    assert [word for _, _, word in rows] == ["broken", "gone", "still red", "flaky", "fixed"]
    assert rows[0][:2] == ("🟢", "🔴")
    assert rows[-1][:2] == ("🔴", "🟢")
    assert "`lint` (does not gate)" in text


def test_reasons_are_grouped_counted_and_not_repeated_test_by_test() -> None:
    text = markdown.result_comment(unproved())
    assert text.count(EVEN) == 2, "once in the table, once with what it says"
    assert sentences.WHY[ReasonCode.PROTECTED_PATH] in text
    assert "conftest.py: the tests' configuration was changed" in text
    assert "noqa" in text.partition("Worth a look in the change")[2], "what does not block is no reason"


def test_an_unproved_change_is_never_mistaken_for_a_proved_one() -> None:
    assert folds(markdown.result_comment(unproved()))[0].startswith("Best attempt, <b>unverified</b>")
    assert folds(markdown.result_comment(story()))[0] == "The change (1 file, +1 −1)"


def test_what_experts_say_is_last_and_marked_as_soft() -> None:
    for name, one in STORIES.items():
        text = markdown.result_comment(one)
        if one.outcome and (one.outcome.plan or one.outcome.remarks):
            assert folds(text)[-1] == "What the experts said <i>(soft: no part of the verdict)</i>", name
            assert one.outcome.plan.splitlines()[0] not in text.partition("What the experts said")[0]


def test_a_fix_that_may_not_be_pushed_says_how_to_use_it() -> None:
    text = markdown.result_comment(STORIES["fixed-not-pushed"])
    assert "Not pushed: the pull request comes from a fork" in text
    assert "git apply fix.diff" in text


def test_the_red_head_points_to_the_green_commit_and_keeps_its_annotations() -> None:
    red, green = markdown.head_output(story()), markdown.check_output(story())
    assert red.title == f"Red here, fixed by {COMMIT[:12]}"
    assert [a.path for a in red.annotations] == ["tests/test_stats.py"]
    assert green.annotations == ()
    assert "| 🔴 | 🟢 |" in red.summary
    assert "still red" not in green.title + green.summary
    assert green.title == "Fixed, and proved: 1 red → green, 167 stayed green"


def test_annotations_put_failing_tests_before_findings() -> None:
    paths = [a.path for a in markdown.places_of(red_report(), None)]
    assert paths == ["tests/test_stats.py", "conftest.py", "stats.py"]


def test_a_pull_request_closes_its_issue_shows_the_proof_and_not_the_change_again() -> None:
    text = markdown.pull_request_body(story(), closes=12)
    assert text.startswith("Fixes #12.")
    assert ODD in text
    assert "ordered[middle]" not in text
    assert "wait here for an approval" in text
    assert not markdown.pull_request_body(story(), closes=0).startswith("Fixes")


def test_a_commit_message_names_the_tests_and_the_proof() -> None:
    message = markdown.commit_message(story(), request_url="https://github.com/a/b/issues/1", digest=CHANGE.digest)
    subject, blank, *rest = message.splitlines()
    assert subject == "Fix test_median_of_an_even_list"
    assert not blank
    assert f"- {ODD}" in rest
    assert "167 other tests stayed green." in rest
    assert rest[-3:] == [
        "Perstack-Request: https://github.com/a/b/issues/1",
        f"Perstack-Base: {BASE}",
        f"Perstack-Candidate: sha256:{CHANGE.digest}",
    ]


def test_a_job_without_a_result_says_why_and_what_to_do() -> None:
    one = markdown.problem("fix", "the pull request moved", "ask again at the new head", run_url="https://x/1")
    assert "**Why:** the pull request moved" in one
    assert "**Next:** ask again at the new head" in one
    assert "[job log](https://x/1)" in one
    many = markdown.problem("fix", "a.toml:1: x\na.toml:2: y", "")
    assert "```text\na.toml:1: x\na.toml:2: y\n```" in many


def test_progress_tells_stages_rounds_and_signals() -> None:
    text = markdown.progress_comment("fix", "ada", BASE, view())
    assert "build, round 2 of 3" in text
    assert "| ✖️ | verify in fresh sandboxes, round 1 of 3 | 12.0 s | fail |" in text
    assert "| signal | base commit | round 1 |" in text
    assert "| `tests` | 🔴 | 🔴 |" in text
    assert "| `lint` | 🟢 |  |" in text
    assert "2 steps, 9,200 tokens so far" in text
    assert markdown.progress_check("fix", view()).title == "fix: build, round 2 of 3"


def test_help_shows_commands_and_mistakes() -> None:
    text = markdown.help_text(("line 1, column 11: `fxi` is not a command",))
    assert "line 1, column 11" in text
    for command in ("fix", "verify", "help"):
        assert f"`/perstack {command}" in text


def test_numbers_are_readable() -> None:
    assert "11,000 tokens in, 1,345 out" in prose(markdown.result_comment(story()))
