"""How an entry looks: its lines at a width, as styled text. Pure; a style is a word of the terminal's own palette.

Texts are put together from pieces that are clean already and never read as markup.
"""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from perstack.interface.start.activity import FAILED, OK, RUNNING, Entry
from perstack.interface.start.text import count_folded, duration, flat, folded, shortened

MARGIN = 2  # cells for the cursor
INDENT = 2  # cells for each expert above
_STATE = {RUNNING: ("◌", "cyan"), OK: ("✓", "green"), FAILED: ("✗", "red")}
_KIND = {
    "query": ("❯", "bold magenta"),
    "prompt": ("❯", "dim"),
    "thinking": ("∴", "dim"),
    "text": ("·", "dim"),
    "result": ("◆", "green"),
    "question": ("?", "bold yellow"),
    "change": ("±", "blue"),
    "note": ("·", "dim"),
    "problem": ("✗", "bold red"),
}
_SPACED = frozenset({"query", "result", "stage", "verdict", "question", "problem"})
_CALLS = frozenset({"call", "delegate"})
_PROSE = frozenset({"text", "result"})
_TITLE = {
    "query": "bold", "prompt": "dim", "thinking": "dim italic", "note": "dim", "stage": "bold", "problem": "red",
    "verdict": "bold", "question": "bold",
}  # fmt: skip


def lines_of(entry: Entry, width: int, needle: str = "", *, first: bool = False) -> list[Text]:
    """All lines of an entry, none wider than `width` cells. `first` has no empty line above it."""
    rows: list[Text] = []
    if entry.kind in _SPACED and entry.depth == 0 and not first:
        rows.append(Text())
    rows += _lines(entry, max(width, 20))
    if needle:
        for row in rows:
            row.highlight_words([needle], style="reverse", case_sensitive=False)
    return rows


def height_of(entry: Entry, width: int, *, first: bool = False) -> int:
    """How many lines that are, counted without being made."""
    spaced = entry.kind in _SPACED and entry.depth == 0 and not first
    if not entry.opened:
        return 1 + spaced + (entry.state == FAILED and entry.kind in _CALLS)
    room = max(width, 20) - _left(entry) - 2
    if entry.kind in _PROSE:
        return spaced + count_folded(entry.detail.strip("\n"), room)
    return 1 + spaced + (count_folded(entry.detail.rstrip("\n"), room - 2) if entry.detail else 0)


def _left(entry: Entry) -> int:
    return MARGIN + INDENT * min(entry.depth, 6)


def _lines(entry: Entry, width: int) -> Iterator[Text]:
    left = _left(entry)
    if entry.kind in _PROSE and entry.opened:
        yield from _prose(entry, left, width)
        return
    mark, mark_style = _mark(entry)
    took = duration(entry.ended_ms - entry.began_ms) if entry.ended_ms else ""
    row = Text(" " * left)
    row.append(f"{mark} ", mark_style)
    room = width - left - 2 - (len(took) + 2 if took else 0)
    row.append_text(_title(entry, room))
    if took:
        row.append(f"{' ' * (width - row.cell_len - len(took))}{took}", "dim")
    yield row
    if entry.opened:
        yield from _detail(entry, left + 2, width)
    elif entry.state == FAILED and entry.kind in _CALLS:
        told = flat(entry.detail.rpartition("→ ")[2])
        yield Text(" " * (left + 2)).append(shortened(told, width - left - 2), "red dim")


def _mark(entry: Entry) -> tuple[str, str]:
    if entry.kind in _KIND and not (entry.kind == "note" and entry.state == FAILED):
        return _KIND[entry.kind]
    if entry.kind in {"delegate", "stage", "verdict", "signal"}:
        style = _STATE.get(entry.state, ("", "dim"))[1]
        return {"delegate": "→", "stage": "▸", "verdict": "◆", "signal": "●"}[entry.kind], style
    return _STATE.get(entry.state, ("·", "dim"))


def _title(entry: Entry, room: int) -> Text:
    if entry.kind == "thinking":
        return Text(shortened("thinking" if entry.opened else f"thinking: {flat(entry.detail)}", room), "dim italic")
    if entry.kind in _PROSE:
        return Text(shortened(flat(entry.detail), room), "dim")
    title = Text(shortened(entry.title, room), _TITLE.get(entry.kind, ""))
    if entry.kind in {"call", "delegate", "question"}:
        name = len(entry.title.split("  ", 1)[0])
        title.stylize("bold" if entry.kind != "delegate" else "bold magenta", 0, name)
        title.stylize("dim" if entry.kind != "question" else "", name)
    return title


def _prose(entry: Entry, left: int, width: int) -> Iterator[Text]:
    mark, style = _KIND[entry.kind]
    for number, line in enumerate(folded(entry.detail.strip("\n"), width - left - 2)):
        head = Text(" " * left)
        head.append(f"{mark} " if number == 0 else "  ", style)
        yield head.append(line)


def _detail(entry: Entry, left: int, width: int) -> Iterator[Text]:
    if not entry.detail:
        return
    style = "" if entry.kind in {"query", "question", "verdict", "problem"} else "dim"
    for line in folded(entry.detail.rstrip("\n"), width - left - 2):
        row = Text(" " * left).append("│ ", "dim")
        yield row.append(line, _diff_style(line) if entry.kind == "change" else style)


def _diff_style(line: str) -> str:
    if line.startswith(("+++", "---", "@@", "diff ")):
        return "bold dim"
    return {"+": "green", "-": "red"}.get(line[:1], "dim")
