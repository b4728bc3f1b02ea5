"""Check runs as GitHub takes them: texts within limits, annotations it will not refuse, most useful first. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from perstack.core.json import Json
from perstack.core.signals import Diagnostic
from perstack.forge.contract import CheckOutput
from perstack.forge.limits import (
    ANNOTATION_MESSAGE_LIMIT,
    ANNOTATION_TITLE_LIMIT,
    ANNOTATIONS_PER_REQUEST,
    CHECK_TEXT_LIMIT,
    fit,
    shorten,
    utf8_bytes,
    utf16_units,
)

_LEVELS = {"error": "failure", "fatal": "failure", "failure": "failure", "warning": "warning"}
_ORDER = {"failure": 0, "warning": 1, "notice": 2}


def output_document(output: CheckOutput, *, left_out: int = 0) -> dict[str, Json]:
    """The `output` of a check run without annotations; `left_out` findings are counted at the end of the summary."""
    note = f"\n\n{left_out:,} more findings are not annotated here.\n" if left_out else ""
    summary = fit(output.summary or output.title, CHECK_TEXT_LIMIT - utf16_units(note)) + note
    document: dict[str, Json] = {"title": shorten(output.title or "Perstack", 255), "summary": summary}
    if output.text:
        document["text"] = fit(output.text, CHECK_TEXT_LIMIT)
    return document


def can_annotate(diagnostic: Diagnostic) -> bool:
    """Whether GitHub can attach a finding to a file of the repository."""
    path = PurePosixPath(diagnostic.path)
    return (
        bool(diagnostic.path)
        and not path.is_absolute()
        and ".." not in path.parts
        and diagnostic.path.isprintable()
        and bool(diagnostic.message.strip())
    )


def sorted_findings(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Most useful first: errors before warnings, and one of a kind in a file before the next of that kind there.

    Else in the order given: whoever gives them knows what matters.
    """
    seen: dict[tuple[str, str, str], int] = {}
    ranked: list[tuple[int, int, Diagnostic]] = []
    for one in diagnostics:
        kind = (one.path, one.code, level(one))
        seen[kind] = seen.get(kind, -1) + 1
        ranked.append((_ORDER[level(one)], seen[kind], one))
    return [one for _, _, one in sorted(ranked, key=lambda rank: rank[:2])]


def batches(diagnostics: Sequence[Diagnostic]) -> list[Sequence[Diagnostic]]:
    """As many at a time as one request may carry; one empty batch where there is nothing."""
    size = ANNOTATIONS_PER_REQUEST
    return [diagnostics[start : start + size] for start in range(0, len(diagnostics), size)] or [()]


def annotation(diagnostic: Diagnostic, *, columns: bool = True) -> dict[str, Json]:
    """One annotation. Without `columns` it says the line only, for when GitHub refuses them."""
    line = max(1, diagnostic.line)
    document: dict[str, Json] = {
        "path": str(PurePosixPath(diagnostic.path)),
        "start_line": line,
        "end_line": line,
        "annotation_level": level(diagnostic),
        "message": fit(diagnostic.message, ANNOTATION_MESSAGE_LIMIT, size=utf8_bytes),
    }
    if diagnostic.code:
        document["title"] = shorten(diagnostic.code, ANNOTATION_TITLE_LIMIT)
    if columns and diagnostic.line > 0 and diagnostic.column > 0:
        document |= {"start_column": diagnostic.column, "end_column": diagnostic.column}
    return document


def level(diagnostic: Diagnostic) -> str:
    """GitHub's word for a severity: `failure`, `warning` or `notice`."""
    return _LEVELS.get(diagnostic.severity.lower(), "notice")
