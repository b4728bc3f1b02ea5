"""Jobs of the terminal interface: at work in a thread of their own, and those on record. Draws nothing.

The thread keeps keys answered while modules load and logs are read. What a job does is the same as under
`perstack run`: the same log, the same folders, the same ways to go on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from time import time

import anyio
from anyio.from_thread import BlockingPortal, start_blocking_portal

from perstack import api
from perstack.core.errors import PerstackError
from perstack.core.events import Event
from perstack.core.experts import Config, Expert
from perstack.core.storage import JobRecord
from perstack.interface.continuing import Onward, continued, interrupted
from perstack.interface.settings import Settings, order
from perstack.interface.start.board import Price

Work = Callable[[Callable[[Event], None]], Awaitable["End"]]
FIX = "perstack fix"  # in place of an expert: the pipeline plan → build → verify
_MOST = 500  # jobs that are listed


@dataclass(frozen=True, slots=True)
class End:
    """How a job at work ended. `status` is the public one, `stopped` where it was cancelled, `failed` with `why`."""

    status: str
    why: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """Whom a job tells: every event, and its end. Both are called in the job's thread."""

    event: Callable[[Event], None]
    end: Callable[[End], None]


@dataclass(slots=True)
class Session:
    """One terminal's jobs, at most one of them at work. `machine` is what they run on."""

    settings: Settings
    config: Config
    machine: api.Host
    archive: api.Archive
    job_id: str = ""
    _scope: anyio.CancelScope | None = None
    _portal: BlockingPortal | None = None
    _manager: AbstractContextManager[BlockingPortal] | None = None
    _prices: dict[str, Price] = field(default_factory=dict)

    def __enter__(self) -> Session:
        self._manager = start_blocking_portal("asyncio")
        self._portal = self._manager.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        """End what is at work, and wait until its sandbox is gone and its log closed."""
        self.stop()
        if self._manager is not None:
            self._manager.__exit__(None, None, None)

    @property
    def is_busy(self) -> bool:
        """Whether a job is at work."""
        return self._scope is not None

    def experts(self) -> Mapping[str, Expert | None]:
        """Those one can ask: one's own, the pipeline (None), those that ship, delegates (`@x/y`) last."""
        shipped = api.read_config(None).experts

        def place(key: str) -> tuple[bool, int]:
            return key.startswith("@"), 1 if key == FIX else 2 if shipped.get(key) == self.config.experts[key] else 0

        return {key: self.config.experts.get(key) for key in sorted([*self.config.experts, FIX], key=place)}

    def price(self) -> Price:
        """What tokens cost with the provider that jobs use."""
        name = api.choose_provider(self.machine, self.config).name
        return self._prices.setdefault(name, api.pricing(name, lambda: int(time() * 1000)))

    def begin(self, expert: str, query: str, told: Told) -> None:
        """Start a new job. Raises: UserError for an expert that is not defined."""
        self._start(order(self.settings, self.config, expert, query), told)

    def go_on(self, job_id: str, query: str, told: Told, *, checkpoint: str = "", is_answer: bool = False) -> None:
        """Say something to a job that has stopped. Raises: UserError or InfrastructureError where it cannot go on."""
        standing = self.archive.read(job_id).standing()
        expert = standing.expert if standing else ""
        asked = order(self.settings, self.config, expert, query)
        self._start(continued(asked, self.archive, Onward(job_id, checkpoint, is_answer)), told)

    def resume(self, job_id: str, told: Told) -> None:
        """Go on with an interrupted job where its log ends. Raises: as `go_on`."""
        found, standing = interrupted(self.archive, job_id)
        asked = order(self.settings, self.config, standing.expert, "")
        self._start(replace(asked, job_id=found.record.id, resume=True), told)

    def fix(self, task: str, told: Told) -> None:
        """Start the pipeline on the workspace's commit: plan, build, verify. Nothing is written to the checkout."""
        config = self.config if self.settings.config else None
        asked = api.FixCheckout(self.settings.place(), task, config=config)
        self._run(told, lambda watch: self._fixed(asked, watch))

    def stop(self) -> None:
        """Cancel the job at work; it ends by itself a moment later, and can be resumed."""
        if self._scope is not None and self._portal is not None:
            self._portal.start_task_soon(self._scope.cancel)

    def jobs(self) -> tuple[JobRecord, ...]:
        """The newest jobs on record."""
        return self.archive.jobs()[:_MOST]

    def _start(self, asked: api.Run, told: Told) -> None:
        async def work(watch: Callable[[Event], None]) -> End:
            async with api.Engine(self.machine).job("run", watch, asked) as job:
                self.job_id = job.id
                outcome = await job.run(asked)
            return End(outcome.status, outcome.error)

        self._run(told, work)

    async def _fixed(self, asked: api.FixCheckout, watch: Callable[[Event], None]) -> End:
        outcome = await api.fix_checkout(self.machine, asked, watch, lambda _: None)
        return End("completed" if outcome.verdict.exit_code == 0 else outcome.verdict.value, outcome.why)

    def _run(self, told: Told, work: Work) -> None:
        if self._portal is None:
            return
        scope = self._scope = anyio.CancelScope()

        def ended(future: Future[End]) -> None:
            error = None if future.cancelled() else future.exception()
            self._scope = None
            if future.cancelled():
                told.end(End("stopped"))
            elif error is not None:
                told.end(End("failed", f"a bug of perstack: {error!r}", "Please report it."))
            else:
                told.end(future.result())

        self._portal.start_task_soon(partial(self._until_end, scope, told, work)).add_done_callback(ended)

    async def _until_end(self, scope: anyio.CancelScope, told: Told, work: Work) -> End:
        def watch(event: Event) -> None:
            self.job_id = event.job_id
            told.event(event)

        end = End("stopped")
        try:
            with scope:
                end = await work(watch)
        except PerstackError as error:
            return End("failed", error.message, error.hint)
        except BaseExceptionGroup as group:
            known = _first(group)
            if known is None:
                raise
            return End("failed", known.message, known.hint)
        return end


def _first(error: BaseException) -> PerstackError | None:
    """The first error of ours in nested groups."""
    if isinstance(error, PerstackError):
        return error
    inner = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    return next((found for one in inner if (found := _first(one)) is not None), None)
