"""What may be done for a trigger: the trust matrix as one pure function. Asks nobody; unknown means no.

Who may ask is in `rights.py`; here is what the request is about: the event, the pull request, its head, forks, loops.
"""

from __future__ import annotations

from dataclasses import dataclass

from perstack.core.experts import GithubSpec
from perstack.forge.contract import Action, PullRequest, Trigger
from perstack.forge.rights import WITHOUT_PERSON, RefusalCode, Refused, command_problem, person_problem

__all__ = ["Allowed", "RefusalCode", "Refused", "decide_trust"]
# What only talks about work: neither the state of the pull request nor its head matters.
_TALK = frozenset({Action.HELP, Action.EXPLAIN, Action.STOP})
_PUSHES = frozenset({Action.FIX, Action.APPROVE, Action.CREATE_EXPERT})
_BUILDS = _PUSHES | {Action.PLAN, Action.RUN}
_NO_TEAMS: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Allowed:
    """The job may run. `push`: a proved commit may be published; `why` says what is allowed and why not more."""

    push: bool
    why: str


def decide_trust(
    trigger: Trigger,
    role: str,
    github: GithubSpec,
    pull: PullRequest | None,
    *,
    teams: frozenset[str] = _NO_TEAMS,
    started_by: int = 0,
) -> Allowed | Refused:
    """What this trigger may have done.

    `role` is the actor's `role_name`, empty where it could not be learned; `teams` are those of `teams_to_ask` that
    the actor is a member of; `started_by` is the account that started what `stop` would end. `retry` is allowed
    without any right to push: the command it repeats is a trigger of its own and is decided again.
    """
    refused = (
        _unasked(trigger, github)
        or person_problem(trigger, role, github, teams, started_by)
        or _event_problem(trigger, github)
        or command_problem(trigger, github)
        or _loop(trigger, github, pull)
    )
    if refused is not None:
        return refused
    if trigger.is_pull_request:
        return _about_pull_request(trigger, github, pull)
    return _about_branch(trigger, role)


def _unasked(trigger: Trigger, github: GithubSpec) -> Refused | None:
    """An issue that got a label or an assignee that is not ours."""
    sentence = ""
    if trigger.label and trigger.label.casefold() != github.label.casefold():
        sentence = f"only the label `{github.label}` asks for a fix."
    if trigger.assignee and trigger.assignee.casefold() != github.assignee.casefold():
        sentence = "only an issue that is assigned to the account `assignee` of `[github]` asks for a fix."
    return Refused(RefusalCode.UNASKED, sentence, public=False, silent=True) if sentence else None


def _event_problem(trigger: Trigger, github: GithubSpec) -> Refused | None:
    by_itself = trigger.event in WITHOUT_PERSON or trigger.event == "workflow_run"
    if trigger.event not in github.on:
        sentence = f"the event `{trigger.event}` is not one of those that act here (`on` in `[github]`)."
        return Refused(RefusalCode.EVENT_OFF, sentence, public=not by_itself, silent=by_itself)
    if trigger.event == "pull_request" and not github.verify_pull_requests:
        sentence = "pull requests are not verified by themselves here (`verifyPullRequests = false`)."
        return Refused(RefusalCode.EVENT_OFF, sentence, public=False, silent=True)
    if trigger.action is Action.PUBLISH and trigger.event != "workflow_run":
        sentence = "only the result of a workflow run can be published."
        return Refused(RefusalCode.DISABLED, sentence, public=False)
    return None


def _loop(trigger: Trigger, github: GithubSpec, pull: PullRequest | None) -> Refused | None:
    """A fix of our own fix that nobody asked for would be answered by the next one, for ever."""
    if trigger.action not in _BUILDS or trigger.event not in {*WITHOUT_PERSON, "workflow_run"}:
        return None
    if trigger.is_pull_request:
        branch = pull.head_ref if pull is not None and not pull.is_fork else ""
    else:
        branch = trigger.ref
    if not branch.startswith(github.branch_prefix):
        return None
    sentence = f"`{branch[:100]}` is a fix branch of ours; it is fixed again only when a person asks."
    return Refused(RefusalCode.LOOP, sentence, public=False)


def _about_branch(trigger: Trigger, role: str) -> Allowed | Refused:
    """An issue, or a branch that an event names."""
    if trigger.action is Action.PUBLISH or (trigger.event == "workflow_run" and _elsewhere(trigger)):
        sentence = "the workflow run belongs to no open pull request here, and its head is in another repository."
        return Refused(RefusalCode.NO_PULL_REQUEST, sentence, public=False)
    if trigger.action in _PUSHES:
        return Allowed(push=True, why=_why(trigger, role))
    return Allowed(push=False, why=f"`{trigger.action}` changes nothing.")


def _about_pull_request(trigger: Trigger, github: GithubSpec, pull: PullRequest | None) -> Allowed | Refused:
    by_itself = trigger.event in WITHOUT_PERSON or trigger.event == "workflow_run"
    if pull is None or pull.number != trigger.number:
        sentence = f"pull request #{trigger.number} could not be read."
        return Refused(RefusalCode.NO_PULL_REQUEST, sentence, public=not by_itself)
    if trigger.head_repository_id and trigger.head_repository_id != pull.head_repository_id:
        sentence = f"the workflow run's head is not in the repository of pull request #{pull.number}."
        return Refused(RefusalCode.NO_PULL_REQUEST, sentence, public=False)
    if trigger.action in _TALK:
        return Allowed(push=False, why=f"`{trigger.action}` changes nothing.")
    if pull.state != "open":
        sentence = f"pull request #{pull.number} is {pull.state}; reopen it and ask again."
        return Refused(RefusalCode.CLOSED, sentence, public=not by_itself)
    if trigger.head_sha and trigger.head_sha != pull.head_sha:
        moved = f"the head moved from {trigger.head_sha[:12]} to {pull.head_sha[:12]}"
        if trigger.event == "pull_request_review_comment":
            return Refused(RefusalCode.HEAD_MOVED, f"{moved}; ask again if it still holds.", public=True)
        return Refused(RefusalCode.HEAD_MOVED, f"{moved}; the newer event takes over.", public=False)
    if trigger.action is Action.APPROVE and not (trigger.approved and pull.head_sha.startswith(trigger.approved)):
        approved = trigger.approved[:12] or "nothing"
        sentence = f"{approved} was approved, and the head is {pull.head_sha[:12]}; ask for a plan of the new head."
        return Refused(RefusalCode.HEAD_MOVED, sentence, public=True)
    return _about_open_pull_request(trigger, github, pull)


def _about_open_pull_request(trigger: Trigger, github: GithubSpec, pull: PullRequest) -> Allowed | Refused:
    action = trigger.action
    if action not in _BUILDS:
        return Allowed(push=False, why=f"`{action}` changes nothing.")
    if pull.is_fork:
        return _about_fork(trigger, github)
    if not pull.head_exists:
        sentence = "the pull request's branch was deleted; restore it and ask again."
        return Refused(RefusalCode.HEAD_DELETED, sentence, public=True)
    if action not in _PUSHES:
        return Allowed(push=False, why=f"`{action}` changes nothing.")
    if trigger.event == "pull_request":
        return Allowed(push=False, why="nobody asked for a commit; what is found is suggested.")
    return Allowed(push=True, why="the branch is in this repository.")


def _about_fork(trigger: Trigger, github: GithubSpec) -> Allowed | Refused:
    if github.fork_policy != "suggest":
        sentence = "pull requests from forks are not fixed here (`forkPolicy` in `[github]` of `perstack.toml`)."
        return Refused(RefusalCode.FORK, sentence, public=trigger.event not in WITHOUT_PERSON)
    if trigger.event == "workflow_run":
        sentence = "a red run of a fork is fixed only when a person asks."
        return Refused(RefusalCode.FORK, sentence, public=False)
    return Allowed(push=False, why="the pull request comes from a fork, which we never push to.")


def _elsewhere(trigger: Trigger) -> bool:
    return trigger.head_repository_id != trigger.repository_id


def _why(trigger: Trigger, role: str) -> str:
    if trigger.event in WITHOUT_PERSON:
        return "the workflow says so, and only writers can change it."
    return f"the role is `{role or 'that of a team'}`."
