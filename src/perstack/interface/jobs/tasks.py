"""The task of a job in words: what people wrote, or what a red workflow run said. All of it is untrusted."""

from __future__ import annotations

from perstack import api
from perstack.core.errors import ForgeError
from perstack.core.signals import TestCase
from perstack.forge.sanitise import clean
from perstack.interface.calls import call
from perstack.interface.jobs.assignment import Work

MAX_REPORTS = 8
MAX_CASES = 20
_LOG_END = 8_000
_WORDLESS = frozenset({"workflow_dispatch", "repository_dispatch"})
_WORDS = ("junit", "test", "report", "result")


async def task_of(work: Work) -> tuple[str, str]:
    """Title and text of the task."""
    trigger = work.assignment.trigger
    if trigger.failed_run and trigger.event == "workflow_run":
        return await _red_run(work)
    title, text = await words_of(work)
    place = f"This is about {trigger.place}." if trigger.place else ""
    asked = f"@{trigger.actor.login} asked: {trigger.arguments}" if trigger.arguments else ""
    source = trigger.source if trigger.title else ""
    return title, "\n\n".join(part for part in (text, place, asked, source) if part).strip()


async def words_of(work: Work) -> tuple[str, str]:
    """Title and text of the issue or pull request, as they were when the event happened: later edits are not read.

    An event that brings no words (a dispatch) has them read now, and cleaned as those of an event are.
    """
    trigger = work.assignment.trigger
    if trigger.event not in _WORDLESS or not trigger.number:
        return trigger.title, trigger.text
    title, text = await call(work.desk.forge.issue_text, trigger.number)
    return clean(title).text, clean(text).text


async def _red_run(work: Work) -> tuple[str, str]:
    """What the red jobs of a workflow run said: the ends of their logs, and the failing tests of their reports."""
    trigger, forge = work.assignment.trigger, work.desk.forge
    run = await call(forge.workflow_run, trigger.failed_run)
    jobs = await call(forge.failed_jobs, trigger.failed_run)
    parts = [trigger.arguments] if trigger.arguments else []
    parts += [
        f"Job `{one.name}` failed in step `{one.step}`. The end of its log:\n\n{one.log[-_LOG_END:]}" for one in jobs
    ]
    cases = await _failing_cases(work)
    if cases:
        shown = "\n\n".join(f"{case.id} [{case.status}]\n{case.message[:1500]}" for case in cases[:MAX_CASES])
        parts.append(f"Failing tests of its reports ({len(cases)}):\n\n{shown}")
    return f"The workflow `{run.name}` is red at {run.head_sha[:12]}", "\n\n".join(parts)


async def _failing_cases(work: Work) -> tuple[TestCase, ...]:
    """Red cases of the JUnit reports among the run's artifacts. A report that cannot be read tells nothing."""
    forge, run_id = work.desk.forge, work.assignment.trigger.failed_run
    found: dict[str, TestCase] = {}
    try:
        names = await call(forge.artifact_names, run_id)
        likely = sorted(names, key=lambda name: not any(word in name.lower() for word in _WORDS))
        for name in likely[:MAX_REPORTS]:
            data = await call(forge.artifact, run_id, name)
            if data is not None:
                found |= {case.id: case for case in await api.red_cases(data, work.desk.scratch)}
    except ForgeError:
        return tuple(found.values())  # artifacts may be out of reach for the token; the logs are there
    return tuple(found.values())
