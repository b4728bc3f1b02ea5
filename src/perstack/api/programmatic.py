"""The programmatic API: run, go on, stream, verify and fix from a program. Async first, each with a synchronous twin.

Words in, words out: no concrete class is picked here. `perstack` itself gives these names.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial, wraps
from pathlib import Path
from typing import ParamSpec, TypeVar, Unpack

from perstack.api.asking import (
    Answer,
    FixOptions,
    GoOnOptions,
    ModelOptions,
    Options,
    Proceed,
    Resume,
    RunOptions,
    RunResult,
    Task,
    VerifyOptions,
)
from perstack.api.checkout import FixCheckout, VerifyCheckout, fix_checkout, verify_checkout
from perstack.api.engine import Engine
from perstack.api.host import Host
from perstack.api.machine import surroundings
from perstack.api.orders import check_options, config_from, order
from perstack.api.stream import RunStream
from perstack.core.contracts import Provider
from perstack.core.errors import BudgetExceeded, UserError
from perstack.core.events import Event, EventSink
from perstack.core.messages import Delta, ModelReply, ModelRequest, ToolCall
from perstack.core.outcome import FixOutcome
from perstack.core.storage import JobRecord, Store
from perstack.core.usage import Usage
from perstack.core.verdict import Report
from perstack.infrastructure.interruption import numbers_of_ctrl_c, run_interruptibly
from perstack.runtime.fold import fold

P = ParamSpec("P")
T = TypeVar("T")

_LOG = logging.getLogger("perstack")


async def run(task: Task, query: str = "", **options: Unpack[RunOptions]) -> RunResult:
    """Run an expert with its delegates to its end, or go on with an old job.

    What a model or its limits ended is a result, not an exception.
    Raises: UserError (configuration, arguments, no such job) and InfrastructureErrors (no sandbox).
    """
    check_options(options, RunOptions.__optional_keys__)
    return await _carry_out(task, query, options, options.get("on_event"))


async def resume(job_id: str, **options: Unpack[GoOnOptions]) -> RunResult:
    """Go on with an interrupted job where its log ends. Raises: as `run`; UserError where it has ended."""
    return await run(Resume(job_id), **options)


async def proceed(job_id: str, query: str, *, checkpoint: str = "", **options: Unpack[GoOnOptions]) -> RunResult:
    """Say something more to a job that has ended; from `checkpoint` it becomes a branch. Raises: as `run`."""
    return await run(Proceed(job_id, query, checkpoint), **options)


async def answer(job_id: str, text: str, **options: Unpack[GoOnOptions]) -> RunResult:
    """Answer the question a job has stopped at (`RunResult.question`). Raises: as `run`."""
    return await run(Answer(job_id, text), **options)


def stream(task: Task, query: str = "", **options: Unpack[RunOptions]) -> RunStream:
    """The same as `run`, as an `async with` block that gives the events one by one.

    Raises: in the block, what `run` raises.
    """
    check_options(options, RunOptions.__optional_keys__)
    also = options.get("on_event")

    def work(live: RunStream) -> Awaitable[RunResult]:
        def watch(event: Event) -> None:
            live.add(event)
            if also is not None:
                also(event)

        return _carry_out(task, query, options, watch, live.paced)

    return RunStream(work)


def jobs(**options: Unpack[Options]) -> tuple[JobRecord, ...]:
    """All jobs on record, newest first. What is `running` and nobody works on was interrupted: `resume` it."""
    check_options(options, Options.__optional_keys__)
    with _machine(options, ModelOptions()) as host:
        return Engine(host).store.jobs()


async def verify(repo: Path | str = ".", **options: Unpack[VerifyOptions]) -> Report:
    """The verification protocol on a change in a git checkout: the working tree, a commit or a patch.

    Raises: UserError and InfrastructureErrors before there is a report.
    """
    check_options(options, VerifyOptions.__optional_keys__)
    out = options.get("out")
    asked = VerifyCheckout(
        Path(repo),
        base=options.get("base", ""),
        head=options.get("head", ""),
        patch=options.get("patch"),
        targets=tuple(options.get("targets", ())),
        config=await config_from(options.get("config")),
        out=None if out is None else Path(out),
    )
    with _machine(options, ModelOptions()) as host:
        return await verify_checkout(host, asked, options.get("on_event"), _LOG.warning)


async def fix(task: str = "", **options: Unpack[FixOptions]) -> FixOutcome:
    """Plan, build and verify until what is red at a commit is green and proved, or a budget ends.

    Raises: UserError and InfrastructureErrors before there is an outcome.
    """
    check_options(options, FixOptions.__optional_keys__)
    asked = FixCheckout(
        Path(options.get("repo", ".")),
        task,
        base=options.get("base", "HEAD"),
        targets=tuple(options.get("targets", ())),
        config=await config_from(options.get("config")),
        apply=options.get("apply", False),
    )
    with _machine(options, options) as host:
        return await fix_checkout(host, asked, options.get("on_event"), _LOG.warning)


def blocking(function: Callable[P, Awaitable[T]]) -> Callable[P, T]:
    """The function for programs without an event loop: waits until it is done.

    Ctrl-C cancels it, and is a KeyboardInterrupt once it has cleaned up.
    Raises: UserError inside a running event loop, which it would block.
    """

    @wraps(function)
    def wait(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return run_interruptibly(_awaited, partial(function, *args, **kwargs), numbers=numbers_of_ctrl_c())
        name = function.__name__
        raise UserError(f"{name}_sync was called inside a running event loop", hint=f"Use `await perstack.{name}(…)`.")

    wait.__name__ = wait.__qualname__ = f"{function.__name__}_sync"
    return wait


run_sync = blocking(run)
resume_sync = blocking(resume)
proceed_sync = blocking(proceed)
answer_sync = blocking(answer)
verify_sync = blocking(verify)
fix_sync = blocking(fix)


async def _awaited(call: Callable[[], Awaitable[T]]) -> T:
    return await call()


async def _carry_out(
    task: Task,
    query: str,
    options: RunOptions,
    watch: EventSink | None,
    around: Callable[[Provider], Provider] | None = None,
) -> RunResult:
    with _machine(options, options) as host:
        engine = Engine(replace(host, around=around))
        asked = order(task, query, options, engine.store, await config_from(options.get("config")))
        for warning in asked.config.warnings:
            _LOG.warning(warning)
        try:
            async with engine.job("run", watch, asked) as job:
                outcome = await job.run(asked)
        except BudgetExceeded as error:
            return _over_budget(error, engine.store, job.id)
        except BaseExceptionGroup as group:
            # What a program's own listener, skill or provider raised comes back as it was raised.
            raise (_single(group) or group) from None
        waits = outcome.status == "stoppedByInteractiveTool"
        return RunResult(
            status=outcome.status,
            text=outcome.text,
            usage=outcome.usage,
            steps=outcome.steps,
            job_id=job.id,
            run_id=outcome.run_id,
            error=outcome.error,
            question=_question(engine.store, job.id) if waits else None,
            cost_usd=outcome.cost_usd,
            models=outcome.models,
            experts=outcome.experts,
            troubles=outcome.troubles,
        )


@contextmanager
def _machine(options: Options, model: ModelOptions) -> Iterator[Host]:
    storage, provider = options.get("storage"), model.get("provider") or ""
    with surroundings(
        options.get("env"),
        sandbox=options.get("sandbox", "auto"),
        provider=provider if isinstance(provider, str) else _Borrowed(provider),
        model=model.get("model") or "",
        storage=None if storage is None else Path(storage),
        store=options.get("store"),
    ) as host:
        if host.sandbox == "host":
            _LOG.warning("sandbox `host` gives NO isolation: what experts run, runs as you")
        yield host


def _single(error: BaseException) -> BaseException | None:
    """The one error in nested groups, None where there are several."""
    while isinstance(error, BaseExceptionGroup):
        if len(error.exceptions) != 1:
            return None
        error = error.exceptions[0]
    return error


def _over_budget(error: BudgetExceeded, store: Store, job_id: str) -> RunResult:
    """A job that used up its tokens, as far as it came."""
    latest = fold(store.read(job_id).events).latest_run()
    return RunResult(
        status="stoppedByError",
        text="",
        usage=latest.usage if latest else Usage(),
        steps=latest.step if latest else 0,
        job_id=job_id,
        run_id=latest.origin_run_id if latest else "",
        error=error.message,
    )


def _question(store: Store, job_id: str) -> ToolCall | None:
    """The interactive call that a job has stopped at."""
    latest = fold(store.read(job_id).events).latest_run()
    return latest.pending[0] if latest and latest.pending else None


class _Borrowed:
    """A provider that belongs to the program: a job that ends does not close it."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    @property
    def name(self) -> str:
        return self._provider.name

    async def generate(self, request: ModelRequest, on_delta: Callable[[Delta], None]) -> ModelReply:
        """As the program's own."""
        return await self._provider.generate(request, on_delta)

    async def close(self) -> None:
        """Left open."""
