"""Answers as text for a model: path:line before everything, bounded, saying when something was cut. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from perstack.context.retrieval.contract import MAX_LINE, Found, Hit

MAX_TEXT = 16_000
"""Characters of one answer, about 5,000 tokens."""


def shown(found: Found, *, numbered: bool = False, room: int = MAX_TEXT) -> str:
    """The hits and notes of an answer. `numbered`: each line of a hit's text has its number, `:` where it matched."""
    parts: list[str] = []
    for number, hit in enumerate(found.hits):
        part = _lines(hit) if numbered else _paragraph(hit)
        room -= len(part) + 1
        if room < 0:
            parts.append(f"({len(found.hits) - number} more did not fit: narrow it down, or ask for fewer.)")
            break
        parts.append(part)
    if not found.hits:
        parts.append("Nothing found.")
    elif found.total > len(found.hits):
        parts.append(f"({len(found.hits)} of {found.total} shown.)")
    return "\n".join((*parts, *_few(found.notes)))


def _lines(hit: Hit) -> str:
    """As `grep -n` does it: `path:12:text` for a match, `path-11-text` for what is around it."""
    rows = []
    for number, line in enumerate(hit.text.split("\n"), hit.line):
        mark = ":" if str(number) == hit.why else "-"
        rows.append(f"{_path(hit.path)}{mark}{number}{mark}{_cut(line)}")
    return "\n".join(rows)


def _paragraph(hit: Hit) -> str:
    place = f"{_path(hit.path)}:{hit.line}" + (f"-{hit.end_line}" if hit.end_line > hit.line else "")
    head = f"{place}  ({hit.why})" if hit.why else place
    return "\n".join((head, *(f"  {_cut(line)}" for line in hit.text.split("\n")))) if hit.text else head


def _path(path: str) -> str:
    """A name on one line, and text even where its bytes are none."""
    plain = path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return plain if plain.isprintable() else repr(plain)


def _cut(line: str) -> str:
    line = line.rstrip("\r")
    return line if len(line) <= MAX_LINE else f"{line[:MAX_LINE]}… ({len(line)} characters)"


def _few(notes: Sequence[str]) -> Sequence[str]:
    return notes if len(notes) <= 5 else (*notes[:5], f"and {len(notes) - 5} more notes")
