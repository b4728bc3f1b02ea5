"""Reviews on GitHub: one request, what is outside the diff is left out, nothing is said twice."""

from __future__ import annotations

import pytest

from perstack.core.errors import ForgeError
from perstack.forge.contract import ReviewComment
from tests.forge.bench import SECRET, Bench
from tests.github_server import READ_ALL, Fault
from tests.github_server.state import ReviewComment as Remark
from tests.github_server.state import User

BODY = "What I noticed"


def remark(line: int = 5, body: str = "Name it", **fields: int) -> ReviewComment:
    return ReviewComment("calc.py", line, body, **fields)


def remarks(bench: Bench) -> list[Remark]:
    assert bench.scene.pull.pull is not None
    return bench.scene.pull.pull.review_comments


def post(bench: Bench, *comments: ReviewComment, body: str = BODY) -> dict[str, object]:
    return dict(bench.make().review(2, bench.scene.head_sha, body, comments).extra)


def test_a_review_is_one_request_with_its_remarks(bench: Bench) -> None:
    ref = bench.forge.review(2, bench.scene.head_sha, BODY, [remark(), remark(6, "```suggestion\nx\n```", start=5)])
    assert bench.scene.pull.pull is not None
    (review,) = bench.scene.pull.pull.reviews
    assert (ref.id, review.commit_id) == (review.id, bench.scene.head_sha)
    assert review.body.startswith(BODY)
    assert [(r.line, r.start_line, r.review_id) for r in remarks(bench)] == [(5, 0, ref.id), (6, 5, ref.id)]
    assert len(bench.requests("POST")) == 1
    assert ref.extra == {"posted": 2, "repeated": 0, "refused": 0}


def test_the_same_review_again_posts_nothing(bench: Bench) -> None:
    post(bench, remark())
    assert post(bench, remark(), remark()) == {"posted": 0, "repeated": 1, "refused": 0}
    assert post(bench, remark(), remark(6)) == {"posted": 1, "repeated": 1, "refused": 0}
    assert [r.line for r in remarks(bench)] == [5, 6]
    assert len(bench.requests("POST", "/reviews")) == 2


def test_a_mark_by_somebody_else_does_not_silence_a_remark(bench: Bench) -> None:
    post(bench, remark())
    copied = remarks(bench).pop()
    copied.user = User("attacker", 666)
    remarks(bench).append(copied)
    assert post(bench, remark())["posted"] == 1


def test_lines_outside_the_diff_are_left_out_and_the_rest_is_posted(bench: Bench) -> None:
    result = post(bench, remark(5), remark(99), ReviewComment("README.md", 1, "not changed"), remark(6))
    assert result == {"posted": 2, "repeated": 0, "refused": 2}
    assert [r.line for r in remarks(bench)] == [5, 6]
    assert bench.scene.pull.pull is not None
    assert len(bench.scene.pull.pull.reviews) == 1


def test_remarks_at_places_that_cannot_be_named_are_not_sent(bench: Bench) -> None:
    nowhere = (ReviewComment("a\udcff.py", 1, "x"), remark(0), remark(body=" "))
    assert post(bench, remark(), *nowhere) == {"posted": 1, "repeated": 0, "refused": 3}
    assert len(bench.requests("POST")) == 1


def test_refusals_in_a_row_end_the_trying(bench: Bench) -> None:
    result = post(bench, *(remark(1000 + number) for number in range(25)))
    assert result == {"posted": 0, "repeated": 0, "refused": 25}
    assert len(bench.requests("POST", "/pulls/2/comments")) == 10


def test_many_remarks_go_in_thirties_and_end_at_ninety(bench: Bench) -> None:
    bench.scene.push_to_topic({"calc.py": "".join(f"line {n}\n" for n in range(200))})
    pull = bench.scene.pull.pull
    assert pull is not None
    extra = bench.forge.review(2, pull.head_sha, BODY, [remark(n) for n in range(1, 151)]).extra
    assert extra == {"posted": 90, "repeated": 0, "refused": 60}
    assert [len(r["body"]["comments"]) for r in bench.requests("POST", "/reviews")] == [30, 30, 30]


@pytest.mark.parametrize("kind", ["hidden", "drop-after"])
@pytest.mark.parametrize("line", [5, 99])
def test_a_review_whose_answer_was_lost_is_not_posted_twice(bench: Bench, kind: str, line: int) -> None:
    bench.scene.server.faults.add(Fault(kind, method="POST", path="/reviews$" if line == 5 else "/comments$"))
    post(bench, remark(6), *([remark(line)] if line == 99 else []))
    assert bench.scene.pull.pull is not None
    assert len(bench.scene.pull.pull.reviews) == 1
    assert [r.line for r in remarks(bench)] == [6]


def test_a_review_without_remarks_is_its_text(bench: Bench) -> None:
    assert post(bench) == {"posted": 0, "repeated": 0, "refused": 0}
    assert post(bench) == {"posted": 0, "repeated": 0, "refused": 0}
    assert len(bench.requests("POST", "/reviews")) == 1


def test_texts_are_redacted_and_cut(bench: Bench) -> None:
    post(bench, remark(body=f"{SECRET} {'x' * 70_000}"), body=f"{SECRET} {'y' * 70_000}")
    assert bench.scene.pull.pull is not None
    assert "s3cr" not in remarks(bench)[0].body + bench.scene.pull.pull.reviews[0].body


def test_a_missing_permission_is_named(bench: Bench) -> None:
    with pytest.raises(ForgeError, match="cannot post the review") as caught:
        bench.make(READ_ALL).review(2, bench.scene.head_sha, BODY, [remark()])
    assert "pull-requests: write" in caught.value.hint


def test_a_review_among_a_thousand_is_found_again_within_bounds(bench: Bench) -> None:
    post(bench, remark())
    pull = bench.scene.pull.pull
    assert pull is not None
    for number in range(1200):
        pull.review_comments.insert(0, Remark(number, bench.scene.actor, "words", "", "calc.py", 5))
    before = len(bench.scene.server.state.requests)
    assert post(bench, remark())["posted"] == 0
    assert len(bench.scene.server.state.requests) - before <= 12
