"""From what a finished tool wrote to diagnostics at paths of the repository. Asks the disk only which files exist.

A form that was asked for has to be there: output that cannot be read is a problem of the run, never "no findings".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from perstack.core.signals import Coverage, Diagnostic
from perstack.core.verdict import ReasonCode
from perstack.signals.diagnostics.automatic import read_automatic
from perstack.signals.diagnostics.parsed import LINES_LIMIT, Parsed, Streams
from perstack.signals.diagnostics.places import Places
from perstack.signals.diagnostics.recognise import AUTO
from perstack.signals.diagnostics.tools import TOOLS, Form

STRUCTURED: Final = frozenset({"json", "sarif"})


@dataclass(frozen=True, slots=True)
class Reading:
    """Diagnostics and what was covered. `problem` says why the run cannot be judged; empty otherwise."""

    diagnostics: tuple[Diagnostic, ...]
    coverage: Coverage
    problem: str = ""
    problem_code: str = ""


def read(tool: str, form: Form, streams: Streams, places: Places, *, exit_code: int) -> Reading:
    """Read what `tool`, asked for `form`, wrote. `auto` lets the output say what ran; `none` reads nothing.

    Any tool that is not in the table counts as `none`.
    """
    if streams.too_many:
        return Reading((), Coverage(), f"more than {LINES_LIMIT} lines of output", ReasonCode.OUTPUT_LIMIT.value)
    if tool == AUTO:
        automatic = read_automatic(streams, places)
        return _located(automatic.parsed, Coverage(automatic.tool, automatic.parsed.form), places)
    if tool not in TOOLS:
        return Reading((), Coverage())
    parsed = _parse(tool, streams)
    if form.name in STRUCTURED:
        _demand(parsed, tool, form, exit_code)
        parsed.form = form.name
    asked = parsed.form in STRUCTURED
    return _located(parsed, Coverage(tool, parsed.form, asked), places)


def _parse(tool: str, streams: Streams) -> Parsed:
    """The tool's own parser; SARIF's where the command asks for that."""
    parsed = TOOLS[tool].parse(streams)
    if parsed.form == "text" and '"runs"' in f"{streams.stdout}{streams.stderr}":
        sarif = TOOLS["sarif"].parse(streams)
        return sarif if sarif.problem_code != ReasonCode.REPORT_MISSING.value else parsed
    return parsed


def _demand(parsed: Parsed, tool: str, form: Form, exit_code: int) -> None:
    """Spoil a reading without the form that was asked for."""
    if parsed.problem or parsed.form == form.name or (TOOLS[tool].silent and exit_code == 0):
        return
    if parsed.form == "text" and tool in {"gcc", "clang"} and (parsed.found or exit_code == 0):
        return  # the driver or the linker spoke, and the compiler proper had no reason to run
    detail = f"{tool} ended with exit code {exit_code} and without the {form.name} it was asked for"
    parsed.refuse(ReasonCode.REPORT_MISSING, detail)


def _located(parsed: Parsed, coverage: Coverage, places: Places) -> Reading:
    units = dict.fromkeys(u if u.startswith("target ") else places.path(u) for u in parsed.units)
    return Reading(
        diagnostics=tuple(places.locate(diagnostic) for diagnostic in parsed.found),
        coverage=replace(coverage, units=tuple(unit for unit in units if unit), files=parsed.files),
        problem=parsed.problem,
        problem_code=parsed.problem_code,
    )
