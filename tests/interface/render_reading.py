"""Reading Markdown as a forge does: what is prose, what is code, which tags are open."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser

from markdown_it import MarkdownIt
from markdown_it.token import Token

PARSER = MarkdownIt("commonmark", {"html": True}).enable("table")
NOTIFIES = re.compile(r"@[A-Za-z0-9]|(?<![\w/])#\d|\b(?:clos|fix|resolv)\w*:?\s+\S*#\d", re.IGNORECASE)
AFTER = "a line after everything"
HIDDEN = re.compile("[\u202a-\u202e\u2066-\u2069\x1b\x00]")


class Tags(HTMLParser):
    """Counts tags; a closing tag without an opening one, or the other way round, is in `wrong`."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.seen: list[str] = []
        self.links: list[str] = []
        self.feed(html)
        self.wrong += self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.links += [value or "" for name, value in attrs if name in {"href", "src"}]
        if tag not in {"br", "hr", "img"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if self.open and self.open[-1] == tag:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if self.open and self.open[-1] == tag:
            self.open.pop()
        else:
            self.wrong.append(f"/{tag}")


class Page:
    """A text as a forge shows it, read once: its tags, its prose, and whether a line after it would still be prose."""

    def __init__(self, markdown: str) -> None:
        tokens = PARSER.parse(f"{markdown}\n\n{AFTER}")
        self.tags = Tags(str(PARSER.renderer.render(tokens, PARSER.options, {})))
        self.prose = "\n".join(_texts(tokens))
        self.closed = AFTER in self.prose


def html(markdown: str) -> str:
    return str(PARSER.render(markdown))


def tags(markdown: str) -> Tags:
    return Tags(html(markdown))


def prose(markdown: str) -> str:
    """Everything that is neither code nor a code block: what could notify, close or link."""
    return "\n".join(_texts(PARSER.parse(markdown)))


def _texts(tokens: list[Token]) -> Iterator[str]:
    for token in tokens:
        if token.children is not None:
            yield from _texts(token.children)
        elif token.type in {"text", "html_block", "html_inline"}:
            yield token.content


def tables(markdown: str) -> int:
    return sum(token.type == "table_open" for token in PARSER.parse(markdown))


def folds(markdown: str) -> list[str]:
    return re.findall(r"<summary>(.*?)</summary>", markdown)
