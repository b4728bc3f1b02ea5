"""`perstack install`: write `perstack.lock`, so that runs need not wait for servers."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from perstack import api
from perstack.core.errors import ExitCode, UserError
from perstack.core.events import Event
from perstack.core.json import JsonObject, compact
from perstack.interface import dotenv
from perstack.interface.options import environment, format_option, host, sandbox_option, warn
from perstack.interface.render.facts import visible
from perstack.interface.render.live import waiting
from perstack.interface.working import carry_through

# What tells a person why it takes so long, or why it failed.
_TOLD = {"progress": "message", "skillStderr": "message"}


@click.command(
    name="install",
    epilog="""\b
Examples:
  perstack install
  perstack install --check                         for CI: exit code 1 where the lock file is stale
  perstack install --config experts/perstack.toml --env-path .env.ci

Exit codes: 0 done; 1 stale (--check); 2 usage or configuration; 4 a server or the sandbox does not work.""",
)
@click.option("--config", help="Path of the perstack.toml.  [default: the nearest one]")
@click.option("--env-path", multiple=True, help="A dotenv file; repeatable.  [default: as the perstack.toml says]")
@click.option("--check", is_flag=True, help="Write nothing; exit code 1 where the lock file is stale.")
@click.option("--upgrade", is_flag=True, help="Take the newest packages instead of those of the lock file.")
@sandbox_option
@format_option
def command(
    config: str | None, env_path: tuple[str, ...], check: bool, upgrade: bool, sandbox: str, output: str
) -> int:
    """Start every skill of every expert, ask for its tools, and write them to perstack.lock beside the definition."""
    path = _local(config)
    settings = api.read_config(path)
    for warning in settings.warnings:
        warn(warning)
    files = map(Path, env_path or settings.env_path)
    env = dotenv.merged(environment(), files, must_exist=bool(env_path))

    def say(text: str) -> None:
        click.echo(text, err=output == "json")

    async def work() -> api.Installation:
        with host(sandbox, env=env) as machine, waiting(Console(stderr=True), "ask the skills for their tools"):
            return await api.collect(machine, path, say, _tell, upgrade=upgrade)

    found = carry_through(work)
    for left_out in found.left_out:
        warn(left_out)
    if not check:
        api.write_lock(found)
    if output == "json":
        click.echo(compact(_document(found, written=not check)))
    if not check:
        say(f"Generated {found.path}")
        return ExitCode.OK
    if not found.changes:
        say(f"Up to date {found.path}")
        return ExitCode.OK
    click.echo(f"perstack: {found.path} is stale:", err=True)
    for change in found.changes:
        click.echo(f"  {visible(change)}", err=True)
    click.echo("  → run `perstack install` and commit the file", err=True)
    return ExitCode.FAIL


def _document(found: api.Installation, *, written: bool) -> JsonObject:
    return {
        "path": str(found.path),
        "written": written,
        "changes": list(found.changes),
        "leftOut": list(found.left_out),
    }


def _local(given: str | None) -> Path:
    """The definition's file. Raises: UserError where there is none, or it is not on this machine."""
    if given is not None and "://" in given:
        raise UserError("a lock file belongs to a local perstack.toml", hint="Download it and give its path.")
    path = Path(given) if given is not None else api.find_config(Path.cwd())
    if path is None:
        raise UserError("perstack.toml not found. Create one or specify --config path.")
    return path


def _tell(event: Event) -> None:
    if event.type in _TOLD:
        click.echo(f"perstack: {visible(str(event.payload.get(_TOLD[event.type], '')))}", err=True)
