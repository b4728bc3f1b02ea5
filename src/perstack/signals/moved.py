"""Files that a candidate moves, and what was said about them under their old names. Pure.

A moved file is no vanished one where it is still looked at: that an error planted in it is noticed is shown elsewhere
(`planted.py`), and without that nothing counts as fixed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from perstack.core.signals import Measurement, SignalKind, SignalRun
from perstack.signals.sections import Section

_ALIKE = 0.5  # the part of both files' lines that is the same, as git asks for
_MOST = 200  # removed files that are looked at


def moves(sections: Sequence[Section]) -> Mapping[str, str]:
    """Old path to new path of files that were moved, perhaps edited: removed and added ones that are alike."""
    removed = [section for section in sections if section.deleted and section.hunks][:_MOST]
    added = [section for section in sections if section.added and section.hunks][:_MOST]
    lines = {section.path: _lines(section) for section in (*removed, *added)}
    rated = sorted(
        (
            (_likeness(lines[old.path], lines[new.path]), old.path, new.path)
            for old in removed
            for new in added
            if PurePosixPath(old.path).suffix == PurePosixPath(new.path).suffix
        ),
        key=lambda row: (-row[0], *row[1:]),
    )
    found: dict[str, str] = {}
    for likeness, old, new in rated:
        if likeness >= _ALIKE and old not in found and new not in found.values():
            found[old] = new
    return found


def _lines(section: Section) -> Counter[str]:
    every = (line[1:].strip() for hunk in section.hunks for line in hunk.split("\n")[1:] if line[:1] in {"+", "-"})
    return Counter(line for line in every if line)


def _likeness(one: Counter[str], other: Counter[str]) -> float:
    total = one.total() + other.total()
    return 2 * (one & other).total() / total if total else 0.0


def followed(base: Measurement, moved: Mapping[str, str]) -> Measurement:
    """What a compiler said on the base, about the files under their new names."""
    if not moved or base.spec.kind is not SignalKind.COMPILER:
        return base
    return replace(base, runs=tuple(_run(run, moved) for run in base.runs))


def _run(run: SignalRun, moved: Mapping[str, str]) -> SignalRun:
    diagnostics = tuple(replace(d, path=moved.get(d.path, d.path)) for d in run.diagnostics)
    units = tuple(moved.get(unit, unit) for unit in run.coverage.units)
    return replace(run, diagnostics=diagnostics, coverage=replace(run.coverage, units=units))
