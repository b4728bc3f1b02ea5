"""Run jobs: one expert of the base's configuration over the pinned head. Its change is judged and shown, not pushed."""

from __future__ import annotations

from pathlib import Path

from perstack import api
from perstack.core.errors import ToolError, UserError
from perstack.core.outcome import Candidate
from perstack.core.verdict import Report
from perstack.interface.calls import call
from perstack.interface.jobs.assignment import Answer, Work
from perstack.interface.jobs.fence import Fence
from perstack.interface.jobs.tasks import task_of
from perstack.interface.render import markdown
from perstack.interface.story import AnswerStory


async def run(work: Work, fence: Fence, job: api.Job) -> Answer:
    """Let the expert answer, and let the protocol judge what it changed. Raises: UserError for an unknown expert."""
    one, trigger, path = work.assignment, work.assignment.trigger, work.repository_path
    expert = _known(work)
    await call(work.desk.forge.fetch, one.head, path)
    repository = await api.open_bare(path)
    workspace = work.desk.scratch / f"run-{trigger.commands}-{one.number}"
    await repository.export(one.head, workspace)
    outcome = await job.run(api.Run(one.config, expert, await _query(work), workspace))
    candidate, warnings = await _changed(work, repository, workspace)
    report: Report | None = None
    if candidate is not None:
        report = await job.verify(api.Verify(repository, one.head, candidate.patch, one.config))
    await fence.check()
    said = outcome.text or f"The expert stopped: {outcome.status}. {outcome.error}".strip()
    story = AnswerStory(
        expert=expert,
        actor=trigger.actor.login,
        head=one.head,
        text=said,
        candidate=candidate,
        report=report,
        usage=outcome.usage,
        cost_usd=outcome.cost_usd,
        run_url=work.desk.process.url,
        warnings=(*one.config.warnings, *trigger.notes, *warnings),
    )
    data = {"verdict": report.verdict.value} if report else {}
    patch = candidate.patch if candidate else ""
    return Answer(markdown.expert_answer(story), "answered", outcome.usage, data, outcome.models, patch=patch)


def _known(work: Work) -> str:
    """The expert as the base's configuration spells it. Raises: UserError naming those there are."""
    asked, experts = work.assignment.trigger.expert, work.assignment.config.experts
    for key in (asked, f"@{asked.lstrip('@')}", asked.lstrip("@")):
        if key in experts:
            return key
    known = ", ".join(f"`{key}`" for key in sorted(experts))
    raise UserError(f"there is no expert `{asked}` in the configuration of the base branch", hint=f"there are {known}")


async def _query(work: Work) -> str:
    """What the person asks, with what it is about as fenced data."""
    title, text = await task_of(work)
    asked = work.assignment.trigger.arguments
    about = api.as_data("the issue or pull request it was asked at", f"{title}\n\n{text}".strip())
    return "\n\n".join(part for part in (asked, about) if part)


async def _changed(work: Work, repository: api.Repository, workspace: Path) -> tuple[Candidate | None, tuple[str, ...]]:
    try:
        tree, patch = await repository.snapshot(work.assignment.head, workspace)
    except ToolError as error:
        return None, (f"what the expert left cannot be shown as a change: {error.message}",)
    if patch.is_empty:
        return None, ()
    found = Candidate(patch.text, patch.digest, tree, patch.files, patch.insertions, patch.deletions)
    return found, ()
