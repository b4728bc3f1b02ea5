"""Fix jobs: plan, build, prove, and put on the forge what was proved and nothing else."""

from __future__ import annotations

import re

import anyio

from perstack import api
from perstack.core.errors import ForgeError
from perstack.core.outcome import Candidate, Ending, FixOutcome
from perstack.core.verdict import ReasonCode, Verdict
from perstack.interface.calls import call
from perstack.interface.jobs.assignment import Work
from perstack.interface.jobs.fence import Fence
from perstack.interface.jobs.publication import Publication
from perstack.interface.jobs.tasks import task_of
from perstack.interface.jobs.verifying import with_inline, with_warning
from perstack.interface.render import markdown
from perstack.interface.story import Story

_SECTION = re.compile(r"(?m)^(?=diff --git )")


async def fix(work: Work, fence: Fence, job: api.Job) -> Story:
    """Work on what is red at the pinned head; publish when it was proved. Raises: Superseded when that is void now."""
    one, path = work.assignment, work.repository_path
    await call(work.desk.forge.fetch, one.head, path)
    repository = await api.open_bare(path)
    title, text = await task_of(work)
    plan = one.plan.text if one.plan else ""
    outcome = await job.fix(api.Fix(repository, one.head, one.config, title=title, text=text, plan=plan))
    return await publish_outcome(work, fence, job, repository, outcome)


async def publish_outcome(
    work: Work, fence: Fence, job: api.Job, repository: api.Repository, outcome: FixOutcome
) -> Story:
    """The story of a fix that ended: pushed where it was proved and may be, shown where not."""
    story = work.story(outcome=outcome, test_change=tests_apart(outcome))
    if outcome.ending is not Ending.FIXED or outcome.candidate is None:
        await fence.check()
        return story
    # Shielded: what is pushed is also told, whatever signal comes meanwhile.
    with job.stage("publish"), anyio.CancelScope(shield=True):
        publication = Publication(work.desk.forge, work.assignment, fence)
        story = work.published = await publication.publish(story, outcome.candidate, repository)
        if not story.commit:
            story = work.published = await _suggested(work, story, outcome.candidate, repository)
    return story


def tests_apart(outcome: FixOutcome) -> str:
    """The part of a change that is about tests, where a person has to decide on it."""
    if outcome.verdict is not Verdict.NEEDS_TEST_CHANGE or outcome.candidate is None:
        return ""
    report = outcome.report
    asked = {f.path for f in report.policy if f.code is ReasonCode.TEST_CHANGE_NEEDED} if report else set()
    sections = [part for part in _SECTION.split(outcome.candidate.patch) if part.startswith("diff --git ")]
    return "".join(part for part in sections if any(f"+++ b/{path}\n" in part for path in asked))


async def _suggested(work: Work, story: Story, candidate: Candidate, repository: api.Repository) -> Story:
    """A proved change that may not be pushed, as suggestions at the lines of the pull request's diff."""
    one = work.assignment
    if one.pull is None or not one.config.github.review_comments:
        return story
    try:
        await call(work.desk.forge.fetch, one.pull.base_sha, work.repository_path, history=True)
        await call(work.desk.forge.fetch, one.head, work.repository_path, history=True)
        base = await repository.merge_base(one.pull.base_sha, one.head)
        diff = (await repository.diff(base, one.head)).text
        inline = markdown.inline_review(diff, (), candidate.patch)
        if not inline.comments:
            return story
        body = markdown.review_body(inline)
        await call(work.desk.forge.review, one.pull.number, one.head, body, inline.comments)
    except ForgeError as error:
        return with_warning(story, f"suggestions at lines were not posted: {error.message}")
    return with_inline(story, inline)
