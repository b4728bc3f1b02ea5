"""`perstack action`: the entry point of `action.yml`. Reads the event that GITHUB_* names and does what it asks."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import anyio
import click

from perstack import api
from perstack.core.errors import ExitCode, PerstackError, UserError
from perstack.core.events import Event
from perstack.core.faults import machine_faults
from perstack.forge.contract import Ignored, Trigger
from perstack.forge.trigger import Workflow, read_event
from perstack.forge.workflow import append_summary, workflow_command
from perstack.interface.github import github_forge, run_url
from perstack.interface.jobs.desk import Desk, JobResult, Process
from perstack.interface.jobs.life import answer
from perstack.interface.jobs.sharing import share_out
from perstack.interface.options import host
from perstack.interface.render.markdown import problem
from perstack.interface.unfinished import place

MAX_EVENT = 32 * 1024 * 1024


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
                run_url(env), _whole(env.get("GITHUB_RUN_ID", "")), _whole(env.get("GITHUB_RUN_ATTEMPT", ""))
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


def read_triggers(env: Mapping[str, str]) -> tuple[Trigger, ...] | Ignored:
    """What the event file asks for, in order.

    Raises: UserError when the variables, the file or the payload are not what Actions gives.
    """
    name, path = env.get("GITHUB_EVENT_NAME", ""), env.get("GITHUB_EVENT_PATH", "")
    if not name or not path:
        raise UserError(
            "GITHUB_EVENT_NAME and GITHUB_EVENT_PATH are not set",
            hint="`perstack action` runs inside GitHub Actions; `perstack demo` shows the same job locally",
        )
    return read_event(name, read_payload(Path(path)), workflow_facts(env))


def workflow_facts(env: Mapping[str, str]) -> Workflow:
    """What the workflow says beside the event: the action's inputs, and what the payload may lack."""
    return Workflow(
        label=env.get("PERSTACK_LABEL", ""),
        command=env.get("PERSTACK_COMMAND", "").strip(),
        task=env.get("PERSTACK_TASK", ""),
        repository=env.get("GITHUB_REPOSITORY", ""),
        repository_id=_whole(env.get("GITHUB_REPOSITORY_ID", "")),
        ref=env.get("GITHUB_REF", ""),
        sha=env.get("GITHUB_SHA", ""),
        actor=env.get("GITHUB_ACTOR", ""),
        actor_id=_whole(env.get("GITHUB_ACTOR_ID", "")),
    )


def _shards(lines: str) -> tuple[Path, ...]:
    """Folders in which a share lies. Where no other job left one, everything is measured here."""
    folders = [Path(line.strip()) for line in lines.splitlines() if line.strip()]
    found = tuple(folder for folder in folders if next(folder.rglob("shard.json"), None))
    if folders and not found:
        click.echo("perstack: no job left a share: everything is measured here")
    return found


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0


def read_payload(path: Path) -> dict[str, Any]:
    """Raises: UserError with the place where the file is not a JSON object."""
    try:
        data = path.read_bytes()
        if len(data) > MAX_EVENT:
            raise UserError(f"{path}: the event payload has {len(data)} bytes, more than any real event")
        payload = json.loads(data)
    except OSError as error:
        raise UserError(f"cannot read the event payload {path}: {error.strerror}") from error
    except json.JSONDecodeError as error:
        raise UserError(f"{path}:{error.lineno}:{error.colno}: the event payload is not JSON: {error.msg}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: the event payload is not UTF-8 text: {error.reason}") from error
    if not isinstance(payload, dict):
        raise UserError(f"{path}:1: the event payload is not a JSON object")
    return payload


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
