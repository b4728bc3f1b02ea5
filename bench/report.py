"""What was measured, as rows, and how they are shown: a table for people, JSON for programs."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TextIO


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `limit` is the highest value that is `ok`, in `unit`; None where there is no target."""

    section: str
    name: str
    value: float
    unit: str
    floor: float | None = None
    target: str = ""
    limit: float | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        return self.value / self.floor if self.floor else None

    @property
    def status(self) -> str:
        """`ok`, `over`, or empty where there is no target."""
        if self.limit is None:
            return ""
        return "ok" if self.value <= self.limit else "over"


@dataclass(frozen=True, slots=True)
class Skipped:
    """A part that could not be measured here, and why."""

    section: str
    why: str


@dataclass(slots=True)
class Results:
    """Everything of one run of the benchmark."""

    quick: bool
    rows: list[Row] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def over(self) -> int:
        return sum(row.status == "over" for row in self.rows)

    def to_json(self) -> Mapping[str, object]:
        """The documented form; see docs/bench.md."""
        return {
            "quick": self.quick,
            "seconds": round(self.seconds, 1),
            "machine": machine(),
            "over": self.over,
            "rows": [
                {**asdict(row), "ratio": row.ratio and round(row.ratio, 3), "status": row.status} for row in self.rows
            ],
            "skipped": [asdict(each) for each in self.skipped],
        }


def machine() -> Mapping[str, object]:
    """What the figures depend on."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpus": os.cpu_count() or 0,
        "load": round(os.getloadavg()[0], 1),
    }


def show(results: Results, out: TextIO, *, as_json: bool) -> None:
    """JSON, a coloured table on a terminal, or plain columns."""
    if as_json:
        out.write(json.dumps(results.to_json(), indent=2) + "\n")
    elif out.isatty():
        _show_rich(results)
    else:
        out.write(plain(results))
    out.flush()


HEADINGS = ("what", "measured", "floor", "ratio", "target", "")


def plain(results: Results) -> str:
    """Columns of text, as docs/bench.md has them."""
    lines: list[Sequence[str]] = [HEADINGS, *(cells(row) for row in results.rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    texts = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    texts.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join([*texts, "", *_footer(results)]) + "\n"


def cells(row: Row) -> Sequence[str]:
    """One row as text."""
    note = f" ({row.note})" if row.note else ""
    return (
        f"{row.section}: {row.name}{note}",
        _figure(row.value, row.unit),
        "" if row.floor is None else _figure(row.floor, row.unit),
        "" if row.ratio is None else f"{row.ratio:.2f}×",
        row.target,
        row.status,
    )


def _figure(value: float, unit: str) -> str:
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:.{digits}f} {unit}".rstrip()


def _footer(results: Results) -> list[str]:
    about = machine()
    lines = [f"not measured: {each.section}: {each.why}" for each in results.skipped]
    lines.append(
        f"{about['system']}, {about['cpus']} processors, Python {about['python']}, load {about['load']}; "
        f"{results.seconds:.0f} s{', quick' if results.quick else ''}; "
        + (f"{results.over} over target" if results.over else "all within target")
    )
    if float(str(about["load"])) > float(str(about["cpus"])) + 1:
        lines.append("the machine is busy with other things: trust ratios, not absolute figures")
    return lines


def _show_rich(results: Results) -> None:
    from rich.console import Console  # only where there is a terminal
    from rich.table import Table
    from rich.text import Text

    table = Table(title="Perstack beside its floors")
    for number, heading in enumerate(HEADINGS):
        table.add_column(heading, justify="right" if number in {1, 2, 3} else "left")
    for row in results.rows:
        colour = {"ok": "green", "over": "red"}.get(row.status, "")
        *first, status = cells(row)
        table.add_row(*(Text(cell) for cell in first), Text(status, style=colour))
    console = Console(file=sys.stdout)
    console.print(table)
    for line in _footer(results):
        console.print(Text(line))
