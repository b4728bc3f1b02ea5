"""Other open pull requests of the same head: a check run hangs on a commit, so a green one counts for all of them.

Threat: one into a branch that asks for little makes another one green that asks for much. So the commit is judged
against each of their bases, by each one's configuration, before it is called green. Decides nothing about one alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from perstack import api
from perstack.core.errors import PerstackError
from perstack.core.verdict import Verdict
from perstack.forge.contract import PullRequest
from perstack.interface.calls import call
from perstack.interface.jobs.admission import read_config
from perstack.interface.jobs.assignment import Work

MOST_BASES = 3  # judged beside one's own; whoever opens more waits for a person


async def siblings(work: Work) -> tuple[PullRequest, ...]:
    """The other open pull requests of the pinned head that go into other branches, one a branch. Raises: ForgeError."""
    pull = work.assignment.pull
    if pull is None:
        return ()
    others: dict[str, PullRequest] = {}
    for one in await call(work.desk.forge.pulls_of, pull.head_sha):
        if one.number != pull.number and one.base_ref != pull.base_ref:
            others.setdefault(one.base_ref, one)
    return tuple(others.values())


async def shared_doubt(
    work: Work, job: api.Job, repository: api.Repository, others: Sequence[PullRequest], head: str
) -> str:
    """Why `head` (a commit, or a tree over the pinned one) may not be green for all of them; empty where it may."""
    if len(others) > MOST_BASES:
        shown = ", ".join(f"#{one.number}" for one in others[:MOST_BASES])
        return (
            f"{len(others)} other pull requests ({shown}, …) have the same head and go into other branches. "
            "Close those that are not needed."
        )
    for one in others:
        if why := await _why_not(work, job, repository, one, head):
            return (
                f"#{one.number} has the same head and shows this check run as well, "
                f"and against `{one.base_ref}` {why}. Close #{one.number}, or push a commit of its own to its branch."
            )
    return ""


async def _why_not(work: Work, job: api.Job, repository: api.Repository, other: PullRequest, head: str) -> str:
    """Why the change is not proved against another's base; empty where it is."""
    pinned = work.assignment.head
    try:
        config = await read_config(work.desk, other.base_sha)
        await call(work.desk.forge.fetch, other.base_sha, repository.path, history=True)
        base = await repository.merge_base(other.base_sha, pinned)
        patch = await repository.diff(base, head)
        if patch.is_empty:
            return ""  # it brings nothing into that branch
        asked = api.Verify(repository, base, patch.text, config)
        report = await job.verify(asked, out=job.folder / f"pull-request-{other.number}")
    except PerstackError as error:
        return f"it could not be judged: {error.message}"
    return "" if report.verdict is Verdict.PASS else f"the verdict is `{report.verdict}`"
