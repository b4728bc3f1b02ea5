"""Who may give which command: bots by id, people by role and team. Pure; asks nobody, and unknown means no.

Names are never compared: a login can be renamed, and a name that ends in `[bot]` says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from perstack.core.experts import CommandRule, GithubSpec
from perstack.forge.contract import Action, Trigger

# Nobody asks for these: the workflow does what it is there for. What is done for them beside verifying is restricted.
WITHOUT_PERSON = frozenset({"pull_request", "push", "schedule", "repository_dispatch", "merge_group"})


class RefusalCode(StrEnum):
    """Every reason not to act."""

    UNASKED = "unasked"
    EVENT_OFF = "event-off"
    BOT = "bot"
    ROLE = "role"
    ROLE_UNKNOWN = "role-unknown"
    DISABLED = "disabled"
    LOOP = "loop"
    NO_PULL_REQUEST = "no-pull-request"
    CLOSED = "closed"
    HEAD_MOVED = "head-moved"
    HEAD_DELETED = "head-deleted"
    FORK = "fork"
    COOL_DOWN = "cool-down"
    ACTOR_JOBS = "actor-jobs"
    DAY_JOBS = "day-jobs"
    DAY_TOKENS = "day-tokens"


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing is done. `public`: the sentence may be shown where the request was made, else only in log and summary.

    Strangers and bots get no public answer: it would let them make us write, and answer ourselves for ever. `silent`:
    nobody asked us for anything; the log is enough, without a reaction.
    """

    code: str
    sentence: str
    public: bool
    silent: bool = False


def needs_role(trigger: Trigger, github: GithubSpec) -> bool:
    """Whether the person's role has to be asked for before anything is decided."""
    dispatched = trigger.event == "repository_dispatch" and trigger.action is not Action.VERIFY
    if (trigger.event in WITHOUT_PERSON and not dispatched) or trigger.action is Action.PUBLISH:
        return False
    # Only writers can send a dispatch, but the roles here may ask for more. An app has no role that could be learned:
    # that its id is allowed is enough then, unless the command has a rule of its own.
    trusted = trigger.actor_checked and trigger.actor.is_bot
    return not trusted or any(_is_own(rule) for rule in _rules(trigger.action, github))


def teams_to_ask(trigger: Trigger, role: str, github: GithubSpec) -> tuple[str, ...]:
    """The teams (`org/slug`) whose membership decides; empty where the role does."""
    if not needs_role(trigger, github):
        return ()
    wanted: dict[str, None] = {}
    for roles, teams in _who(trigger.action, github):
        if not _has(role, roles):
            wanted.update(dict.fromkeys(teams))
    return tuple(wanted)


def person_problem(
    trigger: Trigger, role: str, github: GithubSpec, teams: frozenset[str], started_by: int
) -> Refused | None:
    """Why whoever caused the event may not have this done; None where they may."""
    actor = trigger.actor
    if actor.is_bot and actor.id not in github.allowed_bots and not _harmless(trigger):
        return Refused(
            RefusalCode.BOT,
            f"the request came from a bot (account id {actor.id}); "
            f"add the id to `allowedBots` in `[github]` of `perstack.toml` to let it ask.",
            public=False,
        )
    if not needs_role(trigger, github):
        return None
    if trigger.action is Action.STOP and started_by and started_by == actor.id:
        return None
    members = frozenset(team.casefold() for team in teams)
    for roles, wanted in _who(trigger.action, github):
        if not _has(role, roles) and not members & {team.casefold() for team in wanted}:
            return _refusal(trigger.action, role, roles, wanted)
    return None


def command_problem(trigger: Trigger, github: GithubSpec) -> Refused | None:
    """A command that is switched off; None where it is not."""
    for action in dict.fromkeys((trigger.action, *_also(trigger.action))):
        rule = github.commands.get(action.value)
        if rule is not None and not rule.enabled:
            sentence = f"`{action}` is switched off here (`[github.commands.{action}]` of `perstack.toml`)."
            return Refused(RefusalCode.DISABLED, sentence, public=trigger.event not in WITHOUT_PERSON)
    return None


def _harmless(trigger: Trigger) -> bool:
    """Verifying what came in by itself is no favour to anybody: a required check must be told for bots' changes too."""
    unasked = trigger.event in WITHOUT_PERSON and trigger.action is Action.VERIFY
    return unasked or trigger.action is Action.PUBLISH or trigger.event == "schedule"


def _also(action: Action) -> tuple[Action, ...]:
    """Commands whose right is needed as well: approving a plan is having it carried out."""
    return (Action.FIX,) if action is Action.APPROVE else ()


def _rules(action: Action, github: GithubSpec) -> list[CommandRule]:
    names = [one.value for one in (action, *_also(action))]
    return [github.commands[name] for name in names if name in github.commands]


def _has(role: str, roles: Sequence[str]) -> bool:
    return bool(role) and role in roles


def _is_own(rule: CommandRule) -> bool:
    return bool(rule.roles or rule.teams)


def _who(action: Action, github: GithubSpec) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Roles and teams, all of whose rows must be met: the rule of each command, else the common one."""
    rows = []
    for one in (*_also(action), action):
        rule = github.commands.get(one.value, CommandRule())
        rows.append((rule.roles, rule.teams) if _is_own(rule) else (github.roles, github.teams))
    return rows


def _refusal(action: Action, role: str, roles: Sequence[str], teams: Sequence[str]) -> Refused:
    if not role and not teams:
        return Refused(
            RefusalCode.ROLE_UNKNOWN,
            "the forge did not say which role the person has here, and without a role nothing is done.",
            public=False,
        )
    wanted = ", ".join(f"`{name}`" for name in roles) or "(none)"
    of_team = f", or membership of {', '.join(f'`{name}`' for name in teams)}" if teams else ""
    return Refused(
        RefusalCode.ROLE,
        f"`{action}` needs one of the roles {wanted} in this repository{of_team}; "
        f"the person who asked has `{role or 'unknown'}`.",
        public=False,
    )
