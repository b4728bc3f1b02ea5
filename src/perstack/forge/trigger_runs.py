"""Events that nobody writes words for: pull requests, check runs, workflow runs, pushes, schedules, dispatches. Pure.

What they do beside verifying is said by the workflow (its input `command`), never by the payload, which a stranger's
branch names and pull request titles are part of. The exception are dispatches: only writers can send them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from perstack.core.errors import UserError
from perstack.forge import payload as read
from perstack.forge import trigger_facts as facts
from perstack.forge.contract import Action, Actor, Ignored, Trigger
from perstack.forge.payload import Payload
from perstack.forge.trigger_facts import NO_ACTOR, Workflow

EXTERNAL_ID = "perstack:"
_VERIFY_ON = frozenset({"opened", "synchronize", "reopened", "ready_for_review", "edited"})
_ON_HEADS = frozenset({Action.VERIFY, Action.FIX, Action.PLAN, Action.REVIEW})
_ON_BRANCHES = frozenset({Action.VERIFY, Action.FIX, Action.PLAN, Action.RUN})
_DISPATCHED = frozenset(Action) - {Action.PUBLISH, Action.STOP}
_ABOUT_EARLIER = frozenset({Action.APPROVE, Action.RETRY, Action.EXPLAIN})  # what was said on one issue before
_RED = frozenset({"failure", "timed_out", "startup_failure"})
# Runs whose head is the code that was built. Others run on the default branch, whatever they are about.
_BUILDS = frozenset({"push", "pull_request", "merge_group", "schedule", "workflow_dispatch"})
_KEY = re.compile(rf"{EXTERNAL_ID}[a-z-]+-([1-9][0-9]{{0,14}})(?::|\Z)")
_NO_COMMIT = re.compile("0+")
Read = Trigger | Ignored


def pull_request(payload: Payload, workflow: Workflow) -> Read:
    """A pull request that is new, has a new head, or goes into another branch: then it is another change."""
    action = read.text(payload, "action")
    if action == "edited" and read.find(payload, "changes.base") is None:
        return Ignored("the pull request's words were edited, which are no part of what is judged")
    if action not in _VERIFY_ON:
        return Ignored(f"the pull request was {action}")
    if read.text(payload, "pull_request.state") != "open":
        return Ignored("the pull request is closed")
    actor = facts.actor(payload)
    if actor is None:
        return NO_ACTOR
    command = facts.wish(workflow.command, workflow.task, Action.VERIFY, _ON_HEADS)
    return Trigger(
        event="pull_request",
        action=command.action,
        actor=actor,
        number=read.integer(payload, "pull_request.number"),
        is_pull_request=True,
        head_sha=facts.sha(payload, "pull_request.head.sha"),
        ref=read.text(payload, "pull_request.base.ref"),
        url=read.text_or_empty(payload, "pull_request.html_url"),
        **facts.repository(payload),
        **facts.texts(payload, "pull_request", command.arguments),
    )


def check_run(payload: Payload) -> Read:
    """Somebody pressed "Re-run" at a check run of ours: its commit is verified again."""
    action = read.text(payload, "action")
    if action != "rerequested":
        return Ignored(f"the check run was {action}")
    name = read.text_or_empty(payload, "check_run.external_id")
    if not name.startswith(EXTERNAL_ID):
        return Ignored("the check run is not ours")
    actor = facts.actor(payload)
    if actor is None:
        return NO_ACTOR
    head = facts.sha(payload, "check_run.head_sha")
    number = _pull_request_of(payload, "check_run", head) or _number_in(name)
    if not number:
        return Ignored("the check run belongs to no pull request")
    return Trigger(
        event="check_run",
        action=Action.VERIFY,
        actor=actor,
        number=number,
        is_pull_request=True,
        head_sha=head,
        url=read.text_or_empty(payload, "check_run.html_url"),
        **facts.repository(payload),
    )


def workflow_run(payload: Payload, workflow: Workflow) -> Read:
    """A run that ended: red ones are a task, and the result of an unprivileged one is published."""
    action = read.text(payload, "action")
    if action != "completed":
        return Ignored(f"the workflow run was {action}")
    command = facts.wish(
        workflow.command, workflow.task, Action.FIX, frozenset({Action.FIX, Action.PLAN, Action.PUBLISH})
    )
    why_not = _useless_run(payload, command.action)
    if why_not:
        return Ignored(why_not)
    actor = facts.account(payload, "workflow_run.triggering_actor") or facts.account(payload, "workflow_run.actor")
    actor = actor or facts.actor(payload)
    if actor is None:
        return NO_ACTOR
    head = facts.sha(payload, "workflow_run.head_sha")
    number = _pull_request_of(payload, "workflow_run", head)
    return Trigger(
        event="workflow_run",
        actor=actor,
        number=number,
        is_pull_request=bool(number),
        head_sha=head,
        head_repository_id=read.integer(payload, "workflow_run.head_repository.id"),
        ref=facts.branch_or_empty(read.text_or_empty(payload, "workflow_run.head_branch")),
        failed_run=read.integer(payload, "workflow_run.id"),
        run_attempt=read.integer(payload, "workflow_run.run_attempt"),
        url=read.text_or_empty(payload, "workflow_run.html_url"),
        **facts.repository(payload),
        **facts.words_of(command),
    )


def _useless_run(payload: Payload, action: Action) -> str:
    """Why this run asks for nothing; empty where it does."""
    cause = read.text(payload, "workflow_run.event")
    conclusion = read.text_or_empty(payload, "workflow_run.conclusion")
    if read.integer(payload, "workflow_run.repository.id") != read.integer(payload, "repository.id"):
        return "the workflow run is another repository's"
    if read.find(payload, "workflow_run.head_repository.id") is None:
        return "the repository that the workflow run's head lies in no longer exists"
    if action is Action.PUBLISH:
        # The head of any other run is not what was looked at: nothing could be bound to it.
        return "" if cause == "pull_request" else f"a run of the event `{cause}` has no result to publish"
    if conclusion not in _RED:
        return f"the workflow run ended as `{conclusion or 'unknown'}`; only red ones are fixed"
    if cause not in _BUILDS:
        return f"a red run of the event `{cause}` says nothing about its head"
    return ""


def push(payload: Payload, workflow: Workflow) -> Read:
    """Commits on a branch: what came with them is verified against what was there before."""
    ref = read.text(payload, "ref")
    name = facts.branch_or_empty(ref)
    if not ref.startswith("refs/heads/") or not name:
        return Ignored("what was pushed is no branch")
    after, before = facts.sha(payload, "after"), facts.sha(payload, "before")
    if read.find(payload, "deleted") is True or _NO_COMMIT.fullmatch(after):
        return Ignored("the branch was deleted")
    actor = facts.actor(payload)
    if actor is None:
        return NO_ACTOR
    return Trigger(
        event="push",
        actor=actor,
        head_sha=after,
        base_sha="" if _NO_COMMIT.fullmatch(before) else before,
        ref=name,
        url=read.text_or_empty(payload, "compare"),
        **facts.repository(payload),
        **facts.words_of(facts.wish(workflow.command, workflow.task, Action.VERIFY, _ON_BRANCHES)),
    )


def merge_group(payload: Payload) -> Read:
    """A merge queue waits for checks on what would be merged."""
    action = read.text(payload, "action")
    if action != "checks_requested":
        return Ignored(f"the merge group was {action}")
    actor = facts.actor(payload)
    if actor is None:
        return NO_ACTOR
    return Trigger(
        event="merge_group",
        action=Action.VERIFY,
        actor=actor,
        head_sha=facts.sha(payload, "merge_group.head_sha"),
        base_sha=facts.sha(payload, "merge_group.base_sha"),
        ref=facts.branch(read.text(payload, "merge_group.base_ref")),
        **facts.repository(payload),
    )


def schedule(payload: Payload, workflow: Workflow) -> Read:
    """The clock. Its payload names neither person nor repository; the workflow does."""
    if not workflow.repository or not workflow.repository_id:
        raise UserError(
            "The event `schedule` names no repository.",
            hint="GITHUB_REPOSITORY and GITHUB_REPOSITORY_ID must be set, as they are in every workflow.",
        )
    return Trigger(
        event="schedule",
        actor=Actor(workflow.actor, workflow.actor_id),
        repository=workflow.repository,
        repository_id=workflow.repository_id,
        default_branch=read.text_or_empty(payload, "repository.default_branch"),
        head_sha=workflow.sha,
        ref=facts.branch(workflow.ref),
        **facts.words_of(facts.wish(workflow.command, workflow.task, Action.VERIFY, _ON_BRANCHES)),
    )


def workflow_dispatch(payload: Payload, workflow: Workflow) -> Read:
    """The form at "Run workflow"."""
    ref = _input(payload, "inputs", "ref") or read.text(payload, "ref")
    return _dispatched(payload, workflow, "inputs", default=Action.FIX, ref=ref)


def repository_dispatch(payload: Payload, workflow: Workflow) -> Read:
    """A program's request; only tokens that may write can send it. The name of the event is free text."""
    read.text(payload, "action")
    ref = _input(payload, "client_payload", "ref") or read.text_or_empty(payload, "branch")
    ref = ref or read.text(payload, "repository.default_branch")
    return _dispatched(payload, workflow, "client_payload", default=Action.VERIFY, ref=ref)


def _dispatched(payload: Payload, workflow: Workflow, table: str, *, default: Action, ref: str) -> Read:
    actor = facts.actor(payload)
    if actor is None:
        return NO_ACTOR
    word = _input(payload, table, "command") or workflow.command
    command = facts.wish(word, _input(payload, table, "task") or workflow.task, default, _DISPATCHED)
    pull = _number(payload, table, "pull-request") or _number(payload, table, "number")
    issue = 0 if pull else _number(payload, table, "issue")
    by_form = table == "inputs"
    needs_pull = command.action is Action.REVIEW or (command.action is Action.VERIFY and by_form)
    if needs_pull and not pull:
        raise UserError(
            f"`{command.action}` needs the input `pull-request`.", hint="Give the number of an open pull request."
        )
    if command.action in _ABOUT_EARLIER and not pull and not issue:
        raise UserError(
            f"`{command.action}` needs the input `pull-request` or `issue`.", hint="Give the number it is about."
        )
    return Trigger(
        event="workflow_dispatch" if by_form else "repository_dispatch",
        actor=actor,
        number=pull or issue,
        is_pull_request=bool(pull),
        ref=facts.branch(ref),
        url=read.text_or_empty(payload, "repository.html_url"),
        actor_checked=True,
        **facts.repository(payload),
        **facts.words_of(command),
    )


def _input(payload: Payload, table: str, name: str) -> str:
    """One input as text; the API allows numbers and booleans, and names with `_` for `-`."""
    for key in (name, name.replace("-", "_")):
        value = read.find(payload, f"{table}.{key}")
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, str | int):
            return str(value).strip()
    return ""


def _number(payload: Payload, table: str, name: str) -> int:
    value = _input(payload, table, name).removeprefix("#")
    if not value:
        return 0
    if not (value.isascii() and value.isdigit() and 0 < len(value) < 16 and int(value) > 0):
        raise UserError(f"The input `{name}` is not a number.", hint="Give a number such as 42.")
    return int(value)


def _pull_request_of(payload: Payload, subject: str, head: str) -> int:
    """The pull request of this repository that has this head, 0 where the payload names none.

    Forks' pull requests are never listed; those of other repositories that share the commit are.
    """
    listed = read.find(payload, f"{subject}.pull_requests")
    for pull in listed if isinstance(listed, Sequence) else ():
        if not isinstance(pull, Mapping):
            continue
        here = read.find(pull, "base.repo.id") == read.integer(payload, "repository.id")
        if here and read.find(pull, "head.sha") == head:
            return read.integer(pull, "number")
    return 0


def _number_in(external_id: str) -> int:
    """The pull request that `perstack:verify-5:123.1` is about, 0 where there is none."""
    match = _KEY.match(external_id)
    return int(match[1]) if match else 0
