"""JSON as the project reads and writes it: one type, one canonical text."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]
JsonObject = Mapping[str, Json]


def compact(value: Json) -> str:
    """One line, keys in their own order, no spaces, UTF-8 kept."""
    return _COMPACT.encode(value)


def canonical(value: Json) -> str:
    """One line with sorted keys: equal values give equal text, so digests can be compared."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True, default=_plain)


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return list(value)
    raise TypeError(f"not JSON: {type(value).__name__}")


_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_plain)
