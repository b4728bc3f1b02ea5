"""What a reader of Markdown sees as prose, line by line: blocks here, pieces of paragraphs in `inline.py`. Pure.

Blocks are found by a CommonMark parser (its inline rules are off: they are not linear). Not seen are code, quotations,
tables, raw HTML, comments, link definitions, and all that stands in a tag that collapses, quotes or strikes out.
Where Markdown leaves doubt, a line is not seen: a command that is missed is written again, one that nobody saw is an
attack.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any

from perstack.forge.inline import HIDING, Tag, read_paragraph

_TAG = re.compile(rf"<(/?)({'|'.join(HIDING)})(?=[\s>/])", re.IGNORECASE)
_MAX_TAGS = 200  # open at once; more is no text for people


def prose_lines(body: str) -> dict[int, str]:
    """The lines of prose by 0-based number, without their indentation, hidden pieces masked. Lines end with `\\n`."""
    seen: dict[int, str] = {}
    open_tags: list[str] = []
    for start, text, is_html in _texts(_parser().parse(body)):
        if is_html:
            tags = [Tag(0, match[2].lower(), closing=bool(match[1])) for match in _TAG.finditer(text)]
            _follow(open_tags, tags)
            continue
        lines, tags = read_paragraph(text)
        for number, line in enumerate(lines):
            if not open_tags:
                seen[start + number] = line
            _follow(open_tags, [tag for tag in tags if tag.line == number])
    return seen


def code_lines(body: str) -> frozenset[int]:
    """The lines of blocks of code, by 0-based number: there everything that is written is shown."""
    blocks = (token.map for token in _code_parser().parse(body) if token.type in {"fence", "code_block"})
    return frozenset(number for start, end in blocks for number in range(start, end))


def _follow(open_tags: list[str], tags: Sequence[Tag]) -> None:
    for tag in tags:
        if not tag.closing:
            open_tags.extend([tag.name] * (len(open_tags) < _MAX_TAGS))
        elif tag.name in open_tags:
            open_tags.remove(tag.name)


def _texts(tokens: Sequence[Any]) -> Iterator[tuple[int, str, bool]]:
    """First line, text and whether it is HTML: of every paragraph and HTML block that is in no quotation."""
    quotes = 0
    parent = ""
    for token in tokens:
        if token.type == "blockquote_open":
            quotes += 1
        elif token.type == "blockquote_close":
            quotes -= 1
        elif not quotes and token.type == "html_block" and not token.content.lstrip().startswith(("<!", "<?")):
            yield token.map[0], token.content, True
        elif not quotes and token.type == "inline" and parent in {"paragraph_open", "heading_open"}:
            yield token.map[0], token.content, False
        parent = token.type


@functools.cache
def _code_parser() -> Any:
    # Without definitions, whose rule is slow for many: what follows one is then rather text than code.
    return import_module("markdown_it").MarkdownIt("commonmark").disable(["inline", "text_join", "reference"])


@functools.cache
def _parser() -> Any:
    # Loaded when a text is read for the first time: most events have none, and feedback should come within seconds.
    parser = import_module("markdown_it").MarkdownIt("commonmark", {"html": True})
    return parser.enable(["table"]).disable(["inline", "text_join"])
