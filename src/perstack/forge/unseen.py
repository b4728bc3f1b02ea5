"""Words in Markdown and HTML that a page does not show: taken out of what strangers wrote, and counted. Pure.

Beside comments and images (`sanitise.py`) these are texts of attributes, titles of links, link definitions that define
nothing, declarations and processing instructions. In blocks of code all of them are shown, and stay.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence

from perstack.forge.prose import code_lines

# Possessive throughout: every pattern goes over a text once from each place that it can begin at, and is bounded there.
_QUOTED = r"(?>\"[^\"]{0,2000}+\"|'[^']{0,2000}+')"
_TITLE = rf"(?>{_QUOTED}|\([^()]{{0,2000}}+\))"
_TARGET = r"(?>\x3c[^<>\n]{0,2000}+>|[^\s<>()]{1,2000}+)"
_OPENERS = re.compile(r"<\?|<!\[CDATA\[|<!(?=[A-Za-z])")
_ENDS = {"<?": "?>", "<![CDATA[": "]]>", "<!": ">"}
_LINE_START = re.compile(r"(?:\A|\n) {0,3}\Z")
_DEFINITION = re.compile(
    rf"^ {{0,3}}\[(?!\^)(?P<label>[^\[\]]{{1,500}}+)\]:[ \t]{{0,8}}+\n?[ \t]{{0,8}}+(?P<target>{_TARGET}|<>)"
    rf"(?P<title>(?:[ \t]{{1,8}}+|[ \t]{{0,8}}+\n[ \t]{{0,8}}+){_TITLE})?[ \t]*+$",
    re.MULTILINE,
)
_SOMEWHERE = re.compile(r"<?(?:[a-z][a-z0-9+.-]{1,20}:|/[\w.]|\.{1,2}/|#\w|[\w-]+[./])", re.IGNORECASE)
_LINK_TITLE = re.compile(rf"(?P<link>\]\(\s{{0,8}}+{_TARGET})\s{{1,8}}+{_TITLE}\s{{0,8}}+\)")
_TAG = re.compile(rf"<[A-Za-z][\w:-]{{0,40}}+\s(?>{_QUOTED}|[^\"'<>]{{1,2000}}+){{0,100}}+>")
_ATTRIBUTE = re.compile(
    r"\s++(?P<name>alt|title|aria-[\w-]{1,40}|data-[\w-]{1,40}|placeholder|content|value|summary|label|name|id)"
    rf"\s{{0,8}}+=\s{{0,8}}+(?P<value>{_QUOTED}|[^\s\"'<>=`]{{1,2000}}+)",
    re.IGNORECASE,
)
_MARKS = ("<?", "<!", "]:", "](", "=")


def without_unseen(text: str) -> tuple[str, int]:
    """The text without such words, and how many pieces were taken out."""
    if not any(mark in text for mark in _MARKS):
        return text, 0
    text, count = _replaced([(start, end, "") for start, end in _declarations(text)], text)
    for pattern, shown in (
        (_DEFINITION, _definition),
        (_LINK_TITLE, lambda match: f"{match['link']})"),
        (_TAG, _tag),
    ):
        found = [(*match.span(), kept) for match in pattern.finditer(text) if (kept := shown(match)) != match[0]]
        text, more = _replaced(found, text)
        count += more
    return text, count


def _declarations(text: str) -> Iterator[tuple[int, int]]:
    """Where processing instructions, declarations and the like stand. One that begins a line and never ends hides all
    that follows."""
    place, endless = 0, set()
    while opener := _OPENERS.search(text, place):
        start, end = opener.start(), _ENDS[opener[0]]
        closed = -1 if end in endless else text.find(end, opener.end())
        if closed < 0:
            endless.add(end)
            if _LINE_START.search(text, max(0, start - 4), start):
                yield start, len(text)
                return
        place = opener.end() if closed < 0 else closed + len(end)
        if closed >= 0:
            yield start, place


def _replaced(found: Sequence[tuple[int, int, str]], text: str) -> tuple[str, int]:
    """The text with what is shown of each piece (start, end) outside blocks of code."""
    if not found:
        return text, 0
    code = code_lines(text)
    starts = [0, *(match.end() for match in re.finditer(r"\n", text))]
    parts: list[str] = []
    place = count = 0
    for start, end, kept in found:
        if bisect_right(starts, start) - 1 not in code:
            parts += [text[place:start], kept]
            place, count = end, count + 1
    return "".join([*parts, text[place:]]), count


def _definition(match: re.Match[str]) -> str:
    """A definition that leads somewhere stays, without its title; others are a way to write a comment."""
    if not _SOMEWHERE.match(match["target"]):
        return ""
    return match[0][: match.start("title") - match.start()] if match["title"] else match[0]


def _tag(match: re.Match[str]) -> str:
    return _ATTRIBUTE.sub(lambda one: "" if _says_something(one) else one[0], match[0])


def _says_something(attribute: re.Match[str]) -> bool:
    """Alternative text always; the values of others have to be words, which no name or number is."""
    return attribute["name"].lower() == "alt" or len(attribute["value"].split()) > 2
