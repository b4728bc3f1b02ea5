"""Reactions and comments on GitHub: once, in place, ours only, within limits."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Event

import pytest

from perstack.core.errors import ForgeError, InvariantBroken
from perstack.core.json import Json
from perstack.forge.limits import COMMENT_LIMIT, utf16_units
from perstack.forge.trigger import MARKER
from tests.forge.bench import SECRET, Bench, until
from tests.github_server import READ_ALL, WRITE_ALL, Fault
from tests.github_server.state import GITHUB_ACTIONS, App, Comment, ReviewComment, User


def test_a_reaction_is_added_once(bench: Bench) -> None:
    trigger = bench.trigger()
    bench.forge.react(trigger, "eyes")
    bench.forge.react(trigger, "eyes")
    assert [r["content"] for r in bench.comments[0].reactions] == ["eyes"]


def test_an_issue_gets_the_reaction_where_no_comment_asked(bench: Bench) -> None:
    trigger = replace(bench.trigger(), event="issues", comment_id=0, number=1)
    bench.forge.react(trigger, "rocket")
    assert [r["content"] for r in bench.scene.issue.reactions] == ["rocket"]


def test_nothing_to_react_to_is_fine(bench: Bench) -> None:
    trigger = bench.trigger()
    bench.forge.react(replace(trigger, comment_id=999_999), "eyes")
    bench.forge.react(replace(trigger, comment_id=0, event="pull_request"), "eyes")
    assert bench.requests("POST") == bench.requests("POST", "/comments/999999/reactions")


def test_a_reaction_without_permission_names_it(bench: Bench) -> None:
    forge = bench.make(READ_ALL)
    with pytest.raises(ForgeError, match="cannot add a reaction") as caught:
        forge.react(bench.trigger(), "eyes")
    assert "issues: write" in caught.value.hint


def test_a_comment_is_created_once_and_edited_in_place(bench: Bench) -> None:
    first = bench.forge.upsert_comment(2, "fix-2", "working")
    second = bench.forge.upsert_comment(2, "fix-2", "done @ 100%")
    assert first == second
    (comment,) = bench.comments
    assert comment.body == f"{MARKER}fix-2 -->\ndone @ 100%"
    assert (comment.user, comment.edits) == (GITHUB_ACTIONS.user, 1)
    assert str(comment.id) in first.url


def test_an_unchanged_comment_is_not_sent_again(bench: Bench) -> None:
    for _ in range(3):
        bench.forge.upsert_comment(2, "fix-2", "same")
    bench.make().upsert_comment(2, "fix-2", "same")
    assert len(bench.requests("POST")) == 1
    assert bench.requests("PATCH") == []


def test_another_process_finds_the_comment_again_among_hundreds(bench: Bench) -> None:
    bench.forge.upsert_comment(2, "fix-2", "first")
    for number in range(250):
        bench.comments.insert(0, Comment(number + 1, bench.scene.actor, f"words {number}"))
    bench.make().upsert_comment(2, "fix-2", "second")
    assert len(bench.comments) == 251
    assert bench.comments[-1].body.endswith("second")


def test_keys_and_issues_have_comments_of_their_own(bench: Bench) -> None:
    bench.forge.upsert_comment(2, "fix-2", "a")
    bench.forge.upsert_comment(2, "fix-22", "b")
    bench.forge.upsert_comment(1, "fix-2", "c")
    assert (len(bench.comments), len(bench.scene.issue.comments)) == (2, 1)


@pytest.mark.threat("R10", "P25")
def test_a_marker_by_somebody_else_is_not_ours(bench: Bench) -> None:
    fake = f"{MARKER}fix-2 -->\nverdict: pass"
    author = bench.scene.server.state.user("attacker", 666)
    for user in (author, None, bench.scene.actor):
        bench.comments.append(Comment(bench.scene.server.state.new_id(), user, fake))
    bench.make().upsert_comment(2, "fix-2", "real")
    assert [c.body for c in bench.comments[:3]] == [fake] * 3
    assert bench.comments[3].body.endswith("real")


@pytest.mark.threat("R10", "P25")
def test_an_edit_of_our_comment_by_somebody_else_is_noticed(bench: Bench) -> None:
    bench.forge.upsert_comment(2, "plan-2", "first", {"plan": "a"})
    bench.forge.upsert_comment(2, "plan-2", "second", {"plan": "b"})
    own = bench.make().own_comment(2, "plan-2")
    assert own is not None
    assert not bench.make().edited_by_others(own)
    bench.comments[-1].editor = bench.scene.server.state.user("writer", 667)  # who may write may edit every comment
    assert bench.make().edited_by_others(own)
    bench.comments.clear()
    assert bench.make().edited_by_others(own)


def test_a_marker_inside_a_text_of_ours_is_not_the_marker(bench: Bench) -> None:
    bench.comments.append(Comment(1, GITHUB_ACTIONS.user, f"quoting {MARKER}fix-2 -->"))
    bench.forge.upsert_comment(2, "fix-2", "real")
    assert len(bench.comments) == 2


def test_a_key_cannot_leave_the_marker(bench: Bench) -> None:
    bench.forge.upsert_comment(2, "a --> <b> é", "x")
    bench.make().upsert_comment(2, "a --> <b> é", "y")
    (comment,) = bench.comments
    assert comment.body.split("\n")[0].count("-->") == 1


def test_a_deleted_comment_is_made_again(bench: Bench) -> None:
    bench.forge.upsert_comment(2, "fix-2", "first")
    bench.comments.clear()
    bench.forge.upsert_comment(2, "fix-2", "second")
    assert [c.body.split("\n")[1] for c in bench.comments] == ["second"]


def test_a_person_and_another_app_recognise_their_own_comments(bench: Bench) -> None:
    person = bench.scene.server.state.user("releaser", 31337)
    bench.make(app=None, user=person).upsert_comment(2, "fix-2", "one")
    bench.make(app=None, user=person).upsert_comment(2, "fix-2", "two")
    app = App(777, "our-app", User("our-app[bot]", 8888, "Bot"))
    first = bench.make(app=app)
    first.upsert_comment(2, "fix-2", "three")
    first.upsert_comment(2, "fix-2", "four")
    bench.make(app=app, author_ids=frozenset({8888})).upsert_comment(2, "fix-2", "five")
    assert [c.body.split("\n")[1] for c in bench.comments] == ["two", "five"]


def test_half_characters_and_nul_do_not_make_a_comment_unsendable(bench: Bench) -> None:
    bench.forge.upsert_comment(2, "fix-2", "a\ud800b\0c", {"path": "\udcff"})
    assert bench.comments[0].body.endswith("a?b\ufffdc")


def test_a_first_comment_is_three_requests(bench: Bench) -> None:
    bench.forge.upsert_comment(2, "fix-2", "x")
    assert [r["method"] for r in bench.scene.server.state.requests] == ["GET", "POST", "GET"]


def test_two_jobs_that_comment_at_the_same_time_leave_one_comment(bench: Bench) -> None:
    fault = bench.scene.server.faults.add(Fault("slow", method="POST", path="/comments$", seconds=0.4))
    late = bench.make(api_url=f"{bench.scene.server.url}/api/v3")  # a process of its own has a pace of its own
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(late.upsert_comment, 2, "fix-2", "late")
        until(lambda: fault.hits)
        early = bench.forge.upsert_comment(2, "fix-2", "early")
        assert waiting.result(10) == early
    (comment,) = bench.comments
    assert comment.body.endswith("late")


def test_data_is_hidden_in_a_comment_and_kept_by_later_texts(bench: Bench) -> None:
    data: dict[str, Json] = {
        "v": 1,
        "head": bench.scene.head_sha,
        "note": "a --> b <!-- c --- </details>",
        "cost": -0.5,
        "n": None,
    }
    bench.forge.upsert_comment(2, "fix-2", "working", data)
    line = bench.comments[0].body.split("\n")[0]
    assert line.count("--") == 2
    bench.forge.upsert_comment(2, "fix-2", "half")
    bench.make().upsert_comment(2, "fix-2", "done")
    own = bench.make().own_comment(2, "fix-2")
    assert own is not None
    assert (own.key, own.number, own.body, own.data) == ("fix-2", 2, "done", data)
    bench.make().upsert_comment(2, "fix-2", "done", {})
    own = bench.forge.own_comment(2, "fix-2")
    assert own is not None
    assert own.data == {}


@pytest.mark.threat("R10")
def test_data_in_the_words_of_a_comment_is_not_taken_for_ours(bench: Bench) -> None:
    bench.forge.upsert_comment(2, "fix-2", f'{MARKER}fix-2 data={{"state":"done"}} -->\nwords')
    own = bench.make().own_comment(2, "fix-2")
    assert own is not None
    assert own.data == {}


def test_data_that_cannot_be_read_is_none_and_too_much_is_a_bug(bench: Bench) -> None:
    bench.forge.upsert_comment(2, "fix-2", "x", {"a": 1})
    bench.comments[0].body = bench.comments[0].body.replace('{"a":1}', '{"a":1,}')
    own = bench.make().own_comment(2, "fix-2")
    assert own is not None
    assert own.data == {}
    with pytest.raises(InvariantBroken, match="fix-2"):
        bench.forge.upsert_comment(2, "fix-2", "x", {"a": "x" * 20_000})


def test_secrets_in_data_are_redacted(bench: Bench) -> None:
    bench.forge.upsert_comment(2, "fix-2", "x", {"a": SECRET})
    assert "s3cr" not in bench.comments[0].body


def test_our_comment_is_read_as_another_process_left_it(bench: Bench) -> None:
    assert bench.forge.own_comment(2, "fix-2") is None
    bench.forge.upsert_comment(2, "fix-2", "ours", {"run": 1})
    bench.make().upsert_comment(2, "fix-2", "theirs", {"run": 2})
    own = bench.forge.own_comment(2, "fix-2")
    assert own is not None
    assert (own.body, own.data) == ("theirs", {"run": 2})
    bench.comments.clear()
    assert bench.forge.own_comment(2, "fix-2") is None


def test_asking_again_for_a_comment_costs_nothing(bench: Bench) -> None:
    bench.forge.upsert_comment(2, "fix-2", "x")
    for _ in range(2):
        bench.forge.own_comment(2, "fix-2")
        bench.forge.own_comment(2, "stop-2")
    left = bench.scene.server.state.rate_remaining
    for _ in range(10):
        bench.forge.own_comment(2, "fix-2")
        assert bench.forge.own_comment(2, "stop-2") is None
    assert bench.scene.server.state.rate_remaining == left
    bench.make().upsert_comment(2, "stop-2", "stop", {"at": 1})
    assert bench.forge.own_comment(2, "stop-2") is not None


def test_a_comment_among_five_thousand_is_found_within_bounds(bench: Bench) -> None:
    bench.forge.upsert_comment(2, "old", "at the start")
    bench.comments.extend(Comment(100_000 + n, bench.scene.actor, f"words {n}") for n in range(5000))
    bench.forge.upsert_comment(2, "new", "at the end")
    for key, most in (("old", 1), ("new", 3)):
        before = len(bench.requests("GET"))
        assert bench.make().own_comment(2, key) is not None
        assert len(bench.requests("GET")) - before <= most
    before = len(bench.requests("GET"))
    assert bench.make().own_comment(2, "none") is None
    assert len(bench.requests("GET")) - before == 30


def test_our_recent_comments_of_the_whole_repository_are_listed_newest_first(bench: Bench) -> None:
    times = {"a": "2026-01-03T00:00:00Z", "b": "2026-01-05T00:00:00Z", "c": "2026-01-04T00:00:00Z"}
    for number, key in ((2, "a"), (1, "b"), (2, "c")):
        bench.forge.upsert_comment(number, key, "x", {"k": key})
    for comment in (*bench.comments, *bench.scene.issue.comments):
        comment.updated_at = next(time for key, time in times.items() if f'"{key}"' in comment.body)
    fake = Comment(9, bench.scene.actor, f"{MARKER}d -->\nx", updated_at="2026-01-06T00:00:00Z")
    bench.comments.append(fake)
    found = bench.forge.own_comments_since("2026-01-04T00:00:00Z")
    assert [(c.key, c.number, c.data) for c in found] == [("b", 1, {"k": "b"}), ("c", 2, {"k": "c"})]
    bench.comments.extend(Comment(100_000 + n, bench.scene.actor, "words") for n in range(5000))
    before = len(bench.requests("GET"))
    bench.forge.own_comments_since("2026-01-04T00:00:00Z")
    assert len(bench.requests("GET")) - before == 20


def test_a_review_comment_gets_its_reaction_where_it_lies(bench: Bench) -> None:
    assert bench.scene.pull.pull is not None
    remark = ReviewComment(5, bench.scene.actor, "/perstack fix", "", "calc.py", 5)
    bench.scene.pull.pull.review_comments.append(remark)
    bench.forge.react(replace(bench.trigger(), comment_id=5, is_review_comment=True), "eyes")
    assert [r["content"] for r in remark.reactions] == ["eyes"]


@pytest.mark.parametrize("character", ["a", "漢", "🎉", "line\n"])
def test_a_body_over_the_limit_is_cut_to_it(bench: Bench, character: str) -> None:
    bench.forge.upsert_comment(2, "fix-2", character * COMMENT_LIMIT)
    bench.forge.upsert_comment(2, "fix-2", "x" + character * COMMENT_LIMIT)
    (comment,) = bench.comments
    assert utf16_units(comment.body) <= COMMENT_LIMIT
    assert "more characters did not fit" in comment.body
    assert comment.edits == 1


@pytest.mark.threat("R8", "K2")
def test_secrets_are_redacted_before_the_cut(bench: Bench) -> None:
    body = "x" * (COMMENT_LIMIT - 300) + SECRET * 100
    bench.forge.upsert_comment(2, "fix-2", body)
    assert "s3cr" not in bench.comments[0].body


def test_a_locked_conversation_is_told(bench: Bench) -> None:
    bench.scene.pull.locked = True
    with pytest.raises(ForgeError, match="conversation is locked"):
        bench.forge.upsert_comment(2, "fix-2", "x")


@pytest.mark.parametrize("kind", ["hidden", "drop-after"])
def test_a_comment_whose_answer_was_lost_is_not_posted_twice(bench: Bench, kind: str) -> None:
    bench.scene.server.faults.add(Fault(kind, method="POST", path="/comments$"))
    bench.forge.upsert_comment(2, "fix-2", "once")
    assert len(bench.comments) == 1


@pytest.mark.parametrize("kind", ["status", "drop"])
def test_a_comment_that_was_not_posted_is_posted_again(bench: Bench, kind: str) -> None:
    bench.scene.server.faults.add(Fault(kind, method="POST", path="/comments$", times=2))
    bench.forge.upsert_comment(2, "fix-2", "in the end")
    assert len(bench.comments) == 1


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
def test_rate_limits_are_waited_for(bench: Bench, method: str) -> None:
    trigger = bench.trigger()
    fault = bench.scene.server.faults.add(Fault("secondary", method=method, times=2))
    bench.forge.react(trigger, "eyes")
    bench.forge.upsert_comment(2, "fix-2", "a")
    bench.forge.upsert_comment(2, "fix-2", "b")
    assert fault.hits == 2
    assert bench.comments[-1].body.endswith("b")


def test_the_server_says_how_long_to_wait(bench: Bench) -> None:
    bench.scene.server.faults.add(Fault("secondary", method="POST", retry_after="1"))
    bench.forge.upsert_comment(2, "fix-2", "a")
    refused, *rest = (r["at"] for r in bench.requests("GET") + bench.requests("POST"))
    assert rest[-1] - refused >= 1


def test_a_limit_that_lasts_ends_with_a_sentence(bench: Bench) -> None:
    bench.scene.server.faults.add(Fault("secondary", method="POST", times=50))
    with pytest.raises(ForgeError, match="cannot post the comment"):
        bench.forge.upsert_comment(2, "fix-2", "x")


def test_a_server_that_keeps_failing_ends_with_a_sentence(bench: Bench) -> None:
    bench.scene.server.faults.add(Fault("status", times=100))
    with pytest.raises(ForgeError, match="also when asked again"):
        bench.forge.upsert_comment(2, "fix-2", "x")


def test_slow_answers_are_waited_for(bench: Bench) -> None:
    bench.scene.server.faults.add(Fault("slow", method="POST", seconds=0.3))
    bench.forge.upsert_comment(2, "fix-2", "x")
    assert len(bench.comments) == 1


def test_the_state_can_be_watched_from_outside(bench: Bench) -> None:
    bench.forge.react(bench.trigger("/perstack verify"), "eyes")
    bench.make(WRITE_ALL).upsert_comment(2, "verify-2", "hello")
    pull = bench.state()["repositories"][bench.scene.name]["issues"]["2"]
    assert pull["comments"][0]["reactions"] == [{"content": "eyes", "user": "github-actions[bot]"}]
    assert pull["comments"][1]["body"].endswith("hello")
    assert bench.token not in str(bench.state())


def test_a_text_that_was_overtaken_does_not_replace_the_newer_one(bench: Bench) -> None:
    began, go_on = Event(), Event()

    def slow_for_old(text: str) -> str:
        if text == "old":
            began.set()
            assert go_on.wait(10)
        return text

    forge = bench.make(redact=slow_for_old)
    forge.upsert_comment(2, "fix-2", "working")
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(forge.upsert_comment, 2, "fix-2", "old")
        assert began.wait(10)
        newer = forge.upsert_comment(2, "fix-2", "new")
        go_on.set()
        assert late.result(10) == newer
    assert bench.comments[0].body.endswith("new")
