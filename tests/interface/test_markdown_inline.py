"""Remarks and suggestions at lines: only lines of the diff, exact, bounded, nothing lost, no way out of a fence."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perstack.core.signals import Diagnostic
from perstack.forge.contract import ReviewComment
from perstack.interface.render import markdown
from tests.interface.render_pages import FINDINGS, PULL_DIFF, inline
from tests.interface.render_reading import PARSER
from tests.interface.render_stories import PATCH

LINES = st.lists(st.sampled_from(["a", "b", "    c = 1", "```", "````suggestion", "~~~", "</details>", "@ada", "x|y"]),
                 max_size=24)  # fmt: skip


NEW_FILE = "diff --git a/n.py b/n.py\nnew file mode 100644\n--- /dev/null\n+++ b/n.py\n@@ -0,0 +1 @@\n+x\n"
DELETED = "diff --git a/a.py b/a.py\ndeleted file mode 100644\n--- a/a.py\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n"
REMARKS = st.builds(
    Diagnostic, st.sampled_from(["stats.py", "b.py"]), st.integers(0, 20),
    st.sampled_from(["error", "warning", "note"]), st.text(max_size=40),
)  # fmt: skip


def diff_of(old: Sequence[str], new: Sequence[str], path: str = "a.py") -> str:
    lines = difflib.unified_diff([f"{x}\n" for x in old], [f"{x}\n" for x in new], f"a/{path}", f"b/{path}")
    return "".join((f"diff --git a/{path} b/{path}\n", *lines))


def replaced(comment: ReviewComment) -> list[str]:
    """What the forge takes from a suggestion: the lines between its fences."""
    blocks = [token for token in PARSER.parse(comment.body) if token.type == "fence" and token.info == "suggestion"]
    assert len(blocks) == 1
    return blocks[0].content.split("\n")[:-1]


def applied(lines: Sequence[str], comments: Sequence[ReviewComment]) -> list[str]:
    """All suggestions of one file put in, as a batch."""
    result = list(lines)
    for one in sorted(comments, key=lambda comment: -comment.line):
        result[(one.start or one.line) - 1 : one.line] = replaced(one)
    return result


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(base=LINES, head=LINES, fixed=LINES)
def test_suggestions_are_at_lines_of_the_diff_and_together_give_exactly_the_candidate(
    base: list[str], head: list[str], fixed: list[str]
) -> None:
    found = markdown.inline_review(diff_of(base, head), (), diff_of(head, fixed) if head != fixed else "")
    shown = [range(int(m[1]), int(m[1]) + int(m[2] or 1)) for m in
             re.finditer(r"^@@ .*? \+(\d+)(?:,(\d+))? @@", diff_of(base, head), re.MULTILINE)]  # fmt: skip
    for one in found.comments:
        assert any((one.start or one.line) in hunk and one.line in hunk for hunk in shown)
        assert 0 <= one.start < one.line
    if not found.rest_changes:
        assert applied(head, found.comments) == fixed


def test_a_suggestion_may_be_an_insertion_or_a_deletion() -> None:
    head = ["one", "two", "three", "four"]
    for fixed in (["one", "two", "new", "three", "four"], ["one", "three", "four"], ["new", *head], [*head, "new"]):
        found = markdown.inline_review(diff_of([], head), (), diff_of(head, fixed))
        assert found.suggestions == 1
        assert applied(head, found.comments) == fixed


@pytest.mark.parametrize(
    ("why", "patch"),
    [
        ("a new file", NEW_FILE),
        ("a deleted file", DELETED),
        ("an end without newline", diff_of(["x"], ["y"]) + "\\ No newline at end of file\n"),
        ("what a reviewer does not see", diff_of(["x"], ["y\u202ez"])),
        ("carriage returns", diff_of(["x"], ["y\r"])),
        ("blank lines, which look like a deletion", diff_of(["x"], [""])),
        ("a file that the pull request does not touch", diff_of(["x"], ["y"], "b.py")),
        ("lines that the diff does not show", diff_of(["a"] * 50 + ["x"], ["a"] * 50 + ["y"])),
        ("a text that is no patch", "nothing of this is a patch"),
        ("more lines than one looks at", diff_of(["x"], ["y"] * 200)),
    ],
)  # fmt: skip
def test_what_cannot_be_said_exactly_is_counted_and_not_suggested(why: str, patch: str) -> None:
    found = markdown.inline_review(diff_of([], ["x"]), (), patch)
    assert found.comments == (), why
    assert found.rest_changes == 1, why


def test_the_first_remark_is_the_proved_change_then_errors_and_the_rest_is_handed_back() -> None:
    found = inline()
    assert [(c.path, c.line) for c in found.comments] == [("stats.py", 11), ("stats.py", 10), ("stats.py", 9)]
    assert replaced(found.comments[0]) == ["        return (ordered[middle - 1] + ordered[middle]) / 2"]
    assert [one.path for one in found.rest] == ["other.py"]
    body = markdown.review_body(found)
    assert "1 suggestion" in body
    assert "1 more finding" in body


def test_a_reviewers_remark_is_quoted_prose() -> None:
    said = Diagnostic(
        "stats.py", 10, "notice", "This loses @ada's case, see [here](http://e.vil)", code=markdown.REVIEW
    )
    (one,) = markdown.inline_review(PULL_DIFF, (said,)).comments
    assert one.body.startswith("> This loses @\u200bada")
    assert "](http" not in one.body


@settings(max_examples=40, deadline=None)
@given(st.lists(REMARKS, max_size=80))
def test_no_finding_is_lost_or_told_twice(findings: list[Diagnostic]) -> None:
    found = markdown.inline_review(PULL_DIFF, findings, PATCH)
    told = sum(one.body.count("❌") + one.body.count("⚠️") + one.body.count("ℹ️") for one in found.comments)
    in_text = sum(one.message.count("❌") + one.message.count("⚠️") for one in findings)
    assert told + len(found.rest) >= len(findings)
    assert told + len(found.rest) <= len(findings) + in_text
    places = [(one.path, one.line) for one in found.comments if "suggestion\n" not in one.body]
    assert len(set(places)) == len(places)
    assert all(one.path == "stats.py" and 5 <= one.line <= 12 for one in found.comments)


def test_thirty_remarks_are_enough_for_three_thousand_files_and_twenty_thousand_findings() -> None:
    names = [f"src/module_{n}.py" for n in range(3_000)]
    diff = "".join(diff_of(["a"], ["a", "b"], name) for name in names)
    findings = [Diagnostic(names[n % 3_000], n % 4, "warning", f"{n}") for n in range(20_000)]
    findings.append(Diagnostic(names[-1], 2, "error", "the one that matters"))
    found = markdown.inline_review(diff, findings)
    assert len(found.comments) == 30
    assert "the one that matters" in found.comments[0].body
    assert len(found.rest) > 19_800


def test_a_diff_that_cannot_be_read_gets_no_remarks() -> None:
    found = markdown.inline_review("--- a\n+++ b\n@@ -1,9 +1,9 @@\n x\n", FINDINGS, PATCH)
    assert found.comments == ()
    assert len(found.rest) == len(FINDINGS)
    assert found.rest_changes == 1
