"""Which module does which kind of job. Nothing else is decided here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from perstack import api
from perstack.forge.contract import Action
from perstack.interface.jobs import creating, fixing, planning, publishing, replies, reviewing, running, verifying
from perstack.interface.jobs.assignment import Assignment, Done, Work
from perstack.interface.jobs.desk import Desk, JobResult
from perstack.interface.jobs.fence import Fence


class Kind(Protocol):
    """Does one kind of job. Raises: PerstackError where there is no result; Superseded where it is void."""

    async def __call__(self, work: Work, fence: Fence, job: api.Job) -> Done: ...


WORKED: Mapping[Action, Kind] = {
    Action.FIX: fixing.fix,
    Action.VERIFY: verifying.verify,
    Action.PLAN: planning.plan,
    Action.REVIEW: reviewing.review,
    Action.RUN: running.run,
    Action.PUBLISH: publishing.publish,
    Action.CREATE_EXPERT: creating.create,
}
# Answered at once: no sandbox, no model.
ANSWERED: Mapping[Action, Callable[[Desk, Assignment], Awaitable[JobResult]]] = {
    Action.HELP: replies.show_help,
    Action.STOP: replies.stop,
    Action.EXPLAIN: replies.explain,
}
