"""From a trigger to an assignment: what it is about, by which configuration, and whether it may. Fails closed.

Asks the forge and writes nothing. A command that means another one (`retry`, `approve`) is turned into that here, and
that one is asked for again as if it had been written.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from perstack import api
from perstack.core.experts import Config
from perstack.forge.budget import decide_budget
from perstack.forge.contract import Action, OwnComment, PullRequest, Trigger
from perstack.forge.rights import WITHOUT_PERSON, RefusalCode, Refused, needs_role, teams_to_ask
from perstack.forge.trust import Allowed, decide_trust
from perstack.interface.calls import call
from perstack.interface.jobs.assignment import Assignment, Plan
from perstack.interface.jobs.desk import Desk
from perstack.interface.jobs.record import MAX_ARGUMENTS, Record, read_record, timestamp, unpack_plan
from perstack.interface.render import markdown

_COSTS = frozenset({Action.FIX, Action.PLAN, Action.REVIEW, Action.RUN, Action.CREATE_EXPERT})
_AGAIN = _COSTS | {Action.VERIFY}
_ALL_SAID = frozenset({Action.RUN.value, Action.CREATE_EXPERT.value})  # their words are the whole task
_DAY = timedelta(hours=24)


async def admit(desk: Desk, trigger: Trigger) -> Assignment | Refused:
    """What there is to do, or why nothing is.

    Raises: UserError for a configuration of the base that cannot be read; ForgeError.
    """
    found = await _about(desk, trigger)
    if isinstance(found, Refused):
        return found
    if trigger.action is Action.RETRY:
        return await _retried(desk, found)
    if trigger.action is Action.APPROVE:
        return await _approved(desk, found)
    if trigger.action is Action.FIX and found.config.github.approval == "always":
        note = "fixes need an approved plan here (`approval` in `[github]` of `perstack.toml`): this is the plan."
        found = replace(found, trigger=replace(found.trigger, action=Action.PLAN), note=note)
    return await _within_budget(desk, found)


async def _about(desk: Desk, trigger: Trigger) -> Assignment | Refused:
    """The commit that is meant and the decision of the trust matrix."""
    forge = desk.forge
    pull = await _pull_of(desk, trigger)
    trigger = _bound(trigger, pull)
    base_ref = pull.base_ref if pull else await _branch(desk, trigger)
    tip = await call(forge.branch_sha, base_ref)
    if not tip:
        return Refused("no-branch", f"branch `{base_ref}` does not exist.", public=False)
    here = trigger.head_repository_id in {0, trigger.repository_id}
    if trigger.event == "workflow_run" and pull is None and here and trigger.head_sha != tip:
        moved = f"`{base_ref}` moved on from {trigger.head_sha[:12]}; the run of {tip[:12]} says more."
        return Refused(RefusalCode.HEAD_MOVED, moved, public=False)
    # From the base: neither a pull request nor a push changes how it is judged itself.
    config = await read_config(desk, await _judging_commit(desk, trigger, pull, tip))
    decision = await _trust(desk, trigger, config, pull)
    if isinstance(decision, Refused):
        return decision
    head = pull.head_sha if pull else trigger.head_sha or tip
    return Assignment(trigger, config, head, decision, pull=pull, branch="" if pull else base_ref)


async def _judging_commit(desk: Desk, trigger: Trigger, pull: PullRequest | None, tip: str) -> str:
    """The commit whose configuration counts. A branch that is verified by itself does not bring its own."""
    if pull is not None or trigger.number or trigger.action is not Action.VERIFY:
        return tip
    default = trigger.default_branch or await call(desk.forge.default_branch)
    if trigger.event == "merge_group" or await _branch(desk, trigger) == default:
        return trigger.base_sha or tip
    return await call(desk.forge.branch_sha, default) or tip


async def read_config(desk: Desk, commit: str) -> Config:
    """The configuration of a commit. Raises: UserError with every problem at its line."""

    async def read(name: str) -> bytes | None:
        return await call(desk.forge.read_file, name, commit)

    return await api.committed_config(read)


async def _pull_of(desk: Desk, trigger: Trigger) -> PullRequest | None:
    """The pull request as it is now. Where only a commit is known it is looked up by that and by its repository."""
    if trigger.is_pull_request:
        return await call(desk.forge.pull_request, trigger.number)
    if trigger.event != "workflow_run" or not trigger.head_sha:
        return None
    same = trigger.head_repository_id
    found = await call(desk.forge.pulls_of, trigger.head_sha)
    return next((p for p in found if p.head_sha == trigger.head_sha and p.head_repository_id == same), None)


def _bound(trigger: Trigger, pull: PullRequest | None) -> Trigger:
    """A workflow run's trigger bound to the pull request that was found; what the payload says of one is not used."""
    if trigger.event != "workflow_run":
        return trigger
    return replace(trigger, number=pull.number if pull else 0, is_pull_request=pull is not None)


async def _branch(desk: Desk, trigger: Trigger) -> str:
    elsewhere = trigger.head_repository_id not in {0, trigger.repository_id}
    return ("" if elsewhere else trigger.ref) or trigger.default_branch or await call(desk.forge.default_branch)


async def _trust(desk: Desk, trigger: Trigger, config: Config, pull: PullRequest | None) -> Allowed | Refused:
    forge, actor = desk.forge, trigger.actor
    role = await call(forge.role_of, actor) if needs_role(trigger, config.github) else ""
    wanted = teams_to_ask(trigger, role, config.github)
    teams = await call(forge.teams_of, actor, wanted) if wanted else frozenset()
    started_by = 0
    if trigger.action is Action.STOP:
        latest = await last_record(desk, trigger.number, states=frozenset({"working"}))
        started_by = latest.actor if latest else 0
    return decide_trust(trigger, role, config.github, pull, teams=teams, started_by=started_by)


async def _retried(desk: Desk, found: Assignment) -> Assignment | Refused:
    """The last command here, asked for anew by who asks now."""
    newest = await _newest(desk, found.number, commands=frozenset(a.value for a in _AGAIN))
    if newest is None:
        return _advised("nothing-to-retry", markdown.NOTHING_TO_RETRY)
    comment, last = newest
    if await call(desk.forge.edited_by_others, comment):
        return _advised("record-edited", markdown.RECORD_EDITED)
    if last.command in _ALL_SAID and len(last.arguments) >= MAX_ARGUMENTS:
        return _advised("nothing-to-retry", markdown.TOO_LONG_TO_RETRY)
    trigger = replace(
        found.trigger, action=Action(last.command), arguments=last.arguments, expert=last.expert
    )  # fmt: skip
    if last.plan_sha256 and trigger.action is Action.FIX:
        trigger = replace(trigger, action=Action.APPROVE, approved=last.head)
    return await admit(desk, trigger)


async def _approved(desk: Desk, found: Assignment) -> Assignment | Refused:
    """The fix that the approved plan is for: this very plan, at the very commit it was made for."""
    comment = await call(desk.forge.own_comment, found.number, f"{Action.PLAN}-{found.number}")
    record = read_record(comment.data) if comment else None
    text = unpack_plan(record) if record and record.state == "done" else ""
    if record is None or not text:
        return _advised("no-plan", markdown.NO_PLAN)
    if comment is None or await call(desk.forge.edited_by_others, comment):
        return _advised("record-edited", markdown.RECORD_EDITED)
    named = found.trigger.approved
    if len(named) < 7 or not record.head.startswith(named.lower()):
        return _advised("other-plan", markdown.plan_moved(named, record.head))
    if record.head != found.head:
        return _advised("plan-outdated", markdown.plan_moved(record.head, found.head))
    trigger = replace(found.trigger, action=Action.FIX, arguments=record.arguments)
    plan = Plan(text, record.plan_sha256, found.trigger.actor.login)
    return await _within_budget(desk, replace(found, trigger=trigger, plan=plan))


def _advised(code: str, advice: tuple[str, str]) -> Refused:
    sentence, after = advice
    return Refused(code, f"{sentence} {after[:1].upper()}{after[1:]}", public=True)


async def _within_budget(desk: Desk, found: Assignment) -> Assignment | Refused:
    if found.action not in _COSTS and found.trigger.event in WITHOUT_PERSON:
        return found  # nothing is limited for these, and asking costs a request
    now = desk.now()
    ledger = await call(desk.forge.own_comments_since, timestamp(now - _DAY))
    return decide_budget(ledger, found.trigger, found.config.github, now) or found


async def last_record(
    desk: Desk, number: int, *, commands: frozenset[str] = frozenset(), states: frozenset[str] = frozenset()
) -> Record | None:
    """The newest job on record at an issue or pull request, of these commands and in these states where named."""
    newest = await _newest(desk, number, commands=commands, states=states)
    return newest[1] if newest else None


async def _newest(
    desk: Desk, number: int, *, commands: frozenset[str] = frozenset(), states: frozenset[str] = frozenset()
) -> tuple[OwnComment, Record] | None:
    """The same with the comment that it is on record in."""
    since = timestamp(desk.now() - 30 * _DAY)
    found: list[tuple[OwnComment, Record]] = []
    for comment in await call(desk.forge.own_comments_since, since):
        record = read_record(comment.data) if comment.number == number else None
        if record and (not commands or record.command in commands) and (not states or record.state in states):
            found.append((comment, record))
    return max(found, key=lambda one: (one[1].finished or one[1].started, one[1].order), default=None)
