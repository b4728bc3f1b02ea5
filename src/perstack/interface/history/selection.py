"""Which events of a history are shown: filters, then pages, then the events around them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from perstack.core.events import RECORD_EVENTS, RUNTIME_EVENTS, STREAMING_EVENTS, Event
from perstack.interface.history.grammar import Filter, StepTest

ERRORS = frozenset({"stopRunByError", "retry"})
TOOLS = frozenset({"callTools", "resolveToolResults", "callInteractiveTool"})
DELEGATIONS = frozenset({"callDelegate", "stopRunByDelegate"})
# Facts of the machinery: shown where they are asked for by name, and with --verbose.
QUIET = RUNTIME_EVENTS | RECORD_EVENTS | STREAMING_EVENTS | {"progress", "startSignal"}
TAKE = 100


@dataclass(frozen=True, slots=True)
class Selection:
    """What was asked for. `presets` must all hold, as must `filters`; `take` 0 means all."""

    step: StepTest | None = None
    types: frozenset[str] = frozenset()
    presets: tuple[frozenset[str], ...] = ()
    filters: tuple[Filter, ...] = ()
    take: int = TAKE
    offset: int = 0
    context: int = 0
    verbose: bool = False

    def keeps(self, event: Event) -> bool:
        """Whether the event matches. A step expression never matches an event without a step."""
        if self.step is not None and not (event.step_number and self.step(event.step_number)):
            return False
        if self.types and event.type not in self.types:
            return False
        if not all(event.type in preset for preset in self.presets):
            return False
        return not self.filters or _all_hold(self.filters, event)

    def visible(self, event: Event) -> bool:
        """Whether the event is there at all."""
        return self.verbose or event.type in self.types or event.type not in QUIET


@dataclass(frozen=True, slots=True)
class Page:
    """What is shown. `matched` holds every match, `events` the page with the events around it.

    `on_page` counts the matches on the page, `around` the others there.
    """

    events: tuple[Event, ...]
    matched: tuple[Event, ...]
    on_page: int

    @property
    def around(self) -> int:
        return len(self.events) - self.on_page

    @property
    def is_part(self) -> bool:
        """Whether some matches are not on the page."""
        return self.on_page < len(self.matched)


def select(events: Sequence[Event], wanted: Selection) -> Page:
    """Filter, then leave out `offset`, then take, then add the neighbours of what is left."""
    there = [event for event in events if wanted.visible(event)]
    hits = [place for place, event in enumerate(there) if wanted.keeps(event)]
    end = wanted.offset + wanted.take if wanted.take else None
    page = hits[wanted.offset : end]
    shown = sorted(
        {
            near
            for place in page
            for near in range(max(0, place - wanted.context), min(len(there), place + wanted.context + 1))
        }
    )
    return Page(tuple(there[place] for place in shown), tuple(there[place] for place in hits), len(page))


def _all_hold(filters: Sequence[Filter], event: Event) -> bool:
    data = event.to_json()
    return all(one(data) for one in filters)
