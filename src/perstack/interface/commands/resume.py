"""`perstack resume`: go on with a job that was interrupted, where its log ends."""

from __future__ import annotations

from dataclasses import replace

import click

from perstack import api
from perstack.interface.completion import jobs
from perstack.interface.continuing import interrupted, require_same_place
from perstack.interface.options import storage_root
from perstack.interface.running import carry_out, tell_found
from perstack.interface.settings import Settings, load_config, order, run_options


@click.command(
    name="resume",
    short_help="Go on with a job that was interrupted.",
    epilog="""\b
Examples:
  perstack resume                      the job that was interrupted last
  perstack resume JOB --filter completeRun

What is on record is never done again. A call that had begun when the process ended is made again only
where that is safe (it only reads); of any other the expert is told that its result is lost.

Exit codes: those of `perstack run`; 2 where there is nothing to resume; 4 where the log is damaged.""",
)
@click.argument("job", default="", shell_complete=jobs)
@click.option(
    "--filter",
    "only",
    default="",
    metavar="TYPES",
    help="Print only these event types: a,b; or `.path op value`, as log has it.",
)
@click.option("--drop-damaged", is_flag=True, help="Go on after the intact part of a damaged log; JOB is needed.")
@run_options
def command(job: str, only: str, drop_damaged: bool, settings: Settings) -> int:
    """Go on with an interrupted job where its log ends.

    Give the options (--config, --workspace, …) that it was started with; `perstack run` printed them when it stopped.
    """
    if drop_damaged and not job:
        raise click.UsageError("--drop-damaged needs a JOB")
    archive = api.Archive(storage_root(settings.storage))
    if drop_damaged and archive.read(job).is_damaged:
        click.echo(f"perstack: the damaged log is kept as {archive.drop_damaged(job)}", err=True)
    found, standing = interrupted(archive, job)
    config = load_config(settings)
    asked = replace(order(settings, config, standing.expert, ""), job_id=found.record.id, resume=True)
    require_same_place(found, asked)
    tell_found(found, standing)
    return carry_out(asked, replace(settings, only=only))
