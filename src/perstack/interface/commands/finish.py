"""`perstack finish`: the last step of `action.yml`, run whatever became of the job. Ends what the job left open.

A job that was killed cannot say so itself. Without this step its check run would stay in progress for good.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import click

from perstack import api
from perstack.core.errors import ExitCode, ForgeError, PerstackError
from perstack.forge.contract import CheckOutput, CheckStatus, Forge, OwnComment, Ref
from perstack.forge.workflow import append_outputs, workflow_command
from perstack.interface import unfinished
from perstack.interface.calls import call
from perstack.interface.github import repository_forge, run_url
from perstack.interface.options import host
from perstack.interface.unfinished import Unfinished
from perstack.interface.working import carry_through

_TITLE = "The job ended before it had a result"
_TEXT = (
    "**{title}.** The runner stopped it: it was cancelled, ran out of time or memory, or the machine went away. "
    "Nothing is known about the commit, and nothing was pushed after this. {page}\n\nAsk again to start over."
)


@click.command(
    name="finish", epilog="Runs inside GitHub Actions as a step with `if: always()`, after `perstack action`."
)
def command() -> int:
    """End check runs and comments that a killed job left in progress; tell where the job's result lies."""
    env = dict(os.environ)
    folder = unfinished.place(env)
    code = ExitCode.OK
    try:
        left = unfinished.read(folder)
        if left:
            carry_through(_finish, env, folder, left)
    except PerstackError as error:
        if env.get("GITHUB_ACTIONS"):
            click.echo(workflow_command("error", str(error), {"title": "Perstack"}))
        else:
            click.echo(f"perstack: {error}", err=True)
        code = error.exit_code
    _tell_result(env, folder / "result")
    return code


async def _finish(env: Mapping[str, str], folder: Path, left: tuple[Unfinished, ...]) -> None:
    """Raises: PerstackError for the first thing that could not be ended, after all were tried."""
    failed: list[ForgeError] = []
    still: list[Unfinished] = []
    with host(storage=folder) as machine:
        forge = repository_forge(
            machine.env,
            env.get("GITHUB_REPOSITORY", ""),
            run_url=run_url(env),
            redact=api.DeferredEngine(machine).redact,
        )
        for each in left:
            try:
                await _end_check(forge, each, run_url(env))
                await _end_comment(forge, each, env)
            except ForgeError as error:
                failed.append(error)
                still.append(each)
    unfinished.write(folder, still)
    if failed:
        raise failed[0]


async def _end_check(forge: Forge, each: Unfinished, page: str) -> None:
    """The job may have been killed between ending its check run and noting that: an ended one is left as it is."""
    if not each.id:
        return
    checks = await call(forge.find_checks, each.head_sha, each.name)
    if any(ref.id == each.id and status is CheckStatus.COMPLETED for ref, _, status in checks):
        return
    output = CheckOutput(title=_TITLE, summary=_text(page))
    await call(forge.update_check, Ref(each.id), output, status=CheckStatus.COMPLETED, conclusion="cancelled")
    click.echo(f"perstack: check run {each.id} was left in progress; it is cancelled now")


async def _end_comment(forge: Forge, each: Unfinished, env: Mapping[str, str]) -> None:
    """Only a comment that still says that this very run works: a newer job may have taken it over."""
    if not each.number:
        return
    comment = await call(forge.own_comment, each.number, each.key)
    if comment is None or not _is_ours(comment, env):
        return
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    data = {**comment.data, "state": "cancelled", "finished": now}
    await call(forge.upsert_comment, each.number, each.key, _text(run_url(env)), data)
    click.echo(f"perstack: the comment on #{each.number} says that the job was stopped")


def _is_ours(comment: OwnComment, env: Mapping[str, str]) -> bool:
    same = all(
        str(comment.data.get(name) or 0) == (env.get(variable) or "0")
        for name, variable in (("run", "GITHUB_RUN_ID"), ("attempt", "GITHUB_RUN_ATTEMPT"))
    )
    return same and comment.data.get("state") == "working"


def _text(page: str) -> str:
    return _TEXT.format(title=_TITLE, page=f"[The run]({page}) shows how far it came." if page else "").strip()


def _tell_result(env: Mapping[str, str], result: Path) -> None:
    """The step's output `artifact`: the folder to upload, empty where the job left nothing."""
    if env.get("GITHUB_OUTPUT"):
        there = result.is_dir() and any(result.iterdir())
        append_outputs(Path(env["GITHUB_OUTPUT"]), {"artifact": str(result) if there else ""})
