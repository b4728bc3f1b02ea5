"""Looks before writing: is the head where it was, did nobody say stop, did no newer job take over? Writes nothing."""

from __future__ import annotations

from perstack.core.errors import Superseded
from perstack.forge.contract import PullRequest
from perstack.interface.calls import call
from perstack.interface.jobs.assignment import Assignment
from perstack.interface.jobs.desk import Desk
from perstack.interface.jobs.record import Record, read_record

_CHECK = "perstack:"


class Stopped(Superseded):
    """Somebody wrote `/perstack stop`. `by` is who, as the forge names them."""

    def __init__(self, by: str) -> None:
        super().__init__(f"{by or 'somebody'} asked for the job to be stopped", hint="ask again to start anew")
        self.by = by


class Overtaken(Superseded):
    """A newer job of the same kind works at the same place: its texts are not to be written over."""

    def __init__(self, url: str = "") -> None:
        super().__init__("a newer job took over", hint="see the newer job's result")
        self.url = url


class Fence:
    """The looks of one job. `mine` is its record."""

    def __init__(self, desk: Desk, assignment: Assignment, mine: Record) -> None:
        self._desk = desk
        self._assignment = assignment
        self._mine = mine

    async def glance(self) -> None:
        """Whether to go on at all. Raises: Stopped, Overtaken, ForgeError."""
        number, forge = self._assignment.number, self._desk.forge
        if not number:
            return
        stop = await call(forge.own_comment, number, stop_key(number))
        if stop is not None and str(stop.data.get("at", "")) > self._mine.started:
            raise Stopped(str(stop.data.get("login", "")))
        if not self._assignment.comments:
            return
        comment = await call(forge.own_comment, number, self._assignment.key)
        other = read_record(comment.data) if comment else None
        if other is not None and other.order > self._mine.order:
            raise Overtaken(comment.url if comment else "")

    async def check(self) -> None:
        """Whether a result may be written: it is about the commit it was made for, and void when that moved.

        Raises: Superseded, ForgeError.
        """
        await self.glance()
        assignment, forge = self._assignment, self._desk.forge
        if assignment.pull is not None:
            await self._head_of_pull(assignment.pull)
        elif assignment.branch and not await call(forge.branch_sha, assignment.branch):
            # One that only moved on is no reason: what comes of this is a branch and a pull request of their own.
            raise Superseded(f"the branch `{assignment.branch}` was deleted or renamed while this job worked")
        if assignment.judges and not assignment.comments:
            await self._no_newer_check()

    async def _head_of_pull(self, pull: PullRequest) -> None:
        now = await call(self._desk.forge.pull_request, pull.number)
        if now.state != "open":
            raise Superseded(f"pull request #{now.number} was closed while this job worked")
        if not now.head_exists and not now.is_fork:
            raise Superseded(
                f"the branch `{now.head_ref}` of #{now.number} was deleted or renamed while this job worked",
                hint="restore it and ask again",
            )
        head = self._assignment.head
        if now.head_sha != head:
            raise Superseded(
                f"the pull request moved from {head[:12]} to {now.head_sha[:12]} while this job worked",
                hint="ask again at the new head",
            )
        if now.base_ref != pull.base_ref:
            raise Superseded(
                f"the pull request goes into `{now.base_ref}` now, no longer into `{pull.base_ref}`",
                hint="ask again: it is another change there",
            )

    async def _no_newer_check(self) -> None:
        name = self._assignment.check_name
        for _, identity, _ in await call(self._desk.forge.find_checks, self._assignment.head, name):
            order = run_of_check(identity, self._assignment.key)
            if order is not None and order > self._mine.order[:2]:
                raise Overtaken


def stop_key(number: int) -> str:
    """The comment that says stop."""
    return f"stop-{number}"


def external_id(key: str, run: int, attempt: int) -> str:
    """What our check runs are known by: the kind of job, its place, its workflow run."""
    return f"{_CHECK}{key}:{run}.{attempt}"


def run_of_check(identity: str, key: str = "") -> tuple[int, int] | None:
    """Run and attempt of a check run's external id, None where it is of another kind of job or place than `key`."""
    found, _, numbers = identity.rpartition(":")
    run, _, attempt = numbers.partition(".")
    ours = found == f"{_CHECK}{key}" if key else found.startswith(_CHECK)
    if not ours or not (run.isdecimal() and attempt.isdecimal()):
        return None
    return int(run), int(attempt)
