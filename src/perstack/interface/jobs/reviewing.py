"""Review jobs: an expert's remarks about a pull request. Soft: no check run, no conclusion, nothing that decides."""

from __future__ import annotations

import re

from perstack import api
from perstack.core.errors import ForgeError, UserError
from perstack.core.signals import Diagnostic
from perstack.interface.calls import call
from perstack.interface.jobs.assignment import Answer, Work
from perstack.interface.jobs.fence import Fence
from perstack.interface.jobs.tasks import words_of
from perstack.interface.jobs.verifying import fetched
from perstack.interface.render import markdown
from perstack.interface.story import InlineReview, ReviewStory

MAX_REMARKS = 30
_REMARK = re.compile(r"^[-*] +`?([^\s:`]{1,300}):([1-9][0-9]{0,6})`?: +(\S.*)$")


async def review(work: Work, fence: Fence, job: api.Job) -> Answer:
    """Have the change read; remarks that name a line of it are posted there. Raises: UserError without a change."""
    one, trigger = work.assignment, work.assignment.trigger
    if one.pull is None:
        raise UserError("`review` needs a pull request", hint="comment on a pull request")
    repository, base = await fetched(work)
    patch = (await repository.diff(base, one.head)).text
    title, body = await words_of(work)
    text = "\n\n".join(part for part in (body, trigger.arguments) if part)
    asked = api.Review(repository, one.head, patch, one.config, title=title, text=text)
    reviewed = await job.review(asked)
    if not reviewed.text.strip():
        raise UserError(f"the review expert said nothing{f': {reviewed.error}' if reviewed.error else ''}")
    await fence.check()
    inline, warnings = await _at_lines(work, patch, reviewed.text)
    story = ReviewStory(
        actor=trigger.actor.login,
        head=one.head,
        text=reviewed.text,
        inline=inline,
        usage=reviewed.usage,
        cost_usd=reviewed.cost_usd,
        run_url=work.desk.process.url,
        warnings=(*one.config.warnings, *trigger.notes, *warnings),
    )
    return Answer(markdown.review_comment(story), "reviewed", reviewed.usage, models=reviewed.models)


def remarks_of(text: str) -> tuple[Diagnostic, ...]:
    """The remarks of a review that name a file and a line, one a paragraph that begins `- path:line: `."""
    found: list[Diagnostic] = []
    for paragraph in re.split(r"\n(?=[-*] )|\n\s*\n", text):
        first, _, rest = paragraph.strip().partition("\n")
        match = _REMARK.match(first)
        if match:
            message = " ".join((match[3] + " " + rest).split())
            found.append(Diagnostic(match[1], int(match[2]), "notice", message[:2000], code="review"))
    return tuple(found[:MAX_REMARKS])


async def _at_lines(work: Work, patch: str, text: str) -> tuple[InlineReview | None, tuple[str, ...]]:
    one = work.assignment
    if not one.config.github.review_comments or one.pull is None:
        return None, ()
    inline = markdown.inline_review(patch, remarks_of(text))
    if not inline.comments:
        return inline, ()
    try:
        body = markdown.review_body(inline)
        await call(work.desk.forge.review, one.pull.number, one.head, body, inline.comments)
    except ForgeError as error:
        return None, (f"remarks at lines were not posted: {error.message}",)
    return inline, ()
