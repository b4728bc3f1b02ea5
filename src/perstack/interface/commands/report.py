"""`perstack report`: one job as a page for people, or as a document for other tools."""

from __future__ import annotations

from pathlib import Path

import click

from perstack import api
from perstack.core.errors import InfrastructureError, UserError
from perstack.interface.completion import jobs
from perstack.interface.options import storage_option, storage_root
from perstack.interface.report.on_record import FORMATS, report_of


@click.command(
    name="report",
    epilog="""\b
Examples:
  perstack report                                  the job worked on last
  perstack report JOB --out report.html
  perstack report --format junit > perstack.xml
  perstack report --format badge --out badge.svg""",
)
@click.argument("job", required=False, default="", shell_complete=jobs)
@click.option(
    "--format",
    "output",
    type=click.Choice(FORMATS),
    default="html",
    show_default=True,
    help="html: one file that needs nothing else.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path, allow_dash=True),
    help="Where to.  [default: report.html for html, else stdout]",
)
@storage_option
def command(job: str, output: str, out: Path | None, storage: Path | None) -> int:
    """Render a job: verdict and reasons first, then signals, tests, change, time line and every event.

    JOB is a job's id; by default the one that was worked on last.
    """
    archive = api.Archive(storage_root(storage))
    job_id = job or next(iter(archive.recent()), "")
    if not job_id:
        raise UserError(f"no job below {archive.root}", hint="Say where jobs are kept: --storage DIR.")
    text = report_of(archive, job_id, output)
    target = str(out or ("report.html" if output == "html" else "-"))
    if target == "-":
        click.echo(text, nl=False)
    else:
        _write(Path(target), text)
        click.echo(f"{output}: {target}", err=True)
    return 0


def _write(target: Path, text: str) -> None:
    part = target.with_name(f".{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8", errors="replace", newline="\n")
        part.replace(target)
    except OSError as error:
        raise InfrastructureError(
            f"{target}: cannot be written: {error.strerror}", hint="Choose another --out."
        ) from error
