"""Source of a language with braces, read for one question: what decides, and what do names hold.

Pure, and no parser: comments are blanked, brackets are matched, conditions and bindings are found by their shape. It
errs towards seeing nothing where brackets do not match.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import cached_property
from typing import Final

_TEXT: Final = r"\"(?:[^\"\\\n]|\\.)*\""
_SCRIPT: Final = re.compile(
    rf"(?P<comment>//[^\n]*|/\*.*?\*/)|(?P<text>{_TEXT}|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`"
    r"|(?<=[(,=:\[!&|?{};])\s*/(?![*/])(?:[^/\\\n\[]|\\.|\[(?:[^\]\\\n]|\\.)*\])+/[a-z]*)", re.DOTALL
)  # fmt: skip
_OTHER: Final = re.compile(
    rf"(?P<comment>//(?!go:)[^\n]*|/\*.*?\*/)|(?P<text>r#\".*?\"#|{_TEXT}|'(?:[^'\\\n]|\\[^\n]{{1,8}})'|`[^`]*`)",
    re.DOTALL,
)
_SCRIPTS: Final = frozenset({"js", "jsx", "ts", "tsx", "mjs", "cjs", "mts", "cts", "vue", "svelte"})
_BARE_HEADS: Final = frozenset({"go", "rs"})
_HEAD: Final = re.compile(r"\b(?:if|while|switch|match|assert)\b\s*")
_PART: Final = re.compile(r"[^;{}\n]+")
_CHOICE: Final = re.compile(r"\?(?![.?:])[^;\n]{0,200}?[^:]:[^:]")
_COMPARES: Final = re.compile(rf"[=!]==?|<=|>=|&&|\s[<>]\s|{_CHOICE.pattern}")
_BINDING: Final = re.compile(
    r"(?:^|[;{}(]|\b(?:const|let|var|final|auto|static|mut)\b)[ \t]*(?:[\w.:<>\[\]*&]{1,80}[ \t]+[*&]*){0,3}"
    r"(?P<names>\{[^{}=]{0,200}\}|[A-Za-z_$][\w$]*(?:[ \t]*,[ \t]*[A-Za-z_$][\w$]*)*)"
    r"[ \t]*(?::[ \t]*[\w:<>&' ]+)?[ \t]*(?::=|(?<![=!<>])=(?![=>]))(?P<value>[^;\n]*)",
    re.MULTILINE,
)
_FUNCTION: Final = re.compile(
    r"(?P<name>[A-Za-z_$][\w$]*)\s*(?:=\s*(?:async\s*)?)?\((?:[^(){};]|\([^(){};]{0,100}\)){0,300}\)"
    r"[^;{}()=]{0,80}(?:=>\s*)?\{"
)
_NO_NAMES: Final = frozenset(
    {"if", "for", "while", "switch", "match", "catch", "return", "err", "ok", "error", "_", "const", "let", "var",
     "final", "static", "auto", "mut", "else", "function", "new"}
)  # fmt: skip
_SHORT: Final = 700  # characters of a function that hands on what it asks
_LARGE: Final = 150_000  # characters of a file
_NEAR: Final = 24  # conditions before a place, of which one may go on to it
_PAIRS: Final = {")": "(", "]": "[", "}": "{"}


class Code:
    """A text without comments (`text`), and without what its literals say either (`bare`); both of the same length."""

    def __init__(self, source: str, suffix: str) -> None:
        """Read a source; one that is too large comes out empty."""
        pattern = _SCRIPT if suffix in _SCRIPTS else _OTHER
        whole = source if len(source) <= _LARGE else ""
        self.text = pattern.sub(lambda m: _blank(m[0]) if m["comment"] else m[0], whole)
        self.bare = pattern.sub(lambda m: m[0][0] + _blank(m[0][1:-1]) + m[0][-1] if m["text"] else m[0], self.text)
        self._bare_heads = suffix in _BARE_HEADS

    def line(self, place: int) -> int:
        """The line of a place, 1-based."""
        return bisect_right(self._lines, place - 1) + 1

    def depth(self, place: int) -> int:
        """How many braces are open at a place."""
        return sum(start < place < end for start, end in self._braces)

    def around(self, place: int) -> str:
        """The name of the innermost function around a place; empty outside of functions."""
        return next((name for name, start, end in reversed(self._named) if start <= place < end), "")

    def decision(self, place: int) -> tuple[int, int] | None:
        """The condition that a place is part of."""
        at = bisect_right(self._decisions, (place, len(self.bare)))
        return next(((a, b) for a, b in self._decisions[max(0, at - _NEAR) : at] if a <= place < b), None)

    @cached_property
    def bindings(self) -> tuple[tuple[tuple[str, ...], int, int], ...]:
        """Names, and where the value begins and ends that they are bound to."""
        found = []
        for match in _BINDING.finditer(self.bare):
            names = tuple(n for n in re.findall(r"[A-Za-z_$][\w$]*", match["names"]) if n not in _NO_NAMES)
            if names:
                found.append((names, match.start("value"), match.end("value")))
        return tuple(found)

    @cached_property
    def functions(self) -> tuple[tuple[str, int, int], ...]:
        """Short functions, and where their bodies begin and end."""
        return tuple((name, start, end) for name, start, end in self._named if end - start <= _SHORT)

    @cached_property
    def _named(self) -> tuple[tuple[str, int, int], ...]:
        return tuple(
            (match["name"], match.end(), end)
            for match in _FUNCTION.finditer(self.bare)
            if match["name"] not in _NO_NAMES and (end := self._brackets.get(match.end() - 1, -1)) > 0
        )

    @cached_property
    def _lines(self) -> list[int]:
        return [match.start() for match in re.finditer("\n", self.text)]

    @cached_property
    def _brackets(self) -> dict[int, int]:
        """Where each bracket is closed that is opened at a place."""
        found: dict[int, int] = {}
        waiting: list[int] = []
        for match in re.finditer(r"[()\[\]{}]", self.bare):
            if match[0] in "([{":
                waiting.append(match.start())
                continue
            while waiting and self.bare[waiting[-1]] != _PAIRS[match[0]]:
                waiting.pop()
            if waiting:
                found[waiting.pop()] = match.start()
        return found

    @cached_property
    def _braces(self) -> list[tuple[int, int]]:
        return [(start, end) for start, end in self._brackets.items() if self.bare[start] == "{"]

    @cached_property
    def _decisions(self) -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = []
        for match in _HEAD.finditer(self.bare):
            if self.bare[match.end() : match.end() + 1] == "(" and not self._bare_heads:
                found.append((match.end(), self._brackets.get(match.end(), match.end())))
            elif self._bare_heads and (end := self.bare.find("{", match.end(), match.end() + 400)) > 0:
                found.append((match.end(), end))
        for part in _PART.finditer(self.bare):
            if len(part[0]) < 2000 and _COMPARES.search(part[0]):
                answers = _CHOICE.search(part[0])
                found.append((part.start(), part.start() + answers.start() if answers else part.end()))
        return sorted(found)


def _blank(text: str) -> str:
    return re.sub(r"[^\n]", " ", text)
