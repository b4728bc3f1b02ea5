"""Cool-down and limits of a day, decided from what our own comments remember. Pure; reads no clock and asks nobody.

A comment is edited in place and shows one job, so its hidden data carries the jobs before it (`remember`). Only data
of comments that we wrote (by author id, which the forge checks) is a ledger; anything odd in it counts as nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from perstack.core.experts import GithubSpec
from perstack.core.json import Json
from perstack.forge.contract import Action, OwnComment, Trigger
from perstack.forge.rights import WITHOUT_PERSON, RefusalCode, Refused

DAY = timedelta(hours=24)
MAX_HOPS = 3  # jobs in a row that bots asked for on one issue or pull request, without a person in between
MAX_PAST = 48  # jobs that one comment remembers; older ones of the same day are summed up in the last place
# What costs next to nothing and is needed most when the budget is used up.
_FREE = frozenset({Action.HELP, Action.EXPLAIN, Action.STOP, Action.PUBLISH})


@dataclass(frozen=True, slots=True)
class _Job:
    """One job of the ledger. `tokens` counts input and output; `jobs` is more than 1 where several were summed up."""

    number: int
    actor: int
    bot: bool
    started: datetime
    tokens: int
    jobs: int = 1


def decide_budget(ledger: Sequence[OwnComment], trigger: Trigger, github: GithubSpec, now: datetime) -> Refused | None:
    """Why this job may not run now, with when it may again; None where it may.

    `ledger` holds our comments of the last 24 hours without the one of this very job's start; `now` has a time zone.
    Events that nobody caused by asking are not counted against anybody, but they do not go past the day's tokens.
    """
    if trigger.action in _FREE:
        return None
    jobs = sorted(_jobs(ledger, now), key=lambda job: job.started)
    asked = trigger.event not in WITHOUT_PERSON
    refused = None
    if asked:
        refused = _hops(jobs, trigger) or _cool_down(jobs, trigger, github, now) or _jobs_of(jobs, trigger, github, now)
        refused = refused or _jobs_of_all(jobs, github, now)
    if refused is None and trigger.action is not Action.VERIFY:
        refused = _tokens(jobs, github, now)
    if refused is not None and (not asked or trigger.actor.is_bot):
        return Refused(refused.code, refused.sentence, public=False)
    return refused


def remember(previous: Mapping[str, Json] | None, now: datetime) -> list[Json]:
    """The `past` of new data from the data before: its own job and those it remembers, of the last 24 hours.

    A row is [start, account id, 1 for a bot, tokens, jobs]; at most `MAX_PAST` rows, newest first.
    """
    if not previous:
        return []
    jobs = sorted(_jobs_in(previous, 0, now), key=lambda job: job.started, reverse=True)
    kept, rest = jobs[: MAX_PAST - 1], jobs[MAX_PAST - 1 :]
    rows = [_row(job) for job in kept]
    if rest:
        tokens, count = sum(job.tokens for job in rest), sum(job.jobs for job in rest)
        rows.append(_row(_Job(0, rest[0].actor, rest[0].bot, rest[0].started, tokens, count)))
    return rows


def _row(job: _Job) -> Json:
    return [job.started.strftime("%Y-%m-%dT%H:%M:%SZ"), job.actor, int(job.bot), job.tokens, job.jobs]


def _hops(jobs: Sequence[_Job], trigger: Trigger) -> Refused | None:
    """Bots that answer each other, us among them, end here; a person's job starts the count anew."""
    if not trigger.actor.is_bot:
        return None
    here = [job for job in jobs if job.number == trigger.number]
    hops = 0
    for job in reversed(here):
        if not job.bot:
            break
        hops += job.jobs
    if hops < MAX_HOPS:
        return None
    sentence = f"bots asked for the last {hops} jobs here; a person has to ask before the next one."
    return Refused(RefusalCode.LOOP, sentence, public=False)


def _cool_down(jobs: Sequence[_Job], trigger: Trigger, github: GithubSpec, now: datetime) -> Refused | None:
    mine = [job.started for job in jobs if job.actor == trigger.actor.id]
    if not mine or github.cooldown_s <= 0:
        return None
    free = mine[-1] + timedelta(seconds=github.cooldown_s)
    if free <= now:
        return None
    sentence = f"the last job of this account began {_ago(now - mine[-1])}; possible again {_at(free, now)}."
    return Refused(RefusalCode.COOL_DOWN, sentence, public=True)


def _jobs_of(jobs: Sequence[_Job], trigger: Trigger, github: GithubSpec, now: datetime) -> Refused | None:
    mine = [job for job in jobs if job.actor == trigger.actor.id]
    free = _free_again(mine, github.jobs_per_actor, [job.jobs for job in mine])
    if free is None:
        return None
    sentence = (
        f"this account has had its {github.jobs_per_actor} jobs of 24 hours (`jobsPerActor` in `[github]`); "
        f"possible again {_at(free, now)}."
    )
    return Refused(RefusalCode.ACTOR_JOBS, sentence, public=True)


def _jobs_of_all(jobs: Sequence[_Job], github: GithubSpec, now: datetime) -> Refused | None:
    free = _free_again(jobs, github.jobs_per_day, [job.jobs for job in jobs])
    if free is None:
        return None
    sentence = (
        f"the {github.jobs_per_day} jobs of 24 hours are used up here (`jobsPerDay` in `[github]`); "
        f"possible again {_at(free, now)}."
    )
    return Refused(RefusalCode.DAY_JOBS, sentence, public=True)


def _tokens(jobs: Sequence[_Job], github: GithubSpec, now: datetime) -> Refused | None:
    free = _free_again(jobs, github.tokens_per_day, [job.tokens for job in jobs])
    if free is None:
        return None
    used = sum(job.tokens for job in jobs)
    sentence = (
        f"{used:,} of the {github.tokens_per_day:,} tokens of 24 hours are used up here "
        f"(`tokensPerDay` in `[github]`); possible again {_at(free, now)}."
    )
    return Refused(RefusalCode.DAY_TOKENS, sentence, public=True)


def _free_again(jobs: Sequence[_Job], limit: int, costs: Sequence[int]) -> datetime | None:
    """When enough of the jobs (oldest first) are a day old for one more to fit; None where one fits now, or always."""
    used = sum(costs)
    if limit <= 0 or used < limit:
        return None
    for job, cost in zip(jobs, costs, strict=True):
        used -= cost
        if used < limit:
            return job.started + DAY
    return None


def _jobs(ledger: Iterable[OwnComment], now: datetime) -> Iterable[_Job]:
    for comment in ledger:
        yield from _jobs_in(comment.data, comment.number, now)


def _jobs_in(data: Mapping[str, Json], number: int, now: datetime) -> Iterable[_Job]:
    """The jobs of one comment's data that began in the 24 hours before `now`."""
    tokens = _whole(data.get("tokens_in")) + _whole(data.get("tokens_out"))
    rows: list[Json] = [[data.get("started"), data.get("actor"), data.get("bot"), tokens, 1]]
    past = data.get("past")
    rows += past[:MAX_PAST] if isinstance(past, list) else []
    for row in rows:
        if not isinstance(row, list) or len(row) != 5:
            continue
        started = _time(row[0])
        if started is not None and now - DAY < started <= now + timedelta(minutes=5):
            yield _Job(number, _whole(row[1]), row[2] in (True, 1), started, _whole(row[3]), max(1, _whole(row[4])))


def _whole(value: Json) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0


def _time(value: Json) -> datetime | None:
    if not isinstance(value, str) or len(value) > 40:
        return None
    try:
        time = datetime.fromisoformat(value)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _at(when: datetime, now: datetime) -> str:
    """A time for people, in UTC, with how long that is."""
    minutes = max(1, math.ceil((when - now).total_seconds() / 60))
    length = f"{minutes} min" if minutes < 120 else f"{math.ceil(minutes / 60)} h"
    return f"after {when.astimezone(UTC):%Y-%m-%d %H:%M} UTC (in {length})"


def _ago(length: timedelta) -> str:
    seconds = max(0, int(length.total_seconds()))
    return f"{seconds} s ago" if seconds < 120 else f"{seconds // 60} min ago"
