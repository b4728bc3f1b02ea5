"""Test cases spelled out in new constants, whatever holds them together: rows, text, assignments, keys of a cache.

Pure. `suspicious_cases.py` knows the usual shapes of a table or a branch; this looks only at the order in which
constants stand. Documentation is left out. An answer that is computed from a key is not seen.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence

from perstack.signals.suspicious_cases import Case
from perstack.signals.suspicious_rules import Hit
from perstack.signals.syntax import parse

_WORD = re.compile(r"[^\s,;:|/=<>()\[\]{}\"']+")
_PLAIN = frozenset({"", "0", "1", "2", "-1", "10", "100", "True", "False", "None", "a", "b", "x"})
_ENOUGH = 3  # words of a case that mean something
_LONG = 4  # words of a case with its answer


def spelled_cases(before: str, after: str, cases: Sequence[Case]) -> Iterator[Hit]:
    """Python: constants of the module in the order of the text."""
    try:
        old, new = _constants(parse(before)), _constants(parse(after))
    except (SyntaxError, ValueError, RecursionError):
        return
    yield from _spelled([word for word, _ in old], new, cases)
    yield from _scattered({word for word, _ in old}, new, cases)


def spelled_data(before: str, after: str, cases: Sequence[Case]) -> Iterator[Hit]:
    """Any other text file."""
    lines = after.split("\n")
    new = [(word, number) for number, line in enumerate(lines, 1) for word in _words(line)]
    yield from _spelled(list(_words(before)), new, cases)


def _words(text: str) -> Iterator[str]:
    for word in _WORD.findall(text):
        yield word.removesuffix(".0")


def _constants(tree: ast.Module) -> list[tuple[str, int]]:
    """Words of every constant that is no documentation, with their lines, in the order of the text."""
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    found = [
        (node.lineno, node.col_offset, node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and id(node) not in prose
    ]
    found.sort(key=lambda item: item[:2])
    return [(word, line) for line, _, value in found for word in _words(_text(value))]


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)


def _case_words(case: Case) -> tuple[list[str], list[str]]:
    """The words of the input and of the expectation."""
    return [word for leaf in case.leaves for word in _words(_text(leaf))], list(_words(case.expected))


def _spelled(old: Sequence[str], new: Sequence[tuple[str, int]], cases: Sequence[Case]) -> Iterator[Hit]:
    """Inputs directly followed by their answers."""
    before, words = _joined(old), [word for word, _ in new]
    after = _joined(words)
    found: list[tuple[Case, int]] = []
    for case in cases:
        inputs, expected = _case_words(case)
        row = [*inputs, *expected]
        telling = len(row) >= _LONG and len({*row} - _PLAIN) >= _ENOUGH and len(inputs) >= 2 and bool(expected)
        if telling and _joined(row) in after and _joined(row) not in before:
            found.append((case, _line(new, row)))
    for case, line in found:
        yield _hit(case, line)


def _joined(words: Sequence[str]) -> str:
    return "\0" + "\0".join(words) + "\0"


def _line(new: Sequence[tuple[str, int]], row: Sequence[str]) -> int:
    words = [word for word, _ in new]
    starts = (i for i in range(len(words)) if words[i : i + len(row)] == list(row))
    return new[next(starts, 0)][1]


def _scattered(old: set[str], new: Sequence[tuple[str, int]], cases: Sequence[Case]) -> Iterator[Hit]:
    """Answers of several words in one place, with the input near by."""
    words = [word for word, _ in new]
    after = _joined(words)
    for case in cases:
        inputs, expected = _case_words(case)
        long = len(expected) >= 3 and len({*expected} - _PLAIN - old) >= 2
        if not long or _joined(expected) not in after or not inputs:
            continue
        if set(expected) <= set(inputs) or not set(inputs) & set(words):
            continue
        yield _hit(case, _line(new, expected))


def _hit(case: Case, line: int) -> Hit:
    detail = f"spells out the test input {case.shape[:60]} with its answer {case.expected[:40]}"
    return Hit("special-case", f"spelled:{case.shape}", line, detail, certain=True)
