"""What a reader of Markdown sees as prose, line by line. Pure; knows no command.

Masked are code (fences, indented code, spans, `<pre>`), quotations, HTML comments and what starts collapsed. Where
Markdown leaves doubt, a line is masked: a command that is missed is written again, one that nobody saw is an attack.
Every scan is linear in the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# A block can begin on the line of its list item. Spaces belong to one place only: else matching could explode.
_LIST = r"(?:[ ]{0,3}(?:(?:[-*+]|\d{1,9}[.)])[ ]{1,4})+)?"
_FENCE = re.compile(rf"({_LIST}[ ]{{0,3}})(`{{3,}}(?=[^`]*$)|~{{3,}})")
_QUOTE = re.compile(rf"{_LIST}[ ]{{0,3}}>")
_INDENTED = re.compile(r"[ ]{0,3}\t|[ ]{4}")
_RAW_BLOCK = re.compile(
    rf"({_LIST}[ ]{{0,3}})<(pre|script|style|textarea|code|samp|details|template|svg|math)(?=[\s>/]|$)", re.IGNORECASE
)
_COMMENT_BLOCK = re.compile(rf"({_LIST}[ ]{{0,3}})<(!--|\?|!\[CDATA\[)")
_COMMENT_ENDS = {"!--": "-->", "?": "?>", "![CDATA[": "]]>"}
_INLINE = re.compile(r"\\[\s\S]|`+|<!--|<(code|pre|samp|kbd)(?=[\s>])", re.IGNORECASE)
_TICKS = re.compile(r"`+")
_MASK = "\0"


@dataclass(frozen=True, slots=True)
class _Block:
    """A block that hides lines until `closer`. `indent` is that of the list item it began in, 0 outside of lists."""

    closer: str
    indent: int
    fence: bool

    def left_by(self, line: str) -> bool:
        """The list item ends, and the block with it."""
        return bool(line.strip()) and len(line) - len(line.lstrip(" ")) < self.indent

    def closed_by(self, line: str) -> bool:
        if not self.fence:
            return self.closer in line.lower()
        text = line.strip()
        shallow = len(line) - len(line.lstrip(" ")) <= self.indent + 3
        return shallow and len(text) >= len(self.closer) and set(text) == {self.closer[0]}


def visible_lines(lines: list[str]) -> list[str]:
    """The lines with everything masked that a reader does not see as prose. Same count of lines."""
    result: list[str] = []
    paragraph: list[str] = []
    block: _Block | None = None
    quoted = False

    def finish() -> None:
        result.extend(_mask_inline(paragraph))
        paragraph.clear()

    for line in lines:
        if block is not None and not block.left_by(line):
            block = None if block.closed_by(line) else block
            result.append(_MASK)
            continue
        block = None
        quoted = bool(_QUOTE.match(line)) or (quoted and bool(line.strip()))  # a quote goes on until a blank line
        opened = None if quoted else _opened_by(line)
        if quoted or opened or not line.strip() or _INDENTED.match(line):
            finish()
            result.append(_MASK)
            block = None if opened and not opened.fence and opened.closed_by(line) else opened
        else:
            paragraph.append(line)
    finish()
    return result


def _opened_by(line: str) -> _Block | None:
    if fence := _FENCE.match(line):
        return _Block(fence[2], _item_indent(fence[1]), fence=True)
    if comment := _COMMENT_BLOCK.match(line):
        return _Block(_COMMENT_ENDS[comment[2]], _item_indent(comment[1]), fence=False)
    if raw := _RAW_BLOCK.match(line):
        return _Block(f"</{raw[2].lower()}>", _item_indent(raw[1]), fence=False)
    return None


def _item_indent(lead: str) -> int:
    """Where the content of the innermost list item begins; spaces alone are no item."""
    return len(lead) if lead.strip() else 0


def _mask_inline(paragraph: list[str]) -> list[str]:
    """Mask code spans and inline comments, which may run over several lines of one paragraph."""
    if not paragraph:
        return []
    text = "\n".join(paragraph)
    ends = _Ends(text)
    out: list[str] = []
    position = 0
    while (match := _INLINE.search(text, position)) is not None:
        out.append(text[position : match.start()])
        end = ends.after(match)
        hidden = end > match.end()
        out.append(re.sub(r"[^\n]", _MASK, text[match.start() : end]) if hidden else match[0])
        position = max(end, match.end())
    out.append(text[position:])
    return "".join(out).split("\n")


class _Ends:
    """Finds where hidden pieces of one paragraph end, looking at each place once."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._lower = text.lower()
        self._missing: set[str] = set()  # what was searched for in vain: later searches find it no better
        self._ticks: dict[int, list[int]] = {}
        for run in _TICKS.finditer(text):
            self._ticks.setdefault(len(run[0]), []).append(run.start())
        for starts in self._ticks.values():
            starts.reverse()

    def after(self, match: re.Match[str]) -> int:
        """Where the piece that begins with `match` ends; 0 where it is no hidden piece."""
        word = match[0]
        if word[0] == "\\":
            return 0
        if word[0] == "`":
            starts = self._ticks.get(len(word), [])  # an escape can leave a part of a run
            while starts and starts[-1] <= match.start():
                starts.pop()
            return starts[-1] + len(word) if starts else 0
        closer = f"</{match[1].lower()}>" if match[1] else "-->"
        if closer in self._missing:
            return 0
        # A lowered text can be longer than the text itself: then places in it mean nothing, and nothing is closed.
        found = self._lower.find(closer, match.end()) if len(self._lower) == len(self._text) else len(self._text)
        if found < 0:
            self._missing.add(closer)
            return 0
        return min(found + len(closer), len(self._text))
