"""What a reader does not see within a paragraph: code spans, inline HTML, targets of links. Pure, and linear."""

from __future__ import annotations

import re
from dataclasses import dataclass

MASK = "\0"
# What stands in these is collapsed, quoted, struck out, code, or not shown.
HIDING = (
    "details", "blockquote", "q", "del", "s", "strike", "code", "pre", "samp", "kbd", "template", "svg", "math",
    "textarea", "title", "script", "style",
)  # fmt: skip
_INLINE = re.compile(
    r"\\[\s\S]|`+|<!--|<\?|<!\[CDATA\[|<!(?=[A-Za-z])|<(/?)([A-Za-z][A-Za-z0-9]{0,20})(?=[\s>/])|\]\(", re.IGNORECASE
)
_CLOSERS = {"<!--": "-->", "<?": "?>", "<![cdata[": "]]>", "<!": ">"}
_TICKS = re.compile(r"`+")
_STOPS = {">": re.compile("[\"'<>]"), ")": re.compile("[\"'()]")}
_MAX_QUOTES = 64  # in one tag or link; one with more hides the rest of its paragraph


@dataclass(frozen=True, slots=True)
class Tag:
    """An HTML tag that hides, or no longer hides, what comes after it. `line` counts from 0."""

    line: int
    name: str
    closing: bool


def read_paragraph(text: str) -> tuple[list[str], list[Tag]]:
    """The lines of a paragraph with hidden pieces masked, and the tags in it that hide more than themselves."""
    ends = _Ends(text)
    out: list[str] = []
    tags: list[Tag] = []
    position = line = 0
    while (match := _INLINE.search(text, position)) is not None:
        out.append(text[position : match.start()])
        end = ends.after(match)
        hidden = end > match.end()
        piece = text[match.start() : end] if hidden else match[0]
        out.append(re.sub(r"[^\n]", MASK, piece) if hidden else piece)
        line += out[-2].count("\n") + piece.count("\n")
        if match[2] and hidden and match[2].lower() in HIDING:
            tags.append(Tag(line, match[2].lower(), closing=bool(match[1])))
        position = max(end, match.end())
    out.append(text[position:])
    return "".join(out).split("\n"), tags


class _Ends:
    """Finds where hidden pieces of one paragraph end, looking at each place a bounded number of times."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._missing: set[str] = set()  # what was searched for in vain: later searches find it no better
        self._ticks: dict[int, list[int]] = {}
        for run in _TICKS.finditer(text):
            self._ticks.setdefault(len(run[0]), []).append(run.start())
        for starts in self._ticks.values():
            starts.reverse()

    def after(self, match: re.Match[str]) -> int:
        """Where the piece that begins with `match` ends; 0 where it is no hidden piece."""
        word, start = match[0].lower(), match.end()
        if word[0] == "\\":
            return 0
        if word[0] == "`":
            return self._span(len(word), match.start())
        if word in _CLOSERS:
            return self._find(_CLOSERS[word], start)
        return self._through_quotes(start, ")" if word == "](" else ">")

    def _span(self, length: int, start: int) -> int:
        starts = self._ticks.get(length, [])  # an escape can leave a part of a run
        while starts and starts[-1] <= start:
            starts.pop()
        return starts[-1] + length if starts else 0

    def _find(self, closer: str, start: int) -> int:
        if closer in self._missing:
            return 0
        found = self._text.find(closer, start)
        if found < 0:
            self._missing.add(closer)
            return 0
        return found + len(closer)

    def _through_quotes(self, position: int, closer: str) -> int:
        """The end of a tag or of a link's target; closers in quotes do not count. A tag holds no other tag."""
        for _ in range(_MAX_QUOTES):
            stop = _STOPS[closer].search(self._text, position)
            if stop is None or stop[0] == "<":
                return 0
            if stop[0] == closer:
                return stop.end()
            end = self._find(stop[0], stop.end()) if stop[0] != "(" else 0
            position = end or stop.end()
        return len(self._text)
