"""Values as the probe sends them, compared without asking the objects themselves. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

_NUMBERS = frozenset({"n", "f", "q"})
_RELATIVE, _PLACES = 1e-6, 1e-7


def same(actual: Sequence[Any], expected: Sequence[Any], *, tolerant: bool = False) -> bool | None:
    """Whether two values are the same under plain comparison; None where plain data cannot say."""
    kinds = {str(actual[0]), str(expected[0])}
    if "large" in kinds:
        return None
    if kinds <= _NUMBERS:
        return _same_number(actual, expected, tolerant)
    if "o" in kinds:
        return _same_object(actual, expected)
    if len(kinds) > 1:
        return False
    if actual[0] in {"l", "t", "S"}:
        return _all(actual[1], expected[1], tolerant)
    if actual[0] == "d":
        return _all([x for pair in actual[1] for x in pair], [x for pair in expected[1] for x in pair], tolerant)
    return list(actual) == list(expected)


def encoded(value: object) -> list[Any]:
    """A literal's value in the form in which the probe sends values."""
    match value:
        case None:
            return ["none"]
        case int() | float():
            return ["f", repr(value)] if isinstance(value, float) else ["n", str(int(value))]
        case str() | bytes():
            return ["s", value] if isinstance(value, str) else ["y", value.hex()]
        case list() | tuple():
            return ["l" if isinstance(value, list) else "t", [encoded(item) for item in value]]
        case set() | frozenset():
            return ["S", sorted((encoded(item) for item in value), key=json.dumps)]
        case dict():
            return ["d", sorted(([encoded(k), encoded(v)] for k, v in value.items()), key=json.dumps)]
    return ["large"]


def loosely_same(actual: Sequence[Any], expected: Sequence[Any]) -> bool | None:
    """Like `same`, for values that somebody wrote down: rounded numbers, and a list where there is a tuple."""
    return same(_loose(actual), _loose(expected), tolerant=True)


def _loose(value: Sequence[Any]) -> list[Any]:
    kind = value[0]
    if kind in {"l", "t", "S"}:
        return ["l" if kind == "t" else kind, [_loose(item) for item in value[1]]]
    if kind == "d":
        return ["d", [[_loose(key), _loose(item)] for key, item in value[1]]]
    return list(value)


def is_plain(value: Sequence[Any]) -> bool:
    """Whether a value is data with no say in how it compares."""
    return value[0] not in {"o", "large"}


def number(value: Sequence[Any]) -> Fraction | None:
    """The exact number, None for what is none or not finite."""
    try:
        if value[0] == "q":
            return Fraction(int(value[1]), int(value[2]))
        if value[0] == "f":
            return Fraction(float(value[1]))
        return Fraction(int(value[1])) if value[0] == "n" else None
    except (ValueError, OverflowError):
        return None


def numbers(value: Sequence[Any]) -> tuple[Fraction, ...] | None:
    """The numbers of a list or tuple; None where it is neither or holds something else."""
    if value[0] not in {"l", "t"}:
        return None
    found = tuple(number(item) for item in value[1])
    kept = tuple(item for item in found if item is not None)
    return kept if len(kept) == len(found) else None


def _same_number(one: Sequence[Any], other: Sequence[Any], tolerant: bool) -> bool | None:
    left, right = number(one), number(other)
    if left is None or right is None:
        return None if left is None and right is None else False
    if tolerant:
        return math.isclose(left, right, rel_tol=_RELATIVE, abs_tol=_PLACES)
    return left == right


def _same_object(one: Sequence[Any], other: Sequence[Any]) -> bool | None:
    if list(one[:2]) != list(other[:2]) or len(one) < 3:
        return None
    # what an object keeps beside its value may differ: only sameness is certain
    return True if same(one[2], other[2]) else None


def _all(one: Sequence[Any], other: Sequence[Any], tolerant: bool) -> bool | None:
    if len(one) != len(other):
        return False
    found = [same(left, right, tolerant=tolerant) for left, right in zip(one, other, strict=True)]
    return False if False in found else None if None in found else True
