"""What a job knows that its retrieval tools use: the repository, its past, the newest report. Searches nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from perstack.context.retrieval.history import History
from perstack.core.json import JsonObject

_MOST = 40_000


@dataclass(frozen=True, slots=True)
class Known:
    """`repository` names what the workspace is a copy of; `failing` is what failed when the signals last ran.

    `history` ends at the base commit; None: a workspace without a past.
    """

    repository: str = ""
    history: History | None = None
    failing: Callable[[], str] = lambda: ""


class LastReport:
    """Hears a job's events and keeps what the newest report says about failures."""

    def __init__(self, emit: Callable[[str, JsonObject], None]) -> None:
        self._emit = emit
        self._text = ""

    def emit(self, kind: str, payload: JsonObject) -> None:
        """An event on its way to the log."""
        report = payload.get("report") if kind == "decideVerdict" else None
        if isinstance(report, Mapping):
            self._text = "\n".join(_signals(report.get("signals")))[:_MOST]
        self._emit(kind, payload)

    def text(self) -> str:
        """Diagnostics and failing tests as compilers write them; "" where nothing failed or nothing ran."""
        return self._text


def _signals(signals: object) -> list[str]:
    lines: list[str] = []
    for signal in _rows(signals):
        lines += [
            f"{each.get('path')}:{each.get('line')}: {each.get('severity')}: {each.get('message')}"
            for each in _rows(signal.get("diagnostics"))
        ]
        for each in _rows(signal.get("failures")):
            place = f"{each.get('path')}:{each.get('line')}: " if each.get("path") and each.get("line") else ""
            lines.append(f"{place}{each.get('id')}\n{each.get('message')}")
    return lines


def _rows(value: object) -> list[Mapping[str, object]]:
    rows = value if isinstance(value, Sequence) and not isinstance(value, str) else ()
    return [row for row in rows if isinstance(row, Mapping)]
