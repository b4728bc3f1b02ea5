"""Telling tests from product in one Rust file, and putting the base's tests back.

Pure. Items that exist under test only (`#[cfg(test)]`, `#[test]`) are tests, wherever they stand; everything else is
product. Candidates keep their product and get the base's tests.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from perstack.signals.cargo.lexer import Kind, Token, Unreadable, tokens

_OPEN, _CLOSE = {"(": ")", "[": "]", "{": "}"}, frozenset(")]}")
_TEST_ATTRIBUTE = re.compile(
    r"(?:cfg\((?:test|all\(test(?:,.*)?\)|any\(test(?:,.*)?\)|all\(.*,test\))\)|(?:\w+::)*test(?:\(.*\))?"
    r"|(?:rstest|test_case|quickcheck|proptest|bench)(?:\(.*\))?)"
)


@dataclass(frozen=True, slots=True)
class Item:
    """One test item: its place in the text, attributes included, and the modules around it."""

    start: int
    end: int
    around: tuple[str, ...]
    inner: bool = False  # `#![cfg(test)]`: everything around it is test


@dataclass(frozen=True, slots=True)
class Split:
    """A file as product and tests. `whole`: the file exists under test only."""

    text: str
    items: tuple[Item, ...]
    whole: bool = False

    @property
    def tests(self) -> tuple[str, ...]:
        """The texts of the test items, in order."""
        return (self.text,) if self.whole else tuple(self.text[item.start : item.end] for item in self.items)

    @property
    def product(self) -> str:
        """The file with every character of a test item blank; lines stay where they are."""
        text = self.text
        for item in self.items:
            blank = re.sub(r"[^\n]", " ", text[item.start : item.end])
            text = text[: item.start] + blank + text[item.end :]
        return "\n" * text.count("\n") if self.whole else text


def split(text: str) -> Split:
    """Find the test items of a file.

    Raises: Unreadable where brackets or texts do not close.
    """
    all_tokens = [token for token in tokens(text) if token.kind is not Kind.DOC]
    reader = _Reader(text, all_tokens)
    reader.read(0, len(all_tokens), ())
    return Split(text, tuple(reader.items), any(item.inner and not item.around for item in reader.items))


def product_of(text: str) -> str:
    """A file without its tests, line for line; all of it where it cannot be read."""
    try:
        return split(text).product
    except Unreadable:
        return text


def items_of(text: str) -> tuple[str, ...]:
    """The texts of the items of a file, attributes included; those of a module where the text is one module.

    Raises: Unreadable.
    """
    all_tokens = [token for token in tokens(text) if token.kind is not Kind.DOC]
    reader = _Reader(text, all_tokens)
    spans = reader.spans(0, len(all_tokens))
    if len(spans) != 1 or not text.rstrip().endswith("}"):
        return tuple(text[start:end] for start, end in spans)
    words = [token.text for token in all_tokens]
    if "mod" not in words or "{" not in words[words.index("mod") :]:
        return tuple(text[start:end] for start, end in spans)
    opening = words.index("{", words.index("mod"))
    head = text[: all_tokens[opening].end]
    inner = reader.spans(opening + 1, len(all_tokens) - 1)
    return (head, *(text[start:end] for start, end in inner))


def restore(base: str, candidate: str) -> str:
    """The candidate's product with the base's tests.

    Each test item of the base stands in the module where it stood, at its end; the candidate's own are gone.
    Raises: Unreadable for either text, or where a module with tests of the base is not there any more.
    """
    old, new = split(base), split(candidate)
    if old.whole:
        return base
    if old.tests == new.tests and [item.around for item in old.items] == [item.around for item in new.items]:
        return candidate
    text = new.product
    if not old.items:
        return text
    nested = {item.around for item in old.items if item.around}
    ends = _module_ends(text, nested)
    for around in sorted({item.around for item in old.items}, key=lambda a: -ends.get(a, len(text))):
        place = len(text) if not around else ends.get(around, -1)
        if place < 0:
            raise Unreadable(f"the module `{'::'.join(around)}` of the base holds tests and is gone")
        mine = "\n".join(old.text[item.start : item.end] for item in old.items if item.around == around)
        text = f"{text[:place]}\n{mine}\n{text[place:]}"
    return text


def _module_ends(text: str, wanted: set[tuple[str, ...]]) -> dict[tuple[str, ...], int]:
    if not wanted:
        return {}
    all_tokens = [token for token in tokens(text) if token.kind is not Kind.DOC]
    reader = _Reader(text, all_tokens)
    reader.read(0, len(all_tokens), ())
    return reader.ends


class _Reader:
    """Walks over items. Goes into plain modules and impl-like blocks only as far as their attributes can matter."""

    def __init__(self, text: str, all_tokens: Sequence[Token]) -> None:
        self.items: list[Item] = []
        self.ends: dict[tuple[str, ...], int] = {}
        self._text = text
        self._tokens = all_tokens
        self._pairs = _pairs(all_tokens)

    def read(self, at: int, end: int, around: tuple[str, ...]) -> None:
        while at < end:
            attributes, body = self._attributes(at, end)
            if any(inner and _is_test(words) for words, inner in attributes) and around == ():
                self.items.append(Item(0, len(self._text), (), inner=True))
            outer_test = any(not inner and _is_test(words) for words, inner in attributes)
            after = self._item_end(body, end)
            if outer_test and body < end:
                start = self._tokens[at].start
                self.items.append(Item(start, self._tokens[after - 1].end, around))
            elif body < end:
                self._inside(body, after, around)
            at = max(after, at + 1)

    def spans(self, at: int, end: int) -> list[tuple[int, int]]:
        """Places in the text of the items between two tokens."""
        found: list[tuple[int, int]] = []
        while at < end:
            _, body = self._attributes(at, end)
            after = max(self._item_end(body, end), at + 1)
            found.append((self._tokens[at].start, self._tokens[after - 1].end))
            at = after
        return found

    def _attributes(self, at: int, end: int) -> tuple[list[tuple[str, bool]], int]:
        """(words without blanks, whether inner) of the attributes here, and where the item begins."""
        found: list[tuple[str, bool]] = []
        while at < end and self._tokens[at].text == "#":
            inner = at + 1 < end and self._tokens[at + 1].text == "!"
            opening = at + 1 + inner
            if opening >= end or self._tokens[opening].text != "[":
                break
            close = self._pairs[opening]
            found.append(("".join(token.text for token in self._tokens[opening + 1 : close]), inner))
            at = close + 1
        return found, at

    def _item_end(self, at: int, end: int) -> int:
        """Behind the item that begins here: its block, or its semicolon."""
        while at < end:
            text = self._tokens[at].text
            if text == "{":
                return self._pairs[at] + 1
            if text in {"(", "["}:
                at = self._pairs[at]
            elif text in {";", ","}:
                return at + 1
            at += 1
        return end

    def _inside(self, at: int, after: int, around: tuple[str, ...]) -> None:
        words = [token.text for token in self._tokens[at:after]]
        if "{" not in words or words[-1] != "}":
            return
        opening = at + words.index("{")
        while self._pairs[opening] != after - 1:
            opening = at + words.index("{", opening - at + 1)
        head = words[: opening - at]
        if "mod" in head:
            name = (*around, head[head.index("mod") + 1])
            self.ends[name] = self._tokens[after - 1].start
            self.read(opening + 1, after - 1, name)
        elif "impl" in head or "trait" in head or "extern" in head:
            # test-only methods stand in blocks without a name of their own
            self.read(opening + 1, after - 1, (*around, " ".join(head)))
            self.ends[(*around, " ".join(head))] = self._tokens[after - 1].start


def _is_test(words: str) -> bool:
    return _TEST_ATTRIBUTE.fullmatch(words) is not None


def _pairs(all_tokens: Sequence[Token]) -> dict[int, int]:
    """Opening bracket to closing one, by index.

    Raises: Unreadable.
    """
    found: dict[int, int] = {}
    waiting: list[int] = []
    for index, token in enumerate(all_tokens):
        if token.kind is not Kind.MARK:
            continue
        if token.text in _OPEN:
            waiting.append(index)
        elif token.text in _CLOSE:
            if not waiting or _OPEN[all_tokens[waiting[-1]].text] != token.text:
                raise Unreadable("brackets do not match")
            found[waiting.pop()] = index
    if waiting:
        raise Unreadable("a bracket does not close")
    return found
