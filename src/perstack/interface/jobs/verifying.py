"""Verify jobs: a pull request's change against its base, or what a branch gained with a push."""

from __future__ import annotations

import contextlib
from dataclasses import replace

from perstack import __version__, api
from perstack.core.errors import ForgeError, UserError
from perstack.core.verdict import Report, Verdict
from perstack.forge.sarif import sarif_text
from perstack.interface.calls import call
from perstack.interface.jobs.assignment import Work
from perstack.interface.jobs.fence import Fence
from perstack.interface.jobs.siblings import shared_doubt, siblings
from perstack.interface.render import markdown
from perstack.interface.story import InlineReview, Story


async def verify(work: Work, fence: Fence, job: api.Job) -> Story:
    """Judge the change that leads to the pinned head. Raises: UserError where there is no change to judge."""
    repository, base = await fetched(work)
    patch = (await repository.diff(base, work.assignment.head)).text
    shards = work.desk.shards
    report = await job.verify(
        api.Verify(repository, base, patch, work.assignment.config, everything=bool(shards), shards=shards)
    )
    await fence.check()
    story = work.story(report=report)
    return await tell(work, await with_siblings(work, fence, job, repository, story), patch)


async def with_siblings(work: Work, fence: Fence, job: api.Job, repository: api.Repository, story: Story) -> Story:
    """The story, held back where the head is not green for every pull request that shows its check run."""
    if story.verdict is not Verdict.PASS or not (others := await siblings(work)):
        return story
    doubt = await shared_doubt(work, job, repository, others, work.assignment.head)
    await fence.check()
    return replace(story, doubt=doubt)


async def fetched(work: Work) -> tuple[api.Repository, str]:
    """The repository with the pinned head in it, and the commit that its change began at."""
    one, forge, path = work.assignment, work.desk.forge, work.repository_path
    trigger, pull = one.trigger, one.pull
    if pull is not None:
        await call(forge.fetch, pull.base_sha, path, history=True)
        await call(forge.fetch, one.head, path, history=True)
        repository = await api.open_bare(path)
        return repository, await repository.merge_base(pull.base_sha, one.head)
    if trigger.number:
        raise UserError("`verify` needs a pull request", hint="comment on a pull request, or use `fix` on an issue")
    await call(forge.fetch, one.head, path, history=True)
    repository = await api.open_bare(path)
    if trigger.base_sha:
        # Pushed over: what was there before need not be an ancestor, nor exist any more.
        with contextlib.suppress(ForgeError, UserError):
            await call(forge.fetch, trigger.base_sha, path, history=True)
            return repository, await repository.merge_base(trigger.base_sha, one.head)
    try:
        return repository, await repository.resolve(f"{one.head}^")
    except UserError as error:
        raise UserError(
            f"{one.head[:12]} is the first commit of its branch: there is no change to verify",
            hint="`verify` judges what came after an earlier commit",
        ) from error


async def tell(work: Work, story: Story, patch: str) -> Story:
    """What goes to lines of the diff and to code scanning, where that is wanted. Refusals are told, and end nothing."""
    one, forge = work.assignment, work.desk.forge
    report, github = story.report, one.config.github
    if report is None:
        return story
    findings = markdown.places_of(report, story.outcome)
    try:
        if github.sarif and findings:
            ref = f"refs/pull/{one.pull.number}/head" if one.pull else f"refs/heads/{one.branch}"
            text = sarif_text(findings, version=__version__)
            await call(forge.upload_sarif, one.head, ref, text)
        if github.review_comments and one.pull is not None and wants_lines(report):
            inline = markdown.inline_review(patch, findings)
            if inline.comments:
                body = markdown.review_body(inline)
                await call(forge.review, one.pull.number, one.head, body, inline.comments)
                return with_inline(story, inline)
    except ForgeError as error:
        return with_warning(story, f"remarks at lines were not posted: {error.message}")
    return story


def wants_lines(report: Report) -> bool:
    """Whether lines of the diff are remarked on: not where everything is in order."""
    return report.verdict is not Verdict.PASS


def with_inline(story: Story, inline: InlineReview) -> Story:
    """The story with the remarks that were posted at lines."""
    return replace(story, inline=inline)


def with_warning(story: Story, warning: str) -> Story:
    """The story with one more warning."""
    return replace(story, warnings=(*story.warnings, warning))
