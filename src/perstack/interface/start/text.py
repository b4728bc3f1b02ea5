"""Untrusted text as cells of a terminal: cleaned, folded, cut. Pure; knows nothing of events and draws nothing.

What a model, a tool or a file name says may hold control sequences, bidirectional marks and halves of characters.
Nothing that leaves here can steer a terminal, and nothing here is markup: callers draw it as plain segments.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import islice

from rich.cells import cell_len, chop_cells, set_cell_size

from perstack.core.json import Json, compact
from perstack.core.unicode import well_formed
from perstack.interface.render.facts import visible

TAB = 4
MAX_LINES = 400  # of one opened entry; the log has the rest
_SAMPLE = 8  # characters looked at for one that is shown


def cleaned(text: str, limit: int = 16_000) -> str:
    """Several lines without control characters, at most `limit` characters of them."""
    cut = text[:limit]
    shown = visible(well_formed(cut)).expandtabs(TAB)
    return f"{shown}\n… {len(text) - limit:,} more characters are in the log" if len(text) > limit else shown


def flat(text: str, limit: int = 400) -> str:
    """One line without control characters, at most `limit` characters of it."""
    shown = visible(well_formed(" ".join(text[: _SAMPLE * limit].split())))
    return shown if len(shown) <= limit else f"{shown[: limit - 1]}…"


def fitted(text: str, width: int) -> str:
    """One line of exactly `width` cells: padded, or cut with an ellipsis."""
    if width <= 0:
        return ""
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    return f"{set_cell_size(text, width - 1)}…"


def shortened(text: str, width: int) -> str:
    """As `fitted`, and never padded."""
    return text if cell_len(text) <= width else fitted(text, width)


def folded(text: str, width: int, limit: int = MAX_LINES) -> tuple[str, ...]:
    """The lines of cleaned text, none wider than `width` cells, at most `limit` of them. Words are kept whole."""
    lines = tuple(islice(_folded(text, max(width, 8)), limit + 1))
    return (*lines[:limit], "… more lines are in the log") if len(lines) > limit else lines


def count_folded(text: str, width: int, limit: int = MAX_LINES) -> int:
    """How many lines `folded` gives."""
    return min(sum(1 for _ in islice(_folded(text, max(width, 8)), limit + 1)), limit + 1)


def _folded(text: str, width: int) -> Iterator[str]:
    for line in text.split("\n"):
        if 2 * len(line) <= width or cell_len(line) <= width:  # no character is wider than two cells
            yield line
        else:
            yield from _broken(line, width)


def _broken(line: str, width: int) -> Iterator[str]:
    indent = line[: len(line) - len(line.lstrip())][: width // 2]
    row, used = indent, len(indent)
    for word in line.strip().split(" "):
        size = cell_len(word)
        gap = 1 if row.strip() else 0
        if used + gap + size > width and row.strip():
            yield row
            row, used, gap = indent, len(indent), 0
        if used + gap + size <= width:
            row, used = f"{row}{' ' * gap}{word}", used + gap + size
            continue
        pieces = chop_cells(word, width - len(indent))
        yield from (indent + piece for piece in pieces[:-1])
        row = indent + pieces[-1]
        used = cell_len(row)
    yield row


def arguments_line(args: Json, limit: int = 200) -> str:
    """The arguments of a call as one line: the one text among them, else `name value` pairs."""
    if not isinstance(args, Mapping):
        return ""
    if len(args) == 1:
        (value,) = args.values()
        return flat(value if isinstance(value, str) else compact(value), limit)
    words = args.get("args")
    if isinstance(args.get("command"), str) and isinstance(words, list | tuple):
        return flat(" ".join([str(args["command"]), *map(str, words)]), limit)
    if isinstance(args.get("path"), str):
        return flat(str(args["path"]), limit)
    pairs = (f"{name} {value if isinstance(value, str) else compact(value)}" for name, value in args.items())
    return flat(" · ".join(flat(pair, 80) for pair in pairs), limit)


def pretty(text: str) -> str:
    """JSON for people, where `text` is JSON: one value a line, long texts with their own lines."""
    if text[:1] not in "{[":
        return text
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if isinstance(data, dict) and data:
        return "\n".join(_pair(str(name), value) for name, value in data.items())
    return json.dumps(data, ensure_ascii=False, indent=2)


def _pair(name: str, value: Json) -> str:
    if isinstance(value, str) and "\n" in value:
        return f"{name}:\n" + "\n".join(f"  {line}" for line in value.rstrip("\n").split("\n"))
    if isinstance(value, str):
        return f"{name}: {value}"
    dense = json.dumps(value, ensure_ascii=False, default=str)
    return f"{name}: {dense if len(dense) <= 100 else json.dumps(value, ensure_ascii=False, indent=2, default=str)}"


def duration(ms: int) -> str:
    """`0.4 s`, `12 s`, `3:05`, `1:02:03`; empty below a tenth of a second."""
    if ms < 100:
        return ""
    if ms < 10_000:
        return f"{ms / 1000:.1f} s"
    seconds = ms // 1000
    if seconds < 60:
        return f"{seconds} s"
    return clock(ms)


def clock(ms: int) -> str:
    """`0:07`, `3:05`, `1:02:03`."""
    seconds = max(0, ms) // 1000
    hours, rest = divmod(seconds, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


def thousands(number: int) -> str:
    """`950`, `12.3k`, `1.2M`."""
    if number < 1000:
        return str(number)
    if number < 999_950:
        return f"{number / 1000:.1f}k"
    return f"{number / 1_000_000:.1f}M"
