"""A job's report from what is on record of it: log, patch and pictures of one job folder."""

from __future__ import annotations

from pathlib import Path

from perstack import api
from perstack.interface.report.formats import badge_svg, junit_xml, markdown_page, sarif
from perstack.interface.report.gathered import Gathered, gather
from perstack.interface.report.page import html_page

FORMATS = ("html", "markdown", "junit", "sarif", "badge")
_MOST_PATCH = 4_000_000
_MOST_PICTURES = 24_000_000  # bytes of all pictures in one page


def report_of(archive: api.Archive, job_id: str, form: str = "html") -> str:
    """One of `FORMATS`.

    Raises: UserError where there is no such job; InfrastructureError where its log cannot be read.
    """
    history = archive.read(job_id)
    folder = archive.root / "jobs" / job_id
    error = history.record.extra.get("error", "")
    it = gather(
        job_id, history.events, is_over=not history.is_live, problem=history.problem, patch=_patch(folder),
        error=error if isinstance(error, str) else "",
    )  # fmt: skip
    if form == "html":
        return html_page(it, history.events, _pictures(it, folder))
    return {"markdown": markdown_page, "junit": junit_xml, "sarif": sarif, "badge": badge_svg}[form](it)


def _patch(folder: Path) -> str:
    path = folder / "candidate.patch"
    if not path.is_file() or path.is_symlink() or path.stat().st_size > _MOST_PATCH:
        return ""
    # As bytes: a carriage return is content, and no new line that could begin like one of git's.
    return path.read_bytes().decode("utf-8", "replace")


def _pictures(it: Gathered, folder: Path) -> dict[str, bytes]:
    """The pictures that lie with the evidence, as far as one page can hold them. A path out of the folder is none."""
    found: dict[str, bytes] = {}
    room = _MOST_PICTURES
    for row in it.pictures:
        path = folder / "pictures" / Path(row.path).name
        if path.is_file() and not path.is_symlink() and path.stat().st_size <= room:
            found[row.path] = path.read_bytes()
            room -= len(found[row.path])
    return found
