"""`perstack shard`: one verification over several machines, such as the jobs of a GitHub Actions matrix."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.console import Console

from perstack import api
from perstack.core.errors import UserError
from perstack.core.json import compact
from perstack.interface.change import Change, change_options, told
from perstack.interface.options import format_option, host, out_option, sandbox_option, warn
from perstack.interface.render.terminal import LiveView
from perstack.interface.shares import MOST, matrix_of, parse_share
from perstack.interface.working import carry_through


@click.group(
    name="shard",
    epilog="""\b
Examples:
  perstack shard plan --shards 4
  perstack shard run 2/4 --out share
  perstack shard merge shares/                     exit codes as `perstack verify`""",
)
def command() -> None:
    """Share a verification out over several machines, and merge what they measured into one verdict.

    Every machine sees the same base and the same change. Merging is `perstack verify` with the measurements at hand:
    what is missing or does not fit is measured again, and the verdict is the one that a single machine would give.
    """


@command.command(name="plan")
@click.option("--shards", type=click.IntRange(1, MOST), default=4, show_default=True, help="How many machines.")
@change_options
@sandbox_option
@format_option
def plan(shards: int, sandbox: str, output: str, **given: Any) -> int:
    """Say what each machine would measure. `--format json` has the `matrix` for GitHub Actions."""
    change = Change.of(given)

    async def work() -> tuple[tuple[str, ...], ...]:
        with host(sandbox=sandbox) as machine:
            return await api.plan_shards(machine, change.asked(), shards)

    shares = carry_through(work)
    names = [f"{number}/{len(shares)}" for number in range(1, len(shares) + 1)]
    if output == "json":
        rows = [{"shard": name, "units": [*units]} for name, units in zip(names, shares, strict=True)]
        click.echo(compact({"shards": len(shares), "matrix": matrix_of(shares), "plan": [*rows]}))
    else:
        for name, units in zip(names, shares, strict=True):
            click.echo(f"{name}  {', '.join(units) or 'nothing to measure'}")
    return 0


@command.command(name="run")
@click.argument("share")
@change_options
@sandbox_option
@out_option
@format_option
def run(share: str, sandbox: str, out: Path | None, output: str, **given: Any) -> int:
    """Measure SHARE, such as 2/4, into the folder of `--out`."""
    number, of = parse_share(share)
    folder = out or Path(f"shard-{number}-of-{of}")
    if folder.exists() and any(folder.iterdir()):
        raise UserError(
            f"{folder} is not empty", hint="Give `--out` a new folder: old results must not get in between."
        )
    change = Change.of(given)

    async def work() -> tuple[str, ...]:
        with host(sandbox=sandbox) as machine, LiveView(Console(stderr=True)) as view:
            return await api.run_shard(machine, change.asked(), (number, of), folder, view)

    units = carry_through(work)
    if output == "json":
        click.echo(compact({"shard": share, "out": str(folder), "units": [*units]}))
    else:
        click.echo(f"{share}: measured {', '.join(units) or 'nothing'} → {folder}")
    return 0


@command.command(name="merge")
@click.argument("folders", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@change_options
@sandbox_option
@out_option
@format_option
def merge(folders: tuple[Path, ...], sandbox: str, out: Path | None, output: str, **given: Any) -> int:
    """Make one verdict of what the machines left below FOLDERS."""
    change = Change.of(given)

    async def work() -> int:
        with host(sandbox=sandbox, storage=out) as machine, LiveView(Console(stderr=True)) as view:
            asked = change.asked(shards=folders, out=out, everything=True)
            return told(await api.verify_checkout(machine, asked, view, warn), output)

    return carry_through(work)
