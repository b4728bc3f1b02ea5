"""Relations between arguments and results that all examples of a function keep, and that its bug breaks. Pure.

A sum that stays what was given, a length that was asked for, the same items in another order, a value between the
smallest and the largest, a type. Where a fix restores one for the tests' own calls only, the bug is still there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any

from perstack.signals.held_out.answers import Answers, Questions
from perstack.signals.held_out.examples import Example
from perstack.signals.held_out.neighbours import Neighbour, values_of
from perstack.signals.held_out.values import number, numbers

_LEAST, _SHARE = 3, 0.2
# No result at all is no other type of result: it fits every kind.
_KINDS = tuple({*kinds, "none", "u", "large"} for kinds in ("nfq", "s", "l", "t", "d", "S", "y"))
Holds = Callable[[Sequence[object], Sequence[Any]], bool]


def violated(questions: Questions, base: Answers, candidate: Answers) -> str:
    """Why a fix is doubtful; empty where every relation that the tests show is kept near them too."""
    patterns = {questions.examples[index].pattern for index in questions.neighbours}
    for pattern in sorted(patterns):
        shown = [
            (example, base.first.get(index), candidate.first.get(index), candidate.expected.get(index))
            for index, example in enumerate(questions.examples)
            if example.pattern == pattern and example.arguments is not None and not example.raises
        ]
        near = [
            (neighbour, candidate.neighbour.get(place))
            for index, found in questions.neighbours.items()
            if questions.examples[index].pattern == pattern
            for place, neighbour in found
        ]
        for relation in _relations(len(shown[0][0].arguments or ()) if shown else 0):
            if _is_shown(relation, shown) and _breaks(relation, near, questions.examples):
                return "what all calls of the tests have in common does not hold for calls near to them"
    return ""


def _is_shown(relation: Holds, shown: Sequence[tuple[Example, Any, Any, Any]]) -> bool:
    """Whether all wanted results keep it, at least two of them, and the base does not."""
    kept, broken = set(), False
    for example, before, _, wanted in shown:
        if wanted is None or wanted[0] != "value" or before is None:
            return False
        values = values_of(example.arguments or ())
        if not relation(values, wanted[1]):
            return False
        kept.add(example.arguments)
        broken = broken or (before[0] == "value" and not relation(values, before[1]))
    return broken and len(kept) >= 2


def _breaks(relation: Holds, near: Sequence[tuple[Neighbour, Any]], examples: Sequence[Example]) -> bool:
    asked = [(n, outcome) for n, outcome in near if outcome and outcome[0] == "value" and _is_usual(n.arguments)]
    broken = [n for n, outcome in asked if not relation(n.arguments, outcome[1])]
    return bool(examples) and len(broken) >= _LEAST and len(broken) >= _SHARE * len(asked)


def _is_usual(values: Sequence[object]) -> bool:
    """Positive numbers, and rows and texts with something in them: elsewhere a relation may end."""
    return all(
        value > 0 if isinstance(value, int | float) and not isinstance(value, bool) else value not in ([], (), "")
        for value in values
    )


def _relations(count: int) -> Iterator[Holds]:
    for kinds in _KINDS:
        yield lambda _, result, kinds=kinds: result[0] in kinds  # type: ignore[misc]
    for axis in range(count):
        yield lambda values, result, axis=axis: _sum_is(values[axis], result)  # type: ignore[misc]
        yield lambda values, result, axis=axis: _length_is(values[axis], result)  # type: ignore[misc]
        yield lambda values, result, axis=axis: _items_are(values[axis], result)  # type: ignore[misc]
        yield lambda values, result, axis=axis: _lies_in(values[axis], result)  # type: ignore[misc]


def _sum_is(value: object, result: Sequence[Any]) -> bool:
    row = numbers(result)
    return row is not None and isinstance(value, int) and sum(row) == value


def _length_is(value: object, result: Sequence[Any]) -> bool:
    if result[0] not in {"l", "t"}:
        return False
    return len(result[1]) == (len(value) if isinstance(value, list | tuple) else value)


def _items_are(value: object, result: Sequence[Any]) -> bool:
    row = numbers(result)
    return row is not None and isinstance(value, list | tuple) and sorted(row) == sorted(map(_exact, value))


def _lies_in(value: object, result: Sequence[Any]) -> bool:
    found = number(result)
    if found is None or not isinstance(value, list | tuple) or not value:
        return False
    row = list(map(_exact, value))
    return min(row) <= found <= max(row)


def _exact(value: object) -> Fraction:
    return Fraction(value) if isinstance(value, int | float) else Fraction(0)
