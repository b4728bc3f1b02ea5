"""`perstack run`: one expert, headless, events as JSON lines on stdout."""

from __future__ import annotations

import sys
from pathlib import Path

import anyio
import click

from perstack import api
from perstack.core.errors import ExitCode, UserError
from perstack.core.events import Event
from perstack.core.json import compact
from perstack.interface.options import config_option, engine_options, host


@click.command(name="run", epilog='Example:  perstack run my-expert "summarise CHANGES.md" --filter completeRun')
@click.argument("expert")
@click.argument("query")
@click.option(
    "--workspace",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path(),
    show_default="the current directory",
    help="The one directory the expert may read and write.",
)
@click.option("--filter", "only", default="", help="Print only these event types, separated by commas.")
@config_option
@engine_options
def command(
    expert: str, query: str, workspace: Path, only: str, config: Path | None, sandbox: str, provider: str, model: str
) -> int:
    """Run one expert with its delegates to the end.

    Every event is one JSON line on stdout, as it happens.
    """
    wanted = frozenset(name.strip() for name in only.split(",") if name.strip())

    def show(event: Event) -> None:
        if not wanted or event.type in wanted:
            sys.stdout.write(compact(event.to_json()) + "\n")
            sys.stdout.flush()

    async def work() -> int:
        path = config or api.find_config(Path.cwd())
        if path is None:
            raise UserError("perstack.toml not found. Create one or specify --config path.")
        with host(sandbox=sandbox, provider=provider, model=model) as machine:
            settings = api.read_config(path)
            order = api.Run(settings, expert, query, workspace.resolve())
            async with api.Engine(machine).job("run", show, order) as job:
                outcome = await job.run(order)
        if outcome.status == "stoppedByError":
            click.echo(f"perstack: expert `{expert}` stopped: {outcome.error}", err=True)
            return ExitCode.INFRASTRUCTURE
        return ExitCode.OK if outcome.status == "completed" else ExitCode.INCONCLUSIVE

    return anyio.run(work)
