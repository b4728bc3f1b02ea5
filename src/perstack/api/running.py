"""What a run request means for the runtime: a new run, or one of four ways to go on with an old job. Opens nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from perstack.api.host import Run
from perstack.core.experts import Expert
from perstack.definition.topology import resolve_expert
from perstack.runtime.continuation import answering, at_checkpoint, newest, require_unfinished, saying
from perstack.runtime.driver import RunOutcome, RunRequest
from perstack.runtime.fold import JobState
from perstack.runtime.staff import Staff, reasoning_tokens


async def carried_out(run: Run, staff: Staff, experts: Mapping[str, Expert], found: JobState | None) -> RunOutcome:
    """Do what `run` asks; `found` is the job it goes on with. `experts` may grow meanwhile.

    Raises: UserError where the job cannot go on this way; else as `Runner.run`.
    """
    request = _request(run, staff, experts)
    runner = staff.runner
    if found is None:
        return await runner.run(request)
    if run.resume:
        return await runner.resume(replace(request, query=""), found)
    if run.answer:
        return await runner.answer(request, found, run.query, checkpoint_id=run.checkpoint)
    if run.checkpoint:
        return await runner.branch(request, found, run.checkpoint)
    return await runner.proceed(request, found)


def require_possible(run: Run, found: JobState) -> None:
    """Make sure that an old job can go on as `run` asks, before anything of it is opened or written.

    Raises: UserError where it cannot.
    """
    request = RunRequest(resolve_expert(run.config, run.expert), run.query, "", found.job_id)
    there = at_checkpoint(request, found, run.checkpoint) if run.checkpoint else newest(request, found)
    if run.resume:
        require_unfinished(found, there)
    elif run.answer:
        answering(found, there, run.query, branch=run.checkpoint)
    else:
        saying(found, there, run.query, branch=run.checkpoint)


def _request(run: Run, staff: Staff, experts: Mapping[str, Expert]) -> RunRequest:
    config, expert = run.config, resolve_expert(run.config, run.expert)
    budget = config.reasoning_budget if run.reasoning_budget == "" else run.reasoning_budget
    return RunRequest(
        expert=expert,
        query=run.query,
        model=staff.model_of(expert),
        job_id=staff.job_id,
        experts=experts,
        max_steps=staff.max_steps,
        max_retries=config.max_retries if run.max_retries < 0 else run.max_retries,
        timeout_s=(run.timeout_ms or config.timeout_ms) / 1000,
        reasoning_budget=reasoning_tokens(budget),
        context=config.context,
    )
