"""The trust matrix: every row of event × actor × role × repository × head × edit; what is unknown is refused."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest

from perstack.core.experts import CommandRule, GithubSpec
from perstack.forge.contract import Action, Actor, PullRequest, Trigger
from perstack.forge.rights import needs_role, teams_to_ask
from perstack.forge.trust import Allowed, RefusalCode, Refused, decide_trust

HUMAN = Actor("octocat", 1)
BOT = Actor("github-actions[bot]", 41898282, is_bot=True)
HEAD = "a" * 40
FIX = Trigger("issue_comment", Action.FIX, "o/r", 9, HUMAN, number=5, is_pull_request=True, comment_id=3)
PULL = PullRequest(5, "open", HEAD, "topic", 9, "b" * 40, "main")
FORK = replace(PULL, is_fork=True, head_repository_id=10)
SPEC = GithubSpec()
ROLES = ("admin", "maintain", "write", "triage", "read", "none", "", "Write")
WRITERS = ("admin", "maintain", "write")
BY_PEOPLE = ("issue_comment", "pull_request_review_comment", "issues", "check_run", "workflow_run")
BY_ITSELF = ("pull_request", "push", "schedule", "repository_dispatch", "merge_group")


def refused(
    trigger: Trigger, role: str, pull: PullRequest | None = PULL, spec: GithubSpec = SPEC, **facts: Any
) -> Refused:
    decision = decide_trust(trigger, role, spec, pull, **facts)
    assert isinstance(decision, Refused), decision
    assert decision.sentence.endswith(".")
    return decision


def allowed(
    trigger: Trigger, role: str, pull: PullRequest | None = PULL, spec: GithubSpec = SPEC, **facts: Any
) -> Allowed:
    decision = decide_trust(trigger, role, spec, pull, **facts)
    assert isinstance(decision, Allowed), decision
    assert decision.why
    return decision


def said(decision: Allowed | Refused) -> str:
    """A decision in one word: `push`, `show`, or why not."""
    if isinstance(decision, Refused):
        return str(decision.code)
    return "push" if decision.push else "show"


def expected(trigger: Trigger, role: str, pull: PullRequest) -> str:
    """The matrix in words, for the default configuration and an open pull request."""
    verify, by_itself = trigger.action is Action.VERIFY, trigger.event in BY_ITSELF
    if trigger.actor.is_bot and not (verify and by_itself) and trigger.event != "schedule":
        return "bot"
    dispatched = trigger.event == "workflow_dispatch" or (trigger.event == "repository_dispatch" and not verify)
    if (dispatched or trigger.event in BY_PEOPLE) and role not in WRITERS:
        return "role" if role else "role-unknown"
    if trigger.head_sha and trigger.head_sha != pull.head_sha:
        return "head-moved"
    if verify:
        return "show"
    if pull.is_fork:
        return "fork" if trigger.event == "workflow_run" else "show"
    return "show" if trigger.event == "pull_request" else "push"


@pytest.mark.parametrize("event", [*BY_PEOPLE, *BY_ITSELF, "workflow_dispatch"])
def test_the_matrix_of_a_pull_request(event: str) -> None:
    spec = replace(SPEC, on=(*SPEC.on, "merge_group"))
    rows = itertools.product(
        (Action.FIX, Action.VERIFY), (HUMAN, BOT), ROLES, (PULL, FORK), ("", HEAD, "c" * 40), (False, True)
    )
    for action, actor, role, pull, head, edited in rows:
        trigger = replace(
            FIX, event=event, action=action, actor=actor, head_sha=head, edited=edited,
            actor_checked=event in {"workflow_dispatch", "repository_dispatch"},
        )  # fmt: skip
        decision = decide_trust(trigger, role, spec, pull)
        assert said(decision) == expected(trigger, role, pull), (trigger, role, pull)
        if isinstance(decision, Refused) and decision.code in {"bot", "role", "role-unknown"}:
            assert not decision.public  # strangers cannot make us write


@pytest.mark.threat("R4")
@pytest.mark.parametrize("action", [action for action in Action if action is not Action.PUBLISH])
def test_no_command_of_a_comment_acts_without_a_role(action: Action) -> None:
    asked = replace(FIX, action=action, approved=HEAD[:8], expert="reviewer")
    for role, pull, edited in itertools.product(("triage", "read", "none", ""), (PULL, FORK), (False, True)):
        assert refused(replace(asked, edited=edited), role, pull).code in {"role", "role-unknown"}
        assert refused(replace(asked, is_pull_request=False), role, None).code in {"role", "role-unknown"}
    assert refused(replace(asked, actor=BOT), "admin").code == RefusalCode.BOT
    pushes = action in {Action.FIX, Action.APPROVE, Action.CREATE_EXPERT}
    assert allowed(asked, "write").push == pushes
    assert not allowed(asked, "write", FORK).push


@pytest.mark.parametrize("action", [Action.FIX, Action.PLAN, Action.RUN, Action.APPROVE, Action.CREATE_EXPERT])
def test_a_fork_is_built_for_as_a_suggestion_only_or_not_at_all(action: Action) -> None:
    asked = replace(FIX, action=action, approved=HEAD)
    assert "fork" in allowed(asked, "write", FORK).why
    refusal = refused(asked, "write", FORK, replace(SPEC, fork_policy="deny"))
    assert (refusal.code, refusal.public) == (RefusalCode.FORK, True)
    assert not allowed(asked, "write", replace(FORK, head_exists=False)).push
    for other in (Action.VERIFY, Action.REVIEW, Action.EXPLAIN):
        assert not allowed(replace(FIX, action=other), "write", FORK, replace(SPEC, fork_policy="deny")).push


def test_a_role_may_be_allowed_by_its_exact_name() -> None:
    assert allowed(FIX, "custom", spec=replace(SPEC, roles=("custom",))).push
    assert refused(FIX, "", spec=replace(SPEC, roles=("",))).code == RefusalCode.ROLE_UNKNOWN


@pytest.mark.threat("P4")
def test_bots_are_refused_until_their_id_is_allowed_and_need_their_role_then() -> None:
    decision = refused(replace(FIX, actor=BOT), "write")
    assert "41898282" in decision.sentence
    spec = replace(SPEC, allowed_bots=(BOT.id,))
    assert allowed(replace(FIX, actor=BOT), "write", spec=spec).push
    assert refused(replace(FIX, actor=BOT), "read", spec=spec).code == RefusalCode.ROLE
    imitator = Actor("github-actions[bot]", 7, is_bot=True)
    assert refused(replace(FIX, actor=imitator), "write", spec=spec).code == RefusalCode.BOT


def test_a_command_can_have_roles_and_teams_of_its_own() -> None:
    spec = replace(SPEC, commands={"fix": CommandRule(teams=("Org/Core",)), "explain": CommandRule(roles=("read",))})
    assert refused(FIX, "admin", spec=spec).code == RefusalCode.ROLE
    assert teams_to_ask(FIX, "admin", spec) == ("Org/Core",)
    assert allowed(FIX, "read", spec=spec, teams=frozenset({"org/core"})).push
    assert refused(FIX, "admin", spec=spec, teams=frozenset({"org/other"})).code == RefusalCode.ROLE
    explain = replace(FIX, action=Action.EXPLAIN)
    assert not allowed(explain, "read", spec=spec).push
    assert refused(explain, "write", spec=spec).code == RefusalCode.ROLE
    assert not allowed(replace(FIX, action=Action.PLAN), "write", spec=spec).push


def test_teams_of_all_commands_count_beside_the_roles() -> None:
    spec = replace(SPEC, teams=("org/bots", "org/core"))
    assert teams_to_ask(FIX, "write", spec) == ()
    assert teams_to_ask(FIX, "read", spec) == ("org/bots", "org/core")
    assert allowed(FIX, "", spec=spec, teams=frozenset({"org/core"})).push
    assert "`org/core`" in refused(FIX, "", spec=spec).sentence


@pytest.mark.threat("P28")
@pytest.mark.parametrize("event", ["workflow_dispatch", "repository_dispatch"])
@pytest.mark.parametrize(
    "spec",
    [replace(SPEC, roles=("admin",)), replace(SPEC, commands={"fix": CommandRule(roles=("admin",))})],
    ids=["common", "of the command"],
)
def test_roles_hold_for_dispatches_too(event: str, spec: GithubSpec) -> None:
    trigger = replace(FIX, event=event, actor_checked=True)
    assert needs_role(trigger, spec)
    assert refused(trigger, "write", spec=spec).code == RefusalCode.ROLE
    assert refused(trigger, "", spec=spec).code == RefusalCode.ROLE_UNKNOWN
    assert allowed(trigger, "admin", spec=spec).push
    by_app = replace(trigger, actor=BOT)
    assert refused(by_app, "", spec=spec).code == RefusalCode.BOT
    if not spec.commands:
        assert allowed(by_app, "", spec=replace(spec, allowed_bots=(BOT.id,))).push


def test_a_command_can_be_switched_off_and_only_people_with_a_right_are_told() -> None:
    spec = replace(SPEC, commands={"fix": CommandRule(enabled=False)})
    told = refused(FIX, "write", spec=spec)
    assert (told.code, told.public) == (RefusalCode.DISABLED, True)
    assert refused(FIX, "read", spec=spec).code == RefusalCode.ROLE
    assert refused(replace(FIX, action=Action.APPROVE, approved=HEAD), "write", spec=spec).code == RefusalCode.DISABLED
    assert not allowed(replace(FIX, action=Action.PLAN), "write", spec=spec).push


def test_approving_needs_the_right_to_fix_and_the_head_of_the_plan() -> None:
    approve = replace(FIX, action=Action.APPROVE, approved=HEAD[:7])
    assert allowed(approve, "write").push
    strict = replace(SPEC, commands={"fix": CommandRule(roles=("admin",)), "approve": CommandRule(roles=("write",))})
    assert refused(approve, "write", spec=strict).code == RefusalCode.ROLE
    both = replace(SPEC, commands={"approve": CommandRule(roles=("admin",))})
    assert refused(approve, "write", spec=both).code == RefusalCode.ROLE
    for sha in ("bbbbbbb", "", HEAD + "a"):
        moved = refused(replace(approve, approved=sha), "write")
        assert (moved.code, moved.public) == (RefusalCode.HEAD_MOVED, True)


def test_stopping_is_for_writers_and_for_whoever_started_the_job() -> None:
    stop = replace(FIX, action=Action.STOP)
    assert refused(stop, "read").code == RefusalCode.ROLE
    assert refused(stop, "read", started_by=2).code == RefusalCode.ROLE
    assert not allowed(stop, "read", started_by=HUMAN.id).push
    assert not allowed(stop, "", started_by=HUMAN.id).push
    assert not allowed(stop, "write", replace(PULL, state="closed"), started_by=2).push
    nobody = replace(stop, actor=Actor("ghost", 0))
    assert refused(nobody, "", started_by=0).code == RefusalCode.ROLE_UNKNOWN
    assert refused(replace(stop, actor=BOT), "", started_by=BOT.id).code == RefusalCode.BOT


def test_retrying_alone_never_pushes() -> None:
    assert not allowed(replace(FIX, action=Action.RETRY), "admin").push


@pytest.mark.parametrize("action", [Action.FIX, Action.VERIFY, Action.PLAN, Action.REVIEW, Action.RUN, Action.RETRY])
def test_a_closed_pull_request_is_refused_in_public_and_only_talked_about(action: Action) -> None:
    closed = replace(PULL, state="closed")
    decision = refused(replace(FIX, action=action), "admin", closed)
    assert (decision.code, decision.public) == (RefusalCode.CLOSED, True)
    for talk in (Action.HELP, Action.EXPLAIN, Action.STOP):
        assert not allowed(replace(FIX, action=talk), "write", closed).push


def test_a_deleted_branch_cannot_be_fixed_but_verified() -> None:
    gone = replace(PULL, head_exists=False)
    assert refused(FIX, "write", gone).code == RefusalCode.HEAD_DELETED
    assert not allowed(replace(FIX, action=Action.VERIFY), "write", gone).push


@pytest.mark.parametrize("pull", [None, replace(PULL, number=6)])
def test_without_the_pull_request_of_the_trigger_nothing_is_done(pull: PullRequest | None) -> None:
    for action in Action:
        if action is not Action.PUBLISH:
            assert refused(replace(FIX, action=action), "admin", pull).code == RefusalCode.NO_PULL_REQUEST


def test_a_comment_on_lines_of_an_older_head_is_told_to_ask_again() -> None:
    asked = replace(FIX, event="pull_request_review_comment", head_sha="c" * 40)
    moved = refused(asked, "write")
    assert (moved.code, moved.public) == (RefusalCode.HEAD_MOVED, True)
    assert not refused(replace(asked, event="check_run", action=Action.VERIFY), "write").public


def test_pull_requests_need_not_be_verified_by_themselves() -> None:
    event = replace(FIX, event="pull_request", action=Action.VERIFY, comment_id=0, head_sha=HEAD)
    assert not allowed(replace(event, actor=BOT), "").push  # a required check has to be told for bots' changes too
    decision = refused(event, "", spec=replace(SPEC, verify_pull_requests=False))
    assert (decision.code, decision.silent) == (RefusalCode.EVENT_OFF, True)


@pytest.mark.parametrize("event", [*BY_PEOPLE, *BY_ITSELF, "workflow_dispatch"])
def test_only_the_configured_events_act(event: str) -> None:
    trigger = replace(FIX, event=event, action=Action.VERIFY, actor_checked=event == "workflow_dispatch")
    decision = refused(trigger, "write", spec=replace(SPEC, on=()))
    assert decision.code == RefusalCode.EVENT_OFF
    assert decision.silent != decision.public
    assert decision.public == (event in {*BY_PEOPLE, "workflow_dispatch"} and event != "workflow_run")


def test_only_our_label_and_our_assignee_ask_and_others_are_passed_over_in_silence() -> None:
    issue = replace(FIX, event="issues", is_pull_request=False, comment_id=0)
    assert allowed(replace(issue, label="Perstack"), "write", None).push
    assert allowed(replace(issue, assignee="Fixer"), "write", None, replace(SPEC, assignee="fixer")).push
    for other in (replace(issue, label="bug"), replace(issue, assignee="octocat")):
        decision = refused(other, "admin", None)
        assert (decision.code, decision.public, decision.silent) == (RefusalCode.UNASKED, False, True)
    assert refused(replace(issue, label="perstack"), "triage", None).code == RefusalCode.ROLE


def test_events_without_a_pull_request_may_open_one() -> None:
    branch = Trigger("push", Action.VERIFY, "o/r", 9, BOT, ref="main", head_sha=HEAD)
    assert not allowed(branch, "", None).push
    assert not allowed(replace(branch, event="schedule"), "", None).push
    assert allowed(replace(branch, event="schedule", action=Action.FIX, actor=HUMAN), "", None).push
    dispatch = Trigger("workflow_dispatch", Action.FIX, "o/r", 9, HUMAN, ref="main", actor_checked=True)
    assert allowed(dispatch, "write", None).push
    assert refused(replace(dispatch, actor=BOT), "", None).code == RefusalCode.BOT
    assert refused(replace(branch, action=Action.FIX), "", None).code == RefusalCode.BOT


def test_a_red_run_is_fixed_where_its_head_is_ours_and_its_starter_has_the_right() -> None:
    run = Trigger(
        "workflow_run", Action.FIX, "o/r", 9, HUMAN, ref="main", head_sha=HEAD, failed_run=4, head_repository_id=9
    )
    assert allowed(run, "write", None).push
    assert refused(run, "read", None).code == RefusalCode.ROLE
    assert refused(replace(run, head_repository_id=10), "write", None).code == RefusalCode.NO_PULL_REQUEST
    of_pull = replace(run, number=5, is_pull_request=True)
    assert allowed(of_pull, "write").push
    fork = refused(replace(of_pull, head_repository_id=10), "write", FORK)
    assert (fork.code, fork.public) == (RefusalCode.FORK, False)


@pytest.mark.threat("P27")
def test_a_result_is_published_for_the_very_head_and_repository_of_its_run() -> None:
    run = Trigger(
        "workflow_run", Action.PUBLISH, "o/r", 9, BOT, number=5, is_pull_request=True, head_sha=HEAD, failed_run=4,
        head_repository_id=10,
    )  # fmt: skip
    assert not needs_role(run, SPEC)
    assert not allowed(run, "", FORK).push
    assert refused(run, "", PULL).code == RefusalCode.NO_PULL_REQUEST
    assert refused(run, "", replace(FORK, head_repository_id=0)).code == RefusalCode.NO_PULL_REQUEST
    assert refused(run, "", replace(FORK, head_sha="c" * 40)).code == RefusalCode.HEAD_MOVED
    assert refused(replace(run, is_pull_request=False, number=0), "", None).code == RefusalCode.NO_PULL_REQUEST
    assert refused(replace(run, event="issue_comment"), "admin", FORK).code == RefusalCode.DISABLED


@pytest.mark.parametrize("event", ["push", "pull_request", "workflow_run", "schedule", "repository_dispatch"])
def test_our_own_fix_branch_is_fixed_again_only_when_a_person_asks(event: str) -> None:
    ours = replace(PULL, head_ref="perstack/fix-5-abc")
    spec = replace(SPEC, allowed_bots=(BOT.id,))
    trigger = replace(FIX, event=event, actor=BOT, actor_checked=True, head_repository_id=0)
    assert refused(trigger, "write", ours, spec).code == RefusalCode.LOOP
    on_branch = replace(trigger, is_pull_request=False, number=0, ref="perstack/fix-5-abc", head_repository_id=9)
    assert refused(on_branch, "write", None, spec).code == RefusalCode.LOOP
    assert not allowed(replace(trigger, action=Action.VERIFY), "write", ours, spec).push
    assert allowed(FIX, "write", ours).push


def test_a_fork_that_names_its_branch_like_ours_is_judged_as_a_fork() -> None:
    fork = replace(FORK, head_ref="perstack/fix-5-abc")
    trigger = replace(FIX, event="pull_request", head_sha=HEAD)
    assert not allowed(trigger, "", fork).push
