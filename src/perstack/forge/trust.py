"""Who may have what done: the trust matrix as one pure function. Asks nobody; unknown means no.

Names are never compared: a login can be renamed, and a name that ends in `[bot]` says nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from perstack.core.experts import GithubSpec
from perstack.forge.contract import Action, PullRequest, Trigger


class RefusalCode(StrEnum):
    """Every reason not to act."""

    BOT = "bot"
    ROLE = "role"
    ROLE_UNKNOWN = "role-unknown"
    DISABLED = "disabled"
    NO_PULL_REQUEST = "no-pull-request"
    CLOSED = "closed"
    HEAD_MOVED = "head-moved"
    HEAD_DELETED = "head-deleted"
    FORK = "fork"


@dataclass(frozen=True, slots=True)
class Allowed:
    """The job may run. `push`: a proved commit may be published; `why` says what is allowed and why not more."""

    push: bool
    why: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing is done. `public`: the sentence may be shown where the request was made, else only in log and summary.

    Strangers and bots get no public answer: it would let them make us write, and answer ourselves for ever.
    """

    code: str
    sentence: str
    public: bool


def decide_trust(trigger: Trigger, role: str, github: GithubSpec, pull: PullRequest | None) -> Allowed | Refused:
    """What this trigger may have done. `role` is the actor's `role_name`, empty where it could not be learned."""
    actor = trigger.actor
    if actor.is_bot and actor.id not in github.allowed_bots:
        return Refused(
            RefusalCode.BOT,
            f"the request came from a bot (account id {actor.id}); "
            f"add the id to `allowedBots` in `[github]` of `perstack.toml` to let it ask.",
            public=False,
        )
    needs_role = trigger.event != "pull_request" and not trigger.actor_checked
    if needs_role and role not in github.roles:
        return _role_refusal(role, github)
    if trigger.is_pull_request:
        return _about_pull_request(trigger, github, pull)
    return Allowed(push=trigger.action is Action.FIX, why=_why(trigger, role))


def _role_refusal(role: str, github: GithubSpec) -> Refused:
    wanted = ", ".join(f"`{name}`" for name in github.roles) or "a role in `[github] roles`"
    if not role:
        return Refused(
            RefusalCode.ROLE_UNKNOWN,
            "the forge did not say which role the person has here, and without a role nothing is done.",
            public=False,
        )
    return Refused(
        RefusalCode.ROLE,
        f"commands need one of the roles {wanted} in this repository; the person who asked has `{role}`.",
        public=False,
    )


def _about_pull_request(trigger: Trigger, github: GithubSpec, pull: PullRequest | None) -> Allowed | Refused:
    if trigger.event == "pull_request" and not github.verify_pull_requests:
        sentence = "pull requests are not verified by themselves here (`verifyPullRequests = false`)."
        return Refused(RefusalCode.DISABLED, sentence, public=False)
    if pull is None or pull.number != trigger.number:
        sentence = f"pull request #{trigger.number} could not be read."
        return Refused(RefusalCode.NO_PULL_REQUEST, sentence, public=True)
    if trigger.action is Action.HELP:
        return Allowed(push=False, why="help changes nothing.")
    if pull.state != "open":
        sentence = f"pull request #{pull.number} is {pull.state}; reopen it and ask again."
        return Refused(RefusalCode.CLOSED, sentence, public=True)
    if trigger.head_sha and trigger.head_sha != pull.head_sha:
        sentence = f"the head moved from {trigger.head_sha[:12]} to {pull.head_sha[:12]}; the newer event takes over."
        return Refused(RefusalCode.HEAD_MOVED, sentence, public=False)
    return _about_open_pull_request(trigger, github, pull)


def _about_open_pull_request(trigger: Trigger, github: GithubSpec, pull: PullRequest) -> Allowed | Refused:
    if trigger.action is Action.VERIFY:
        return Allowed(push=False, why="verifying changes nothing.")
    if pull.is_fork:
        return _about_fork(github)
    if not pull.head_exists:
        sentence = "the pull request's branch was deleted; restore it and ask again."
        return Refused(RefusalCode.HEAD_DELETED, sentence, public=True)
    return Allowed(push=True, why="the branch is in this repository.")


def _about_fork(github: GithubSpec) -> Allowed | Refused:
    if github.fork_policy != "suggest":
        sentence = "pull requests from forks are not fixed here (`forkPolicy` in `[github]` of `perstack.toml`)."
        return Refused(RefusalCode.FORK, sentence, public=True)
    return Allowed(push=False, why="the pull request comes from a fork, which we never push to.")


def _why(trigger: Trigger, role: str) -> str:
    if trigger.action is not Action.FIX:
        return "help changes nothing."
    return "the forge lets only writers start workflows." if trigger.actor_checked else f"the role is `{role}`."
