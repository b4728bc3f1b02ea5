"""What is answered at once, without work: refusals, help, stop, explain. One comment or none, and always a summary."""

from __future__ import annotations

import contextlib
from datetime import timedelta

from perstack.core.errors import ExitCode, PerstackError
from perstack.core.json import Json
from perstack.forge.contract import Action, CheckStatus, Trigger
from perstack.forge.rights import RefusalCode, Refused
from perstack.interface.calls import call
from perstack.interface.jobs.admission import last_record
from perstack.interface.jobs.assignment import Assignment
from perstack.interface.jobs.desk import Desk, JobResult
from perstack.interface.jobs.fence import run_of_check, stop_key
from perstack.interface.jobs.permitted import permitted
from perstack.interface.jobs.record import VERSION, read_record, timestamp
from perstack.interface.render import markdown

_WORKED = frozenset({Action.FIX.value, Action.VERIFY.value, Action.PLAN.value, Action.REVIEW.value, Action.RUN.value})
_DAY = timedelta(hours=24)


async def refuse(desk: Desk, trigger: Trigger, refused: Refused) -> JobResult:
    """Why nothing is done: a reaction and one line where they are allowed, the summary in any case."""
    sentence = f"Perstack did not act: {refused.sentence}"
    if refused.silent:
        return JobResult(ExitCode.OK, message=sentence, outcome="refused")
    if not trigger.actor.is_bot and refused.code != RefusalCode.HEAD_MOVED:
        await permitted(desk.forge.react, trigger, "confused")
    if refused.public and trigger.number and trigger.event not in {"pull_request", "check_run", "workflow_run"}:
        text = markdown.refusal(trigger.action, refused.sentence)
        await permitted(desk.forge.upsert_comment, trigger.number, f"refused-{trigger.number}", text)
    await call(desk.forge.write_summary, sentence)
    await call(desk.forge.set_outputs, {"verdict": "", "outcome": "refused"})
    with contextlib.suppress(PerstackError):  # it was answered; a full disk makes no other answer of it
        await _log(desk, trigger, refused)
    return JobResult(ExitCode.OK, message=sentence, outcome="refused")


async def _log(desk: Desk, trigger: Trigger, refused: Refused) -> None:
    """A job of its own that says so. Last of all: loading what makes jobs takes longer than the answer."""
    why = {"code": str(refused.code), "message": refused.sentence}
    async with desk.engine.job(trigger.action.value) as job:
        job.emit("refuse", {**why, "event": trigger.event, "actor": trigger.actor.id, "number": trigger.number})
        job.emit("finishJob", {"outcome": "refused"})


async def show_help(desk: Desk, asked: Assignment) -> JobResult:
    """Mistyped commands end here too: the person is told what was wrong and where."""
    await permitted(desk.forge.react, asked.trigger, "confused" if asked.trigger.notes else "eyes")
    return await _say(desk, asked, markdown.help_text(asked.trigger.notes), "help")


async def stop(desk: Desk, asked: Assignment) -> JobResult:
    """Leave word for the jobs at work here, and have their workflow runs cancelled where the token may."""
    await permitted(desk.forge.react, asked.trigger, "eyes")
    number, login, now = asked.number, asked.trigger.actor.login, desk.now()
    runs = await _runs_at_work(desk, asked)
    cancelled = [await call(desk.forge.cancel_run, run) for run in sorted(runs) if run and run != desk.process.run]
    text = markdown.stop_answer(login, run_url=desk.process.url, cancelled=any(cancelled), found=bool(runs))
    data: dict[str, Json] = {"v": VERSION, "at": timestamp(now), "login": login, "run": desk.process.run}
    await call(desk.forge.upsert_comment, number, stop_key(number), text, data)
    await call(desk.forge.write_summary, text)
    await call(desk.forge.set_outputs, {"verdict": "", "outcome": "stopped"})
    return JobResult(ExitCode.OK, outcome="stopped")


async def explain(desk: Desk, asked: Assignment) -> JobResult:
    """The reasons of the last result in plain words."""
    await permitted(desk.forge.react, asked.trigger, "eyes")
    last = await last_record(desk, asked.number, commands=_WORKED, states=frozenset({"done"}))
    key = f"{last.command}-{last.expert}" if last and last.expert else last.command if last else ""
    comment = await call(desk.forge.own_comment, asked.number, f"{key}-{asked.number}") if last else None
    if comment is None:
        text = markdown.refusal(asked.action, *markdown.NOTHING_TO_EXPLAIN)
    else:
        text = markdown.explain(comment.data, actor=asked.trigger.actor.login, url=comment.url)
    return await _say(desk, asked, text, "explained")


async def _say(desk: Desk, asked: Assignment, text: str, outcome: str) -> JobResult:
    unsaid = await permitted(desk.forge.upsert_comment, asked.number, asked.key, text) if asked.number else ""
    await call(desk.forge.write_summary, f"{text}\n\nNo comment: {unsaid}" if unsaid else text)
    await call(desk.forge.set_outputs, {"verdict": "", "outcome": outcome})
    return JobResult(ExitCode.OK, outcome=outcome)


async def _runs_at_work(desk: Desk, asked: Assignment) -> set[int]:
    """The workflow runs of the jobs that are at work here, by their comments and their check runs."""
    number = asked.number
    since = timestamp(desk.now() - _DAY)
    records = [
        read_record(comment.data)
        for comment in await call(desk.forge.own_comments_since, since)
        if comment.number == number
    ]
    found = {record.run for record in records if record and record.state == "working"}
    if asked.pull is not None:
        name = asked.check_name
        for _, identity, status in await call(desk.forge.find_checks, asked.head, name):
            if status is not CheckStatus.COMPLETED and (order := run_of_check(identity)) is not None:
                found.add(order[0])
    return found
