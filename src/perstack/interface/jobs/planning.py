"""Plan jobs: what would be done, for a person to approve. Builds nothing and pushes nothing."""

from __future__ import annotations

from perstack import api
from perstack.core.outcome import Ending, FixOutcome
from perstack.interface.calls import call
from perstack.interface.jobs.assignment import Answer, Done, Work
from perstack.interface.jobs.fence import Fence
from perstack.interface.jobs.record import digest_of, pack_plan
from perstack.interface.jobs.tasks import task_of
from perstack.interface.render import markdown
from perstack.interface.story import PlanStory


async def plan(work: Work, fence: Fence, job: api.Job) -> Done:
    """Have a plan made and post it with the commit and the digest that an approval is bound to."""
    one, path = work.assignment, work.repository_path
    await call(work.desk.forge.fetch, one.head, path)
    repository = await api.open_bare(path)
    title, text = await task_of(work)
    planned = await job.plan(api.Fix(repository, one.head, one.config, title=title, text=text))
    await fence.check()
    if not planned.text.strip():
        ending = planned.ended or Ending.NO_CANDIDATE
        outcome = FixOutcome(
            ending, planned.why, planned.base, failing=planned.failing, usage=planned.usage, seconds=planned.seconds
        )
        return work.story(outcome=outcome)
    kept, packed = pack_plan(planned.text)
    cut = (*_warnings(work), "the plan was cut to what can be kept for its approval.")
    story = PlanStory(
        actor=one.trigger.actor.login,
        head=one.head,
        text=kept,
        sha256=digest_of(kept),
        approval_needed=one.config.github.approval == "always",
        is_pull_request=one.pull is not None,
        usage=planned.usage,
        cost_usd=planned.cost_usd,
        run_url=work.desk.process.url,
        warnings=_warnings(work) if kept == planned.text.strip() else cut,
    )
    data = {"plan": packed, "plan_sha256": story.sha256}
    return Answer(markdown.plan_comment(story), "planned", planned.usage, data, planned.models)


def _warnings(work: Work) -> tuple[str, ...]:
    note = (work.assignment.note,) if work.assignment.note else ()
    return (*note, *work.assignment.config.warnings, *work.assignment.trigger.notes)
