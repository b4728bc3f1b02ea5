"""One part of a shared-out verification: saying who measures what, or measuring a share. Judges and posts nothing.

The last job of such a workflow is a plain `verify` with the shares at hand.
"""

from __future__ import annotations

from perstack import api
from perstack.core.errors import ExitCode, UserError
from perstack.forge.contract import Action, Trigger
from perstack.forge.rights import Refused
from perstack.interface.calls import call
from perstack.interface.jobs import replies
from perstack.interface.jobs.admission import admit
from perstack.interface.jobs.assignment import Work
from perstack.interface.jobs.bundle import FOLDER
from perstack.interface.jobs.desk import Desk, JobResult
from perstack.interface.jobs.outputs import sharing_outputs
from perstack.interface.jobs.verifying import fetched
from perstack.interface.shares import MOST, parse_share


async def share_out(desk: Desk, trigger: Trigger, word: str) -> JobResult:
    """`4`: plan for four machines (output `matrix`). `2/4`: measure the second of four shares, for an artifact.

    Raises: UserError where the event asks for no verification, or the word says neither.
    """
    count = int(word) if word.isascii() and word.isdecimal() and len(word) <= 3 else 0
    share = (0, 0) if count else parse_share(word)
    if count > MOST:
        raise UserError(f"{count} shards are more than one matrix has jobs ({MOST})", hint="Use fewer.")
    assignment = await admit(desk, trigger)
    if isinstance(assignment, Refused):
        return await replies.refuse(desk, trigger, assignment)
    if assignment.action is not Action.VERIFY or desk.folder is None:
        raise UserError(f"`{assignment.action}` cannot be shared out", hint="`shard` goes with events that verify.")
    repository, base = await fetched(Work(desk, assignment))
    patch = (await repository.diff(base, assignment.head)).text
    verify = api.Verify(repository, base, patch, assignment.config)
    async with desk.engine.job("shard", desk.watch or (lambda _: None)) as job:
        if not count:
            units = await job.measure(verify, share, desk.folder / FOLDER)
            return JobResult(ExitCode.OK, message=f"share {word}: measured {', '.join(units) or 'nothing'}")
        shares = await job.shares(verify, count)
    await call(desk.forge.set_outputs, sharing_outputs(shares))
    return JobResult(ExitCode.OK, message=f"{len(shares)} shares")
