"""The trust matrix: each row, and that what is unknown is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from perstack.core.experts import GithubSpec
from perstack.forge.contract import Action, Actor, PullRequest, Trigger
from perstack.forge.trust import Allowed, RefusalCode, Refused, decide_trust

HUMAN = Actor("octocat", 1)
BOT = Actor("github-actions[bot]", 41898282, is_bot=True)
FIX = Trigger("issue_comment", Action.FIX, "o/r", 9, HUMAN, number=5, is_pull_request=True, comment_id=3)
PULL = PullRequest(5, "open", "a" * 40, "topic", 9, "b" * 40, "main")
FORK = replace(PULL, is_fork=True, head_repository_id=10)
SPEC = GithubSpec()


def refused(trigger: Trigger, role: str, pull: PullRequest | None = PULL, spec: GithubSpec = SPEC) -> Refused:
    decision = decide_trust(trigger, role, spec, pull)
    assert isinstance(decision, Refused), decision
    assert decision.sentence.endswith(".")
    return decision


def allowed(trigger: Trigger, role: str, pull: PullRequest | None = PULL, spec: GithubSpec = SPEC) -> Allowed:
    decision = decide_trust(trigger, role, spec, pull)
    assert isinstance(decision, Allowed), decision
    assert decision.why
    return decision


@pytest.mark.parametrize("role", ["admin", "maintain", "write"])
def test_a_writer_may_have_the_branch_of_the_same_repository_fixed(role: str) -> None:
    assert allowed(FIX, role).push


@pytest.mark.parametrize("role", ["read", "triage", "none", "Write", "custom"])
def test_other_roles_are_refused_without_a_public_answer(role: str) -> None:
    decision = refused(FIX, role)
    assert (decision.code, decision.public) == (RefusalCode.ROLE, False)
    assert f"`{role}`" in decision.sentence


def test_a_role_may_be_allowed_by_its_exact_name() -> None:
    assert allowed(FIX, "custom", spec=replace(SPEC, roles=("custom",))).push


def test_an_unknown_role_is_refused() -> None:
    assert refused(FIX, "").code == RefusalCode.ROLE_UNKNOWN


def test_bots_are_refused_until_their_id_is_allowed() -> None:
    decision = refused(replace(FIX, actor=BOT), "write")
    assert (decision.code, decision.public) == (RefusalCode.BOT, False)
    assert "41898282" in decision.sentence
    assert refused(replace(FIX, event="workflow_dispatch", actor=BOT, actor_checked=True), "").code == RefusalCode.BOT
    assert refused(replace(FIX, event="pull_request", action=Action.VERIFY, actor=BOT), "").code == RefusalCode.BOT
    spec = replace(SPEC, allowed_bots=(BOT.id,))
    assert allowed(replace(FIX, actor=BOT), "write", spec=spec).push
    assert refused(replace(FIX, actor=BOT), "read", spec=spec).code == RefusalCode.ROLE


def test_a_fork_is_fixed_as_a_suggestion_only_or_not_at_all() -> None:
    decision = allowed(FIX, "write", FORK)
    assert not decision.push
    assert "fork" in decision.why
    refusal = refused(FIX, "write", FORK, replace(SPEC, fork_policy="deny"))
    assert (refusal.code, refusal.public) == (RefusalCode.FORK, True)
    assert not allowed(FIX, "write", replace(FORK, head_exists=False)).push


@pytest.mark.parametrize("action", [Action.FIX, Action.VERIFY])
def test_a_closed_pull_request_is_refused_in_public(action: Action) -> None:
    decision = refused(replace(FIX, action=action), "admin", replace(PULL, state="closed"))
    assert (decision.code, decision.public) == (RefusalCode.CLOSED, True)


def test_a_deleted_branch_cannot_be_fixed_but_verified() -> None:
    gone = replace(PULL, head_exists=False)
    assert refused(FIX, "write", gone).code == RefusalCode.HEAD_DELETED
    assert not allowed(replace(FIX, action=Action.VERIFY), "write", gone).push


@pytest.mark.parametrize("pull", [None, replace(PULL, number=6)])
def test_without_the_pull_request_of_the_trigger_nothing_is_done(pull: PullRequest | None) -> None:
    assert refused(FIX, "admin", pull).code == RefusalCode.NO_PULL_REQUEST


def test_a_pull_request_event_is_verified_whoever_caused_it_and_never_pushes() -> None:
    event = replace(FIX, event="pull_request", action=Action.VERIFY, comment_id=0, head_sha=PULL.head_sha)
    assert not allowed(event, "").push
    assert not allowed(event, "none", FORK).push
    assert refused(event, "", spec=replace(SPEC, verify_pull_requests=False)).code == RefusalCode.DISABLED
    moved = refused(replace(event, head_sha="c" * 40), "write")
    assert (moved.code, moved.public) == (RefusalCode.HEAD_MOVED, False)


def test_a_dispatch_was_checked_by_the_forge() -> None:
    dispatch = Trigger("workflow_dispatch", Action.FIX, "o/r", 9, HUMAN, ref="main", actor_checked=True)
    assert allowed(dispatch, "", None).push


def test_issues_need_a_role_and_help_changes_nothing() -> None:
    issue = replace(FIX, is_pull_request=False)
    assert allowed(issue, "write", None).push
    assert refused(issue, "read", None).code == RefusalCode.ROLE
    assert not allowed(replace(issue, action=Action.HELP), "write", None).push
    assert not allowed(replace(FIX, action=Action.HELP), "write", replace(PULL, state="closed")).push
