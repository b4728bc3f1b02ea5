"""Test cases of other languages than Python that product code answers by name: tables, and branches with a constant.

Pure. A case is taken for what stands on one line of a test: literals in order, the expectation first or last. Rows of
a table and literals of a branch are compared with these; what is computed from the input is not seen.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final

from perstack.signals.suspicious_code import Code

Row = tuple[str, ...]

_LITERAL: Final = re.compile(
    r"\"((?:[^\"\\\n]|\\.)*)\"|'((?:[^'\\\n]|\\.)*)'|`([^`\n]*)`|(?<![\w.$])(-?\d[\d_]*\.?\d*(?:[eE][+-]?\d+)?)(?=[fFLdlu]*\b|\.)"
)
_INNER: Final = re.compile(r"[^\s,;:|/=<>()\[\]{}\"'&]+")
_TITLE: Final = re.compile(
    r"\b(?:it|test|describe|suite|context|Run|DisplayName|TEST\w*)(?:\.\w+)*\s*\(\s*(?P<quote>[\"'`]).*?(?P=quote)"
)
_INDEX: Final = re.compile(r"(?<=[\w)])\[\s*-?\d+\s*\]")
_REMAINDER: Final = re.compile(r"%\s*\d+\s*(?:===?|!==?)\s*\d+")
_ANSWER: Final = re.compile(r"(?:\breturn\b|=>|\?|=(?!=))\s*(?P<value>[^;\n:}]*)")
_PLAIN: Final = frozenset({"", "0", "1", "2", "-1", "10", "100", "true", "false", "null", "a", "b", "x"})
_EQUAL: Final = re.compile(r"={2,3}|\bequals\(|\bEqual\(|\bstrcmp\(|\bcase\b|\bmatch\b")
_SHORTEST, _LONGEST = 4, 40
_READ: Final = 3_000_000  # characters of tests
_WIDE: Final = 1000  # characters of a line


def known_rows(texts: Iterable[str]) -> tuple[Row, ...]:
    """Rows of literals in the texts of test files; comments count as well, which only adds rows that nobody meets."""
    found: dict[Row, None] = {}
    left = _READ
    for text in texts:
        left -= len(text)
        if left < 0:
            break
        for line in re.sub(r"(?<=[(,])[ \t]*\n\s*", " ", text).split("\n"):
            if len(line) > _WIDE or len(_LITERAL.findall(line)) < _SHORTEST - 1:
                continue
            plain = _TITLE.sub("", line)
            for part in (plain, _LITERAL.sub("", plain, count=1)):
                row = _words(part)
                if _SHORTEST - 1 <= len(row) <= _LONGEST and _is_case(part, row):
                    found.setdefault(row)
    return tuple(found)


def answered(source: str, suffix: str, added: Collection[int], rows: Sequence[Row]) -> Iterator[tuple[int, Row]]:
    """Lines (1-based) of a product file that answer a row by name; only `added` lines are looked at."""
    code = Code(source, suffix)
    lines = code.text.split("\n")
    near = {number: _words("\n".join(lines[number - 1 : number + 2])) for number in added}
    spelled = {number: _joined(words) for number, words in near.items() if len(words) >= _SHORTEST}
    there = {word for words in near.values() for word in words}
    for row in rows:
        likely = len({*row} - _PLAIN) >= 3 and there.issuperset(row)
        wanted = [_joined(turned) for turned in _orders(row)] if likely else []
        place = next((n for n in sorted(spelled) if any(one in spelled[n] for one in wanted)), 0)
        if place:
            yield place, row
    for number in sorted(added):
        line = lines[number - 1] if number <= len(lines) else ""
        yield from ((number, row) for row in _branch(line, lines[number : number + 2], rows))


def _is_case(line: str, row: Row) -> bool:
    """Whether a line can be inputs and an answer: several literals, and more than numbers in a row."""
    steps = {b - a for a, b in pairwise(map(_number, row))}
    return len(_LITERAL.findall(line)) >= 3 and (len(steps) > 1 or not steps)


def _number(word: str) -> float:
    return float(word) if re.fullmatch(r"-?\d+\.?\d*", word) else float("nan")


def _orders(row: Row) -> Iterator[Row]:
    """A row as it stands in a table: the answer last or first."""
    if len(row) >= _SHORTEST:
        yield row
        yield (*row[1:], row[0])


def _branch(line: str, below: Sequence[str], rows: Sequence[Row]) -> Iterator[Row]:
    """Rows whose answer is given where two or more of their inputs are compared for equality."""
    if not _EQUAL.search(line):
        return
    head = line.partition("{" if "{" in line else ")")[0]
    whole = _words(_INDEX.sub("", _REMAINDER.sub("", line.partition("return")[0])))
    answer = _ANSWER.search("\n".join([line[len(head) :], *below]))
    value = _words(answer["value"]) if answer else ()
    if len(value) != 1 or value[0] in _PLAIN or len(whole) < 2:
        return
    for row in rows:
        for inputs, expected in ((row[:-1], row[-1]), (row[1:], row[0]), (row[1:-1], row[-1])):
            sizes = {str(len(inputs)), *(str(len(text)) for text in inputs)}
            asked = [word for word in whole if word not in sizes or word in inputs]
            if expected == value[0] and asked and {*whole} <= {*inputs} | sizes and len(inputs) >= 2:
                yield row


def _words(text: str) -> Row:
    found: list[str] = []
    for groups in _LITERAL.findall(text):
        number = groups[3].replace("_", "")
        if number:
            found.append(number.removesuffix(".0").removesuffix("."))
        else:
            found += [word.removesuffix(".0") for word in _INNER.findall("".join(groups[:3]))]
    return tuple(found)


def _joined(words: Sequence[str]) -> str:
    return "\0" + "\0".join(words) + "\0"
