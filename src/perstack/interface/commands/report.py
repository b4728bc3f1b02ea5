"""`perstack report`: one job as a page for people, or as a document for other tools."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from perstack import api
from perstack.core.errors import InfrastructureError, UserError
from perstack.core.events import Event
from perstack.interface.options import storage_option, storage_root
from perstack.interface.report.formats import badge_svg, junit_xml, markdown_page, sarif
from perstack.interface.report.gathered import Gathered, gather
from perstack.interface.report.page import html_page

FORMATS = {"html": "report.html", "markdown": "-", "junit": "-", "sarif": "-", "badge": "-"}
_MOST_PATCH = 4_000_000
_MOST_PICTURES = 24_000_000  # bytes of all pictures in one page


@click.command(
    name="report",
    epilog="Examples:  perstack report   |   perstack report JOB --out report.html   |   "
    "perstack report --format junit > perstack.xml   |   perstack report --format badge --out badge.svg",
)
@click.argument("job", required=False, default="")
@click.option(
    "--format",
    "output",
    type=click.Choice(list(FORMATS)),
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
    history = archive.read(job_id)
    folder = archive.root / "jobs" / job_id
    it = gather(job_id, history.events, is_over=not history.is_live, problem=history.problem, patch=_patch(folder))
    text = _rendered(output, it, history.events, folder)
    target = str(out or FORMATS[output])
    if target == "-":
        click.echo(text, nl=False)
    else:
        _write(Path(target), text)
        click.echo(f"{output}: {target}", err=True)
    return 0


def _patch(folder: Path) -> str:
    path = folder / "candidate.patch"
    if not path.is_file() or path.is_symlink() or path.stat().st_size > _MOST_PATCH:
        return ""
    return path.read_text("utf-8", errors="replace")


def _rendered(output: str, it: Gathered, events: Sequence[Event], folder: Path) -> str:
    if output == "html":
        return html_page(it, events, pictures_of(it, folder))
    return {"markdown": markdown_page, "junit": junit_xml, "sarif": sarif, "badge": badge_svg}[output](it)


def pictures_of(it: Gathered, folder: Path) -> dict[str, bytes]:
    """The pictures that lie with the evidence, as far as one page can hold them. A path out of the folder is none."""
    found: dict[str, bytes] = {}
    room = _MOST_PICTURES
    for row in it.pictures:
        path = folder / "pictures" / Path(row.path).name
        if path.is_file() and not path.is_symlink() and path.stat().st_size <= room:
            found[row.path] = path.read_bytes()
            room -= len(found[row.path])
    return found


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
