"""Values as plain data, with their types and without what they say about themselves. Lies beside `probe.py`."""

from __future__ import annotations

import json
from typing import Any

DEPTH, SIZE = 8, 2000


class Encoder:
    """One value as plain data: kind, then content. Gives up on what is too large."""

    def __init__(self) -> None:
        self._left = SIZE

    def encode(self, value: Any, depth: int = DEPTH) -> list[Any]:
        self._left -= 1
        if depth < 0 or self._left < 0:
            return ["large"]
        kind = type(value)
        if value is None:
            return ["none"]
        if isinstance(value, int):
            return ["n", int.__repr__(value) if kind is not bool else str(int(value))]
        if isinstance(value, float):
            return ["f", float.__repr__(value)]
        if isinstance(value, str):
            return ["s", str.__getitem__(value, slice(None))[:20000]]
        if isinstance(value, (bytes, bytearray)):
            return ["y", bytes(value).hex()[:20000]]
        return self._container(value, depth - 1) or self._object(value, depth - 1)

    def _container(self, value: Any, depth: int) -> list[Any]:
        if isinstance(value, list):
            return ["l", [self.encode(item, depth) for item in list.__iter__(value)]]
        if isinstance(value, tuple):
            return ["t", [self.encode(item, depth) for item in tuple.__iter__(value)]]
        if isinstance(value, set):
            return ["S", sorted((self.encode(item, depth) for item in set.__iter__(value)), key=json.dumps)]
        if isinstance(value, frozenset):
            return ["S", sorted((self.encode(item, depth) for item in frozenset.__iter__(value)), key=json.dumps)]
        if isinstance(value, dict):
            pairs = [[self.encode(k, depth), self.encode(v, depth)] for k, v in dict.items(value)]
            return ["d", sorted(pairs, key=json.dumps)]
        return []

    def _object(self, value: Any, depth: int) -> list[Any]:
        kind = type(value)
        bases = ["%s.%s" % (base.__module__, base.__qualname__) for base in kind.__mro__]  # noqa: UP031
        if any(base in ("collections.UserList", "collections.UserDict", "collections.UserString") for base in bases):
            return self.encode(value.data, depth)
        if "decimal.Decimal" in bases or "fractions.Fraction" in bases:
            try:
                return ["q", *map(str, value.as_integer_ratio())]
            except (ValueError, OverflowError, AttributeError):
                return ["large"]
        if any(base.startswith("datetime.") for base in bases) or "pathlib.PurePath" in bases:
            return ["o", bases[0], ["s", str(value)]]
        if isinstance(value, BaseException):
            return ["o", bases[0], ["t", [self.encode(item, depth) for item in value.args]]]
        if callable(value) or (not hasattr(value, "__dict__") and not hasattr(kind, "__slots__")):
            return ["large"]
        names = [name for base in kind.__mro__ for name in _slots(base)]
        found = {name: getattr(value, name) for name in names if not name.startswith("_") and hasattr(value, name)}
        found.update((name, item) for name, item in dict(getattr(value, "__dict__", {})).items() if name[:1] != "_")
        return ["o", bases[0], ["d", [[["s", name], self.encode(found[name], depth)] for name in sorted(found)]]]


def _slots(kind: Any) -> list[str]:
    slots = vars(kind).get("__slots__", ())
    return [slots] if isinstance(slots, str) else [str(name) for name in slots]
