"""`perstack action`: the entry point of `action.yml`. Reads the event that GITHUB_* names and does what it asks."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import anyio
import click

from perstack import api
from perstack.core.errors import ExitCode, PerstackError
from perstack.core.events import Event
from perstack.core.faults import machine_faults
from perstack.forge.contract import Ignored
from perstack.forge.workflow import append_summary, workflow_command
from perstack.interface.event import read_triggers, whole
from perstack.interface.github import github_forge, run_url
from perstack.interface.jobs.desk import Desk, JobResult, Process
from perstack.interface.jobs.life import answer
from perstack.interface.jobs.sharing import share_out
from perstack.interface.options import host
from perstack.interface.render.markdown import problem
from perstack.interface.unfinished import place


@click.command(name="action", epilog="Runs inside GitHub Actions; to try it elsewhere, use `perstack demo` or act.")
@click.option("--sandbox", default=lambda: os.environ.get("PERSTACK_SANDBOX") or "auto", show_default="auto")
@click.option("--provider", default=lambda: os.environ.get("PERSTACK_PROVIDER", ""))
@click.option("--model", default=lambda: os.environ.get("PERSTACK_MODEL", ""))
def command(sandbox: str, provider: str, model: str) -> int:
    """Answer one GitHub event: who asks, may they, work, prove, publish."""
    env = dict(os.environ)
    try:
        with machine_faults():
            return _answer(env, sandbox, provider, model)
    except PerstackError as error:
        tell_failure(env, error)
        raise


def _answer(env: dict[str, str], sandbox: str, provider: str, model: str) -> int:
    triggers = read_triggers(env)
    if isinstance(triggers, Ignored):
        click.echo(f"perstack: nothing to do: {triggers.why}")
        return ExitCode.OK
    storage = place(env)

    async def work() -> JobResult:
        with host(sandbox=sandbox, provider=provider, model=model, storage=storage) as machine:
            engine = api.DeferredEngine(machine)
            process = Process(
                run_url(env), whole(env.get("GITHUB_RUN_ID", "")), whole(env.get("GITHUB_RUN_ATTEMPT", ""))
            )
            forge = github_forge(machine.env, triggers[0], run_url=process.url, redact=engine.redact)
            desk = Desk(
                forge,
                engine,
                machine.scratch,
                process,
                watch=_tell,
                folder=storage,
                shards=_shards(env.get("PERSTACK_SHARDS", "")),
            )
            word = env.get("PERSTACK_SHARD", "").strip()
            return await _until_signalled(
                lambda: share_out(desk, triggers[0], word) if word else answer(desk, triggers)
            )

    result = anyio.run(work)
    if result.message and result.exit_code != ExitCode.OK and env.get("GITHUB_ACTIONS"):
        click.echo(workflow_command("error", result.message, {"title": "Perstack"}))
    elif result.message:
        click.echo(f"perstack: {result.message}", err=result.exit_code != ExitCode.OK)
    elif result.story is not None:
        click.echo(f"perstack: verdict {result.story.verdict}")
    return result.exit_code


def tell_failure(env: Mapping[str, str], error: PerstackError) -> None:
    """Before there is a forge to write to: the job summary and one annotation in the log."""
    if env.get("GITHUB_STEP_SUMMARY"):
        append_summary(Path(env["GITHUB_STEP_SUMMARY"]), problem("action", error.message, error.hint))
    if env.get("GITHUB_ACTIONS"):
        click.echo(workflow_command("error", str(error), {"title": "Perstack"}))


def _shards(lines: str) -> tuple[Path, ...]:
    """Folders in which a share lies. Where no other job left one, everything is measured here."""
    folders = [Path(line.strip()) for line in lines.splitlines() if line.strip()]
    found = tuple(folder for folder in folders if next(folder.rglob("shard.json"), None))
    if folders and not found:
        click.echo("perstack: no job left a share: everything is measured here")
    return found


async def _until_signalled(work: Callable[[], Awaitable[JobResult]]) -> JobResult:
    """Actions sends SIGINT, later SIGTERM: both cancel the job, which then says its last words on the forge."""
    # The receiver is open until the end: the second signal must not cut the last words short.
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with anyio.create_task_group() as tasks:

            async def watch() -> None:
                async for _ in signals:
                    tasks.cancel_scope.cancel()
                    return

            tasks.start_soon(watch)
            result = await work()
            tasks.cancel_scope.cancel()
            return result
    raise KeyboardInterrupt


def _tell(event: Event) -> None:
    """Stages in the job log. Nothing from the checkout is printed here, so no workflow command can come from it."""
    if event.type in {"startStage", "finishStage"}:
        number = f" round {event.payload.get('round')}" if event.payload.get("round") else ""
        word = "…" if event.type == "startStage" else f"done in {event.payload.get('seconds')} s"
        sys.stdout.write(f"perstack: {event.payload.get('stage')}{number} {word}\n")
        sys.stdout.flush()
