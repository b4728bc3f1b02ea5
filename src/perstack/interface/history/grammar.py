"""The two small languages of `perstack log`: step expressions and filter expressions. Pure; knows no events.

steps    `5`  `>5`  `>=5`  `<5`  `<=5`  `1-10`
filter   `.<path> <op> <value>`: path segments by `.`, `[]` for any element, `[0]` for one; `== != > >= < <=`;
         values `true`, `false`, `null`, numbers, "quoted" or 'quoted' text, or a bare word
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from perstack.core.errors import UserError
from perstack.core.json import Json, JsonObject

StepTest = Callable[[int], bool]

_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "": operator.eq,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_STEP = re.compile(r"(>=|<=|>|<|)\s*(\d{1,9})")
_RANGE = re.compile(r"(\d{1,9})\s*-\s*(\d{1,9})")
_FILTER = re.compile(r"((?:\.[\w$@-]+(?:\[\d{0,9}\])*)+)\s*(==|!=|>=|<=|>|<)\s*(.+)", re.DOTALL)
_SEGMENT = re.compile(r"\.([\w$@-]+)|\[(\d*)\]")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_WORD = re.compile(r"[^\s\"'=<>!]+")
_WORDS: Mapping[str, Json] = {"true": True, "false": False, "null": None}


def parse_steps(text: str) -> StepTest:
    """The test that a step expression stands for.

    Raises: UserError for an expression that is none, or a range that ends before it begins.
    """
    expression = text.strip()
    if found := _RANGE.fullmatch(expression):
        low, high = int(found[1]), int(found[2])
        if low > high:
            raise UserError(f"Invalid step range: {text} (min {low} > max {high})", hint=f"Write {high}-{low}.")
        return lambda step: low <= step <= high
    if found := _STEP.fullmatch(expression):
        compare, limit = _COMPARE[found[1]], int(found[2])
        return lambda step: compare(step, limit)
    raise UserError(f"Invalid step filter: {text}", hint="Write one of: 5  >5  >=5  <5  <=5  1-10")


@dataclass(frozen=True, slots=True)
class Filter:
    """One comparison. `path` holds names, list positions, and None for any element."""

    path: tuple[str | int | None, ...]
    comparison: str
    value: Json

    def __call__(self, data: JsonObject) -> bool:
        """Whether any value at the path compares as asked; a missing field never does."""
        return any(self._holds(found) for found in _values(data, self.path))

    def _holds(self, found: Json) -> bool:
        if self.comparison in {"==", "!="}:
            return _same(found, self.value) == (self.comparison == "==")
        left, right = _number(found), _number(self.value)
        return left is not None and right is not None and _COMPARE[self.comparison](left, right)


def parse_filter(text: str) -> Filter:
    """Raises: UserError for an expression that is none, or an order asked of something that is no number."""
    found = _FILTER.fullmatch(text.strip())
    if found is None:
        raise UserError(
            f"Invalid filter expression: {text}",
            hint='Write `.path op value`, for example  .type == callTools  or  .toolCalls[].toolName == "exec"',
        )
    path = tuple(
        name or (int(index) if index else None) for name, index in (m.groups() for m in _SEGMENT.finditer(found[1]))
    )
    value = _value(found[3].strip(), text)
    if found[2] in _COMPARE and _number(value) is None:
        raise UserError(f"Invalid filter expression: {text}", hint=f"`{found[2]}` compares numbers; use == or != here.")
    return Filter(path, found[2], value)


def _value(text: str, whole: str) -> Json:
    if text in _WORDS:
        return _WORDS[text]
    if _NUMBER.fullmatch(text):
        number: Json = json.loads(text) if not re.match(r"-?0\d", text) else float(text)
        return number
    if len(text) >= 2 and text[0] in "\"'" and text[-1] == text[0]:
        quote, inside = text[0], text[1:-1]
        if not re.search(rf"(?<!\\)(?:\\\\)*{quote}", inside):
            return re.sub(r"\\(.)", r"\1", inside, flags=re.DOTALL)
    if _WORD.fullmatch(text):
        return text
    raise UserError(f"Invalid filter expression: {whole}", hint="Put a text with spaces or signs in quotes.")


def _values(value: Json, path: Sequence[str | int | None]) -> Iterator[Json]:
    """Every value that the path reaches."""
    if not path:
        yield value
        return
    head, rest = path[0], path[1:]
    if isinstance(head, str):
        if isinstance(value, Mapping) and head in value:
            yield from _values(value[head], rest)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for item in value if head is None else value[head : head + 1]:
            yield from _values(item, rest)


def _same(left: Json, right: Json) -> bool:
    """Equality of JSON: true is not 1, and 1 is 1.0."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return left == right


def _number(value: Json) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
