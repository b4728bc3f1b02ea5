"""Neighbours of a call: the same call with other arguments, near to those that the tests show. Pure.

Numbers, lists or tuples of them, and texts of several words have neighbours. A single word is often a key, and its
neighbours say nothing: it stays as it is while the other arguments move.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random

_STEPS = (1, -1, 2, -2, 3, -3, 5, -5, 7, -7, 10, -10, 11, -11, 100, -100)
_FEW = 40
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Neighbour:
    """One changed call. `step` is set where exactly one number was moved by so much; `axis` is its argument."""

    text: str
    arguments: tuple[object, ...]
    axis: int
    step: int = 0
    permuted: bool = False


def values_of(arguments: Sequence[str]) -> tuple[object, ...]:
    """The values of arguments that are texts of literals."""
    return tuple(ast.literal_eval(text) for text in arguments)


def has_neighbours(values: Sequence[object]) -> bool:
    """Whether some argument is a number, holds only numbers, or is a text of several words."""
    return any(_moves(value) for value in values)


def is_text(values: Sequence[object]) -> bool:
    """Whether texts are all that moves: what they show is never more than a doubt."""
    return all(isinstance(value, str) for value in values if _moves(value))


def is_boundary(values: Sequence[object]) -> bool:
    """Whether a call is at an edge, where a right fix may well change one case alone."""
    moving = [value for value in values if _moves(value) and not isinstance(value, str)]
    return any(value in (0, 1, -1) if _is_number(value) else len(_row(value)) < 2 for value in moving)


def neighbours_of(pattern: str, values: Sequence[object], random: Random) -> tuple[Neighbour, ...]:
    """Neighbours of one call, in random order but for those one step away. `pattern` has a `{}` for each value."""
    found: list[Neighbour] = []
    for axis, value in enumerate(values):
        for other, step, permuted in _others(value, random) if _moves(value) else ():
            changed = (*values[:axis], other, *values[axis + 1 :])
            found.append(Neighbour(pattern.format(*map(repr, changed)), changed, axis, step, permuted))
    unique = list(
        {neighbour.text: neighbour for neighbour in reversed(found) if neighbour.arguments != tuple(values)}.values()
    )
    random.shuffle(unique)
    unique.sort(key=lambda neighbour: not (neighbour.permuted or 0 < abs(neighbour.step) <= 2))
    return tuple(unique[:_FEW])


def _moves(value: object) -> bool:
    return _is_number(value) or _is_row(value) or (isinstance(value, str) and len(_WORD.findall(value)) > 1)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _row(value: object) -> Sequence[object]:
    return value if isinstance(value, list | tuple) else ()


def _is_row(value: object) -> bool:
    return isinstance(value, list | tuple) and all(_is_number(item) for item in value)


def _others(value: object, random: Random) -> Iterator[tuple[object, int, bool]]:
    if isinstance(value, int | float):
        for step in _STEPS:
            yield value + step, step, False
        for factor in (2, 3, 10):
            yield value * factor, 0, False
        yield value + random.randrange(12, 99), 0, False
        return
    if isinstance(value, str):
        yield from ((text, 0, False) for text in _texts(value, random))
        return
    row = list(_row(value))
    again = type(value) if isinstance(value, tuple) else list
    for _ in range(6):
        yield again(random.sample(row, len(row))), 0, len(set(row)) > 1
    for place in range(len(row)):
        for step in (1, -1, 2, -2, random.randrange(3, 40)):
            yield again([*row[:place], row[place] + step, *row[place + 1 :]]), 0, False  # type: ignore[operator]
    for place in range(min(len(row), 3)):
        yield again(row[:place] + row[place + 1 :]), 0, False
    for extra in (random.randrange(2, 60), row[-1] if row else 3):
        yield again([*row, extra]), 0, False
        yield again([extra, *row, extra]), 0, False
    yield again(row + row), 0, False
    yield again([item * 2 for item in row]), 0, False  # type: ignore[operator]


def _texts(value: str, random: Random) -> Iterator[str]:
    """The text with its words changed, moved, left out and added; what stands between them stays."""
    words = [(found.start(), found.end()) for found in _WORD.finditer(value)]
    for start, end in words[:6]:
        yield value[:start] + _word(end - start, random) + value[end:]
        yield value[:start] + _word(end - start + 2, random) + value[end:]
        yield (value[:start] + value[end:]).strip()
    for (start, end), (later, last) in pairwise(words[:7]):
        yield value[:start] + value[later:last] + value[end:later] + value[start:end] + value[last:]
    between = value[words[0][1] : words[1][0]]
    for _ in range(3):
        yield value + between + _word(4, random)
        yield _word(5, random) + between + value


def _word(length: int, random: Random) -> str:
    return "".join(random.choice("abcdeghiklmnoprstu") for _ in range(length))
