"""The life of a job on a forge: admit → announce → work → fence → publish → finish, or abandon with a reason.

Whatever happens in between, the check run and the comment end in a final state.
"""

from __future__ import annotations

from collections.abc import Sequence

import anyio

from perstack.core.errors import ExitCode, InfrastructureError, PerstackError
from perstack.core.experts import Config
from perstack.core.faults import machine_faults
from perstack.forge.contract import Trigger
from perstack.forge.rights import Refused
from perstack.forge.trust import Allowed
from perstack.interface.jobs import replies
from perstack.interface.jobs.admission import admit
from perstack.interface.jobs.assignment import Assignment, Done, Work
from perstack.interface.jobs.board import Board
from perstack.interface.jobs.bundle import leave_result
from perstack.interface.jobs.desk import Desk, JobResult
from perstack.interface.jobs.fence import Fence
from perstack.interface.jobs.kinds import ANSWERED, WORKED

LAST_WORDS_S = 6.0  # a cancelled Actions step has 7.5 s between the first signal and the next


async def answer(desk: Desk, triggers: Sequence[Trigger]) -> JobResult:
    """Do what one event asks for, in order. The worst exit code counts, with the story of the last job that has one."""
    results = [await ForgeJob(desk, trigger).run() for trigger in triggers]
    worst = max(results, key=lambda result: result.exit_code)
    story = next((result.story for result in reversed(results) if result.story), None)
    return JobResult(ExitCode(worst.exit_code), worst.story or story, worst.message, worst.outcome)


class ForgeJob:
    """One trigger at work. Use once."""

    def __init__(self, desk: Desk, trigger: Trigger) -> None:
        self._desk = desk
        self._trigger = trigger
        self._board: Board | None = None
        self._work: Work | None = None

    async def run(self) -> JobResult:
        """Do what the trigger asks for. What a user can cause is answered on the forge, not raised."""
        try:
            with machine_faults():
                return await self._answered()
        except PerstackError as error:
            return await self._abandon(error)
        except BaseException:
            # Cancelled, or a bug: people must not be left with a check that is in progress for ever.
            with anyio.CancelScope(shield=True), anyio.move_on_after(LAST_WORDS_S, shield=True):
                await self._last_words()
            raise

    async def _answered(self) -> JobResult:
        assignment = await admit(self._desk, self._trigger)
        if isinstance(assignment, Refused):
            return await replies.refuse(self._desk, self._trigger, assignment)
        if assignment.action in ANSWERED:
            return await ANSWERED[assignment.action](self._desk, assignment)
        return await self._worked(assignment)

    async def _worked(self, assignment: Assignment) -> JobResult:
        mine = assignment.record(self._desk)
        fence = Fence(self._desk, assignment, mine)
        board = self._board = Board(self._desk, assignment, mine)
        work = self._work = Work(self._desk, assignment)
        # Shielded: a request that is abandoned half-way would leave a check run that nobody completes.
        with anyio.CancelScope(shield=True):
            await board.announce()
        done = await self._under_watch(board, fence, work)
        with anyio.CancelScope(shield=True):
            result = await board.finish(done)
            await leave_result(work, result)
        return result

    async def _under_watch(self, board: Board, fence: Fence, work: Work) -> Done:
        failed: PerstackError | None = None
        done: Done | None = None
        async with anyio.create_task_group() as tasks:

            async def watch() -> None:
                nonlocal failed
                try:
                    await board.keep_shown(fence)
                except PerstackError as error:
                    failed = error
                tasks.cancel_scope.cancel()

            tasks.start_soon(watch)
            action = work.assignment.action
            try:
                async with self._desk.engine.job(action, board.sink) as job:
                    work.folder = job.folder
                    for note in work.assignment.trigger.notes:
                        job.emit("progress", {"message": note})
                    done = await WORKED[action](work, fence, job)
            except PerstackError as error:
                failed = error  # raised outside: a task group would wrap it
            tasks.cancel_scope.cancel()
        if done is not None:
            return done
        raise failed or InfrastructureError("the job ended without a result")

    async def _abandon(self, error: PerstackError) -> JobResult:
        board = self._board
        if board is None:
            # Nothing was announced: there is an event and no place yet, so the reason goes where the event came from.
            board = Board(self._desk, _unknown(self._trigger), _unknown(self._trigger).record(self._desk))
        abandoned: list[JobResult] = []
        with anyio.CancelScope(shield=True):
            abandoned.append(await board.abandon(error))
        return abandoned[0]

    async def _last_words(self) -> None:
        if self._board is None:
            return
        published = self._work.published if self._work else None
        if published is not None:
            await self._board.finish(published)
        else:
            await self._board.interrupted(InfrastructureError("the job was interrupted before it had a result"))


def _unknown(trigger: Trigger) -> Assignment:
    return Assignment(trigger, Config(), trigger.head_sha, Allowed(push=False, why=""))
