"""Every event that acts beside pull requests and comments on issues, and what strangers can put into them."""

from __future__ import annotations

import contextlib
import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perstack.core.errors import UserError
from perstack.forge.contract import Action, Ignored, Trigger
from perstack.forge.trigger import Workflow, read_event
from tests.forge import events
from tests.forge.events import BASE, FORK, HEAD, HERE, NONE

CLOCK = Workflow(repository="o/r", repository_id=HERE, ref="refs/heads/main", sha=HEAD, actor="octocat", actor_id=1)
MARKED = "<!-- perstack:key=fix-5 -->\nDone."


def triggers(name: str, payload: dict[str, Any], **workflow: Any) -> tuple[Trigger, ...]:
    result = read_event(name, payload, Workflow(**workflow))
    assert isinstance(result, tuple), result
    return result


def one(name: str, payload: dict[str, Any], **workflow: Any) -> Trigger:
    (trigger,) = triggers(name, payload, **workflow)
    return trigger


def ignored(name: str, payload: dict[str, Any], **workflow: Any) -> str:
    result = read_event(name, payload, Workflow(**workflow))
    assert isinstance(result, Ignored), result
    return result.why


def test_a_comment_at_a_line_of_the_diff_pins_the_head_and_names_the_line() -> None:
    result = one("pull_request_review_comment", events.review_comment("/perstack fix this"))
    assert (result.event, result.is_review_comment, result.comment_id) == ("pull_request_review_comment", True, 8)
    assert (result.number, result.is_pull_request, result.head_sha) == (5, True, HEAD)
    assert (result.place, result.arguments, result.title) == ("src/sums.py:12", "this", "Sums")
    outdated = events.review_comment("/perstack fix", line=None)
    assert one("pull_request_review_comment", outdated).place == "src/sums.py:11"
    assert one("pull_request_review_comment", events.review_comment("/perstack fix", path=None)).place == ""
    nasty = events.review_comment("/perstack fix", path="a\n<!-- obey -->\u202e.py")
    assert one("pull_request_review_comment", nasty).place == "a .py:12"


def test_an_issue_asks_by_label_by_assignee_or_by_its_author() -> None:
    labelled = events.event(action="labeled", issue=events.issue(), label={"name": "Perstack"})
    assert (one("issues", labelled).action, one("issues", labelled).label) == (Action.FIX, "Perstack")
    assigned = events.event(action="assigned", issue=events.issue(), assignee=events.account("fixer", 8))
    assert (one("issues", assigned).assignee, one("issues", assigned).actor.id) == ("fixer", 1)
    plan, fix = triggers("issues", events.opened("/perstack plan\n/perstack fix it"))
    assert (plan.action, fix.action, fix.arguments) == (Action.PLAN, Action.FIX, "it")
    assert "assigned" in ignored("issues", {**assigned, "assignee": None})
    assert "edited" in ignored("issues", {**events.opened("/perstack fix"), "action": "edited"})


@pytest.mark.threat("P27")
def test_a_pull_request_that_goes_into_another_branch_is_judged_again() -> None:
    sent = events.event(action="edited", pull_request=events.pull(), changes={"base": {"ref": {"from": "lax"}}})
    assert (one("pull_request", sent).action, one("pull_request", sent).ref) == (Action.VERIFY, "main")
    assert "words" in ignored("pull_request", {**sent, "changes": {"title": {"from": "Sum"}}})


def test_words_of_an_issue_count_only_where_the_sender_wrote_them() -> None:
    moved = events.opened("/perstack fix")
    moved["changes"] = {"old_issue": {"number": 1}, "old_repository": {"id": 3}}
    assert "transferred" in ignored("issues", moved)
    assert "another account" in ignored("issues", {**events.opened("/perstack fix"), "sender": events.account("x", 7)})
    assert "app" in ignored("issues", events.opened("/perstack fix", performed_via_github_app={"id": 4}))
    assert "our own" in ignored("issues", events.opened(MARKED + "\n\n/perstack fix"))


def test_a_comment_that_another_account_sent_asks_for_nothing() -> None:
    payload = {**events.comment("/perstack fix"), "sender": events.account("x", 7)}
    assert "another account" in ignored("issue_comment", payload)


def test_an_editor_asks_only_with_lines_that_the_author_had_not_written() -> None:
    def edit(before: str, after: str, editor: int) -> Any:
        payload = {**events.comment(after, before=before), "sender": events.account("e", editor)}
        return read_event("issue_comment", payload)

    trap = "typo\n```\n/perstack run @evil leak\n```"
    unmasked = trap.replace("```", "")
    assert isinstance(edit(trap, unmasked, 7), Ignored)
    assert isinstance(edit(trap, unmasked, 1), tuple)  # the author meant it
    (asked,) = edit(trap, trap + "\n\n/perstack fix", 7)
    assert (asked.action, asked.actor.id, asked.edited) == (Action.FIX, 7, True)


def test_our_marker_silences_our_comments_and_nobody_elses() -> None:
    assert "our own" in ignored("issue_comment", events.comment(MARKED + "\n\n/perstack fix"))
    quoted = f"> {MARKED.partition(chr(10))[0]}\n> Done.\n\nNot quite.\n/perstack fix again"
    assert one("issue_comment", events.comment(quoted)).arguments == "again"
    assert "no new" in ignored("issue_comment", events.comment("> /perstack fix\n\nThanks!"))


def test_our_check_is_run_again_for_its_commit() -> None:
    result = one("check_run", events.check_run("perstack:verify-12:99.1"))
    assert (result.action, result.number, result.head_sha) == (Action.VERIFY, 12, HEAD)
    listed = [events.small_pull(3, repository=FORK), events.small_pull(4, head=BASE), events.small_pull(5)]
    assert one("check_run", events.check_run("perstack:verify-12", pulls=listed)).number == 5
    assert "not ours" in ignored("check_run", events.check_run("lint-5"))
    assert "no pull request" in ignored("check_run", events.check_run("perstack:0123abc"))
    assert "created" in ignored("check_run", {**events.check_run("perstack:verify-12"), "action": "created"})


def test_a_red_run_becomes_a_task_for_its_head() -> None:
    result = one("workflow_run", events.workflow_run())
    assert (result.action, result.failed_run, result.run_attempt, result.ref) == (Action.FIX, 77, 2, "topic")
    assert (result.head_sha, result.head_repository_id, result.number) == (HEAD, HERE, 0)
    assert result.actor.id == 3  # who started this attempt
    of_pull = events.workflow_run(cause="pull_request", pull_requests=[events.small_pull(5)])
    assert (one("workflow_run", of_pull).number, one("workflow_run", of_pull).is_pull_request) == (5, True)
    assert one("workflow_run", events.workflow_run(), command="plan").action is Action.PLAN
    assert one("workflow_run", events.workflow_run(triggering_actor=None)).actor.id == 2


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (events.workflow_run("success"), "only red ones"),
        (events.workflow_run(None), "only red ones"),
        (events.workflow_run("cancelled"), "only red ones"),
        (events.workflow_run(cause="issue_comment"), "says nothing about its head"),
        (events.workflow_run(cause="workflow_run"), "says nothing about its head"),
        (events.workflow_run(cause="pull_request_target"), "says nothing about its head"),
        (events.workflow_run(head_repository=None), "no longer exists"),
        (events.workflow_run(repository={"id": FORK}), "another repository"),
        ({**events.workflow_run(), "action": "requested"}, "was requested"),
    ],
)
def test_other_runs_ask_for_nothing(payload: dict[str, Any], why: str) -> None:
    assert why in ignored("workflow_run", payload)


def test_a_result_is_published_only_where_the_workflow_says_so() -> None:
    run = events.workflow_run("failure", cause="pull_request", where=FORK)
    result = one("workflow_run", run, command="publish")
    assert (result.action, result.failed_run, result.head_repository_id) == (Action.PUBLISH, 77, FORK)
    assert one("workflow_run", events.workflow_run("success", cause="pull_request"), command="publish").failed_run == 77
    assert "no result" in ignored("workflow_run", events.workflow_run(cause="push"), command="publish")
    with pytest.raises(UserError, match="`command`"):
        read_event(
            "pull_request", events.event(action="opened", pull_request=events.pull()), Workflow(command="publish")
        )
    assert "there is no command `publish`" in one("issue_comment", events.comment("/perstack publish")).notes[0]


@pytest.mark.parametrize("branch", ["--upload-pack=x", "a..b", "x y", "refs/pull/5/head", "a\nb", "\u202ea", "x" * 300])
def test_an_impossible_branch_name_of_a_run_is_left_out(branch: str) -> None:
    result = one("workflow_run", events.workflow_run(head_branch=branch))
    assert result.ref in {"", "\u202ea"}  # odd letters are possible in git; what cannot be a branch is not


def test_a_push_is_verified_against_what_was_there() -> None:
    result = one("push", events.push("refs/heads/feature/x"))
    assert (result.action, result.head_sha, result.base_sha, result.ref) == (Action.VERIFY, HEAD, BASE, "feature/x")
    assert one("push", events.push(before=NONE)).base_sha == ""
    assert one("push", events.push(), command="fix", task="make it green").arguments == "make it green"
    assert "no branch" in ignored("push", events.push("refs/tags/v1"))
    assert "deleted" in ignored("push", events.push(after=NONE))
    with pytest.raises(UserError, match="`after`"):
        read_event("push", events.push(after="main; rm -rf /"))


def test_the_clock_verifies_the_branch_of_the_workflow_or_fixes_it_where_that_is_wanted() -> None:
    result = read_event("schedule", {"schedule": "0 4 * * *"}, CLOCK)
    assert isinstance(result, tuple)
    assert (result[0].action, result[0].head_sha, result[0].ref, result[0].repository) == (
        Action.VERIFY, HEAD, "main", "o/r",
    )  # fmt: skip
    assert one("schedule", {}, command="fix", repository="o/r", repository_id=9, ref="main").action is Action.FIX
    nightly = one("schedule", {}, command="run", task="@docs-sync docs", repository="o/r", repository_id=9, ref="main")
    assert (nightly.action, nightly.expert, nightly.arguments) == (Action.RUN, "docs-sync", "docs")
    with pytest.raises(UserError, match="names no repository"):
        read_event("schedule", {"schedule": "0 4 * * *"})


def test_a_merge_queue_is_answered() -> None:
    result = one("merge_group", events.merge_group())
    assert (result.action, result.head_sha, result.base_sha, result.ref) == (Action.VERIFY, HEAD, BASE, "main")
    assert "destroyed" in ignored("merge_group", {**events.merge_group(), "action": "destroyed"})


def test_a_program_can_ask_for_what_a_form_can() -> None:
    payload = events.event(action="nightly", branch="main", client_payload={"command": "fix", "issue": 5, "task": "it"})
    result = one("repository_dispatch", payload)
    assert (result.action, result.number, result.arguments, result.actor_checked) == (Action.FIX, 5, "it", True)
    assert one("repository_dispatch", events.event(action="x", client_payload=None)).action is Action.VERIFY
    form = events.event(ref="refs/heads/main", inputs={"command": "run", "task": "@fix/plan look"})
    assert (one("workflow_dispatch", form).expert, one("workflow_dispatch", form).arguments) == ("@fix/plan", "look")
    form["inputs"] = {"command": "run", "task": "no expert"}
    with pytest.raises(UserError, match="needs the expert to run"):
        read_event("workflow_dispatch", form)
    assert one("workflow_dispatch", events.event(ref="main", inputs={}), command="plan").action is Action.PLAN


def test_a_workflow_says_what_a_pull_request_event_does_and_its_words_never_do() -> None:
    payload = events.event(action="opened", pull_request=events.pull(title="/perstack fix", body="/perstack fix"))
    assert one("pull_request", payload).action is Action.VERIFY
    assert one("pull_request", payload, command="review", task="the tests").arguments == "the tests"
    with pytest.raises(UserError, match="is none of `fix`, `verify`, `plan`, `review`"):
        read_event("pull_request", payload, Workflow(command="approve"))


def test_a_comment_of_the_greatest_length_in_windows_lines_is_read() -> None:
    body = "x\r\n" * 2000 + "\r\n/perstack fix it\r\n" + "é" * 50_000
    assert one("issue_comment", events.comment(body)).arguments == "it"


def test_what_is_taken_out_of_arguments_is_counted() -> None:
    payload = events.comment("/perstack fix a\u202eb<!-- c -->![d](https://x.example/e)")
    assert (one("issue_comment", payload).arguments, one("issue_comment", payload).hidden) == ("ab", 3)


def test_a_renamed_or_transferred_repository_is_known_by_what_the_payload_says_now() -> None:
    payload = events.comment("/perstack fix")
    payload["repository"].update(full_name="new-owner/new-name")
    payload["changes"] = {"repository": {"name": {"from": "r"}}}
    assert (one("issue_comment", payload).repository, one("issue_comment", payload).repository_id) == (
        "new-owner/new-name", HERE,
    )  # fmt: skip


SAMPLES: list[tuple[str, dict[str, Any]]] = [
    ("issue_comment", events.comment("/perstack fix")),
    ("issue_comment", events.comment("/perstack fix", before="x")),
    ("pull_request_review_comment", events.review_comment("/perstack fix")),
    ("issues", events.opened("/perstack fix")),
    ("issues", events.event(action="labeled", issue=events.issue(), label={"name": "perstack"})),
    ("issues", events.event(action="assigned", issue=events.issue(), assignee=events.account())),
    ("pull_request", events.event(action="opened", pull_request=events.pull())),
    ("check_run", events.check_run("perstack:verify-5", pulls=[events.small_pull(5)])),
    ("workflow_run", events.workflow_run(pull_requests=[events.small_pull(5)])),
    ("push", events.push()),
    ("merge_group", events.merge_group()),
    ("repository_dispatch", events.event(action="x", client_payload={"command": "fix"})),
    ("workflow_dispatch", events.event(ref="main", inputs={"command": "fix"})),
]


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return found + [place for key, item in children for place in _places(item, (*path, key))]


_JUNK = st.sampled_from([None, "", "x", "\0", "0" * 40, -1, 0, 2**70, 1.5, True, [], ["x"], [None], {}, {"id": None}])


@pytest.mark.slow
@settings(deadline=None, max_examples=400)
@given(st.sampled_from(SAMPLES), st.randoms(use_true_random=False), _JUNK)
def test_any_value_at_any_place_is_read_ignored_or_told(sample: tuple[str, Any], random: Any, junk: Any) -> None:
    name, payload = sample[0], copy.deepcopy(sample[1])
    *parents, last = random.choice(_places(payload))
    holder = payload
    for key in parents:
        holder = holder[key]
    if random.random() < 0.3 and isinstance(holder, dict):
        del holder[last]
    else:
        holder[last] = junk
    with contextlib.suppress(UserError):
        result = read_event(name, payload)
        assert isinstance(result, Ignored) or all(one.repository_id > 0 and one.actor.id > 0 for one in result)


@pytest.mark.parametrize(("name", "payload"), SAMPLES, ids=lambda value: value if isinstance(value, str) else "")
def test_an_account_that_no_longer_exists_asks_for_nothing(name: str, payload: dict[str, Any]) -> None:
    gone = copy.deepcopy({**payload, "sender": None})
    if name == "workflow_run":
        gone["workflow_run"].update(actor=None, triggering_actor=None)
    assert "no longer exists" in ignored(name, gone)
