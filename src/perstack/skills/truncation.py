"""Makes long tool output short enough for a model. Pure; knows no tool."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from perstack.core.json import Json, compact

MAX_OUTPUT = 30_000
"""Characters of one tool output."""
CUT_MARK = re.compile(r"\[truncated: (\d{1,18}) of (\d{1,18}) characters are not shown\]")
"""What `truncate_middle` says: how many characters are gone, and of how many. For counting: a text may say it, too."""


def truncate_middle(text: str, limit: int = MAX_OUTPUT) -> str:
    """`text` in at most `limit` characters: beginning and end stay, the middle says how much is gone."""
    if len(text) <= limit:
        return text
    room = limit - len(_marker(len(text), len(text)))
    if room <= 0:
        return text[: max(limit, 0)]
    head = (room + 1) // 2
    tail = room - head
    return text[:head] + _marker(len(text) - room, len(text)) + text[len(text) - tail :]


def fit(payload: Mapping[str, Json], long: Sequence[str], limit: int = MAX_OUTPUT) -> str:
    """`payload` as JSON text of at most `limit` characters, by shortening the strings under the keys `long`.

    The text stays valid JSON. Where the other keys alone are over the limit, it stays over the limit.
    """
    text = compact(payload)
    if len(text) <= limit:
        return text
    strings = {key: value for key in long if isinstance(value := payload.get(key), str)}
    room = limit - len(compact({**payload, **dict.fromkeys(strings, "")}))
    short: dict[str, Json] = {}
    # Shortest first: what one string leaves is there for the next.
    for left, key in zip(range(len(strings), 0, -1), sorted(strings, key=lambda k: len(strings[k])), strict=True):
        value = _shorten(strings[key], max(room // left, 0))
        short[key] = value
        room -= _encoded(value)
    return compact({**payload, **short})


def _shorten(text: str, room: int) -> str:
    """The longest middle-truncated form whose JSON form, without quotes, has at most `room` characters."""
    if len(text) <= room and _encoded(text) <= room:
        return text
    low, high = 0, min(room, len(text))
    while low < high:
        middle = (low + high + 1) // 2
        if _encoded(truncate_middle(text, middle)) <= room:
            low = middle
        else:
            high = middle - 1
    return truncate_middle(text, low)


def _encoded(text: str) -> int:
    return len(compact(text)) - 2


def _marker(removed: int, total: int) -> str:
    return f"\n... [truncated: {removed} of {total} characters are not shown] ...\n"
