"""Fix jobs: plan, build, prove, and put on the forge what was proved and nothing else."""

from __future__ import annotations

from dataclasses import replace

import anyio

from perstack import api
from perstack.core.errors import ForgeError, PerstackError
from perstack.core.outcome import Candidate, Ending, FixOutcome
from perstack.core.verdict import Verdict
from perstack.forge.contract import PullRequest
from perstack.interface.calls import call
from perstack.interface.jobs.assignment import Work
from perstack.interface.jobs.fence import Fence
from perstack.interface.jobs.publication import Publication
from perstack.interface.jobs.siblings import shared_doubt, siblings
from perstack.interface.jobs.tasks import task_of
from perstack.interface.jobs.verifying import fetched, with_inline, with_warning
from perstack.interface.render import markdown
from perstack.interface.story import Story


async def fix(work: Work, fence: Fence, job: api.Job) -> Story:
    """Work on what is red at the pinned head; publish when it was proved. Raises: Superseded when that is void now."""
    one = work.assignment
    if one.pull is not None:
        repository, _ = await fetched(work)
    else:
        await call(work.desk.forge.fetch, one.head, work.repository_path)
        repository = await api.open_bare(work.repository_path)
    title, text = await task_of(work)
    plan = one.plan.text if one.plan else ""
    outcome = await job.fix(api.Fix(repository, one.head, one.config, title=title, text=text, plan=plan))
    return await publish_outcome(work, fence, job, repository, outcome)


async def publish_outcome(
    work: Work, fence: Fence, job: api.Job, repository: api.Repository, outcome: FixOutcome
) -> Story:
    """The story of a fix that ended: pushed where it was proved and may be, shown where not."""
    story = work.story(outcome=outcome)
    if outcome.ending is not Ending.FIXED or outcome.candidate is None:
        await fence.check()
        return story
    # Shielded: what is pushed is also told, whatever signal comes meanwhile.
    moving = await _moving(work)
    with job.stage("publish"), anyio.CancelScope(shield=True):
        publication = Publication(work.desk.forge, work.assignment, fence)
        story = work.published = await publication.publish(story, outcome.candidate, repository)
        if not story.commit:
            story = work.published = await _suggested(work, story, outcome.candidate, repository)
        elif story.pull_url:
            story = work.published = await publication.check(story, story)
    if story.commit and not story.pull_url:
        shown = await _as_a_whole(work, job, story, outcome.candidate, repository)
        if shown.verdict is Verdict.PASS and moving:
            doubt = await shared_doubt(work, job, repository, moving, outcome.candidate.tree)
            shown = replace(shown, doubt=doubt)
        with anyio.CancelScope(shield=True):
            story = work.published = await publication.check(story, shown)
        if shown.verdict is not Verdict.PASS:
            why = (
                f"The pull request as a whole is not verified: its verdict at {story.commit[:12]} is `{shown.verdict}`."
            )
            story = replace(story, note=f"{story.note} {why}".strip())
    return story


async def _as_a_whole(
    work: Work, job: api.Job, story: Story, candidate: Candidate, repository: api.Repository
) -> Story:  # fmt: skip
    """What the new head's check run says: the pull request with the fix in it, judged against its base.

    That the fix is proved against the old head says nothing of what the pull request did before.
    """
    pull = work.assignment.pull
    if pull is None:
        return story
    try:
        base = await repository.merge_base(pull.base_sha, work.assignment.head)
        patch = await repository.diff(base, candidate.tree)
        if patch.is_empty:
            return story  # nothing is left of the pull request's change: the fix is all there is to judge
        whole = api.Verify(repository, base, patch.text, work.assignment.config)
        report = await job.verify(whole, out=job.folder / "pull-request")
    except PerstackError as error:
        return work.story(base=story.commit, note=f"The pull request could not be verified: {error.message}")
    return work.story(base=story.commit, report=report)


async def _moving(work: Work) -> tuple[PullRequest, ...]:
    """Other pull requests that the pushed commit becomes the head of: those of the same branch."""
    pull = work.assignment.pull
    return tuple(
        one
        for one in await siblings(work)
        if pull is not None and (one.head_repository_id, one.head_ref) == (pull.head_repository_id, pull.head_ref)
    )


async def _suggested(work: Work, story: Story, candidate: Candidate, repository: api.Repository) -> Story:
    """A proved change that may not be pushed, as suggestions at the lines of the pull request's diff."""
    one = work.assignment
    if one.pull is None or not one.config.github.review_comments:
        return story
    try:
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
