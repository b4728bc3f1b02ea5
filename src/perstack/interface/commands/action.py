"""`perstack action`: the entry point of `action.yml`. Reads the event that GITHUB_* names and does what it asks."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

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
from perstack.interface.working import carry_through


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
            return await (share_out(desk, triggers[0], word) if word else answer(desk, triggers))

    # Actions sends SIGINT, later SIGTERM: the first cancels the job, which then says its last words on the forge.
    result = carry_through(work, has_last_words=True)
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


def _tell(event: Event) -> None:
    """Stages in the job log. Nothing from the checkout is printed here, so no workflow command can come from it."""
    if event.type in {"startStage", "finishStage"}:
        number = f" round {event.payload.get('round')}" if event.payload.get("round") else ""
        word = "…" if event.type == "startStage" else f"done in {event.payload.get('seconds')} s"
        sys.stdout.write(f"perstack: {event.payload.get('stage')}{number} {word}\n")
        sys.stdout.flush()
