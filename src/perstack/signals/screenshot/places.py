"""Where masked elements are in a picture: as the base's page has them, and little else is allowed. Pure.

What a candidate's page says about its own elements only serves to see that they are still there: a selector that
matches more than on the base would hide whatever a candidate wants hidden.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from perstack.core.json import Json

Places = Sequence[tuple[int, int, int, int, int]]
"""Number of the selector, x, y, width, height; in document order."""
GROWTH: Final = 8
"""Pixels by which an element may be off on each side: what it shows may be wider than on the base."""


def places_of(records: Sequence[Mapping[str, Json]]) -> dict[str, Places]:
    """The masked places of a channel's records, by picture."""
    return {str(record.get("name")): _places(record.get("places")) for record in records if record["type"] == "masked"}


def _places(found: Json) -> Places:
    rows = [row for row in found if isinstance(row, list)] if isinstance(found, list) else []
    numbers = [[number for number in row if isinstance(number, int)] for row in rows]
    return [(row[0], row[1], row[2], row[3], row[4]) for row in numbers if len(row) == 5]


def unfound(selectors: Sequence[str], places: Mapping[str, Places]) -> str:
    """A selector that matches nothing in any picture; empty where all match."""
    seen = {place[0] for found in places.values() for place in found}
    return next((selector for number, selector in enumerate(selectors) if places and number not in seen), "")


def widened(places: Places) -> tuple[tuple[int, int, int, int], ...]:
    """What is not compared: each element with the room it may need."""
    room = 2 * GROWTH
    return tuple((x - GROWTH, y - GROWTH, width + room, height + room) for _, x, y, width, height in places)


def out_of_place(selectors: Sequence[str], before: Places, after: Places) -> str:
    """Why the masked elements are not the base's; empty where they are."""
    for number, selector in enumerate(selectors):
        old, new = ([place for place in places if place[0] == number] for places in (before, after))
        if len(old) != len(new):
            return f"the mask {selector!r} matches {len(new)} element(s), {len(old)} on the base"
        if any(not _fits(one, other) for one, other in zip(old, new, strict=True)):
            return f"what the mask {selector!r} matches is not where it is on the base"
    return ""


def _fits(one: tuple[int, int, int, int, int], other: tuple[int, int, int, int, int]) -> bool:
    edges = [(x, y, x + width, y + height) for _, x, y, width, height in (one, other)]
    return all(abs(left - right) <= GROWTH for left, right in zip(*edges, strict=True))
