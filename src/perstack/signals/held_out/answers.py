"""Questions to the two trees, and what they answered. Data only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from perstack.signals.held_out.examples import Example
from perstack.signals.held_out.neighbours import Neighbour

Outcome = Sequence[Any]


@dataclass(slots=True)
class Answers:
    """What one tree said, by kind and place of the question. `unloaded` are groups that cannot be imported."""

    first: dict[int, Outcome] = field(default_factory=dict)
    expected: dict[int, Outcome] = field(default_factory=dict)
    again: dict[int, Outcome] = field(default_factory=dict)
    later: dict[int, Outcome] = field(default_factory=dict)
    neighbour: dict[int, Outcome] = field(default_factory=dict)
    finished: bool = False
    unloaded: set[int] = field(default_factory=set)

    def is_usable(self, count: int) -> bool:
        """Whether the process got through its calls; a neighbour may be more than it can bear."""
        return self.finished or len(self.first) >= count


@dataclass(frozen=True, slots=True)
class Questions:
    """What was asked: examples by number, and for some of them their neighbours by number.

    `kept` are the numbers of calls that no fixed test makes: their behaviour is not what the fix is about.
    """

    examples: Sequence[Example]
    neighbours: Mapping[int, Sequence[tuple[int, Neighbour]]]
    kept: frozenset[int] = frozenset()
