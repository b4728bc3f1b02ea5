"""What the options of `perstack log` mean: numbers, expressions, and which part of a job. Reads no files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from perstack.core.errors import UserError
from perstack.core.events import Event
from perstack.core.json import JsonObject
from perstack.interface.history.grammar import parse_filter, parse_steps
from perstack.interface.history.reading import object_of, text_of
from perstack.interface.history.runs import Runs
from perstack.interface.history.selection import DELEGATIONS, ERRORS, TAKE, TOOLS, Selection


@dataclass(frozen=True, slots=True)
class Wish:
    """The options as typed: of steps, types, presets and expressions."""

    step: str = ""
    types: frozenset[str] = frozenset()
    errors: bool = False
    tools: bool = False
    delegations: bool = False
    filters: Sequence[str] = ()
    take: str = ""
    offset: str = ""
    context: str = ""
    verbose: bool = False

    def selection(self) -> Selection:
        """Raises: UserError for what is no number or no expression."""
        presets = ((self.errors, ERRORS), (self.tools, TOOLS), (self.delegations, DELEGATIONS))
        return Selection(
            step=parse_steps(self.step) if self.step else None,
            types=self.types,
            presets=tuple(types for asked, types in presets if asked),
            filters=tuple(parse_filter(text) for text in self.filters),
            take=whole_number("--take", self.take, TAKE),
            offset=whole_number("--offset", self.offset, 0),
            context=whole_number("--context", self.context, 0),
            verbose=self.verbose,
        )


def whole_number(option: str, text: str, default: int) -> int:
    """A number of 0 or more. Raises: UserError in the words of the public format."""
    if not text:
        return default
    try:
        value = int(text)
    except ValueError:
        raise UserError(f'Invalid value for {option}: "{text}" is not a valid number') from None
    if value < 0:
        raise UserError(f'Invalid value for {option}: "{text}" must be non-negative')
    return value


def events_of_run(events: Sequence[Event], runs: Runs, run_id: str) -> tuple[Event, ...]:
    """The events of one run, all its segments together, or of one segment where a later one's id is given.

    `run_id` may be the beginning of an id. Empty where there is none. Raises: UserError where several begin like that.
    """
    ids = [run_id] if run_id in runs.of else [known for known in runs.of if known.startswith(run_id)]
    if len(ids) > 1:
        raise UserError(f"run {run_id} is not unique: {', '.join(ids)}", hint="Give more of the id.")
    run = runs.of[ids[0]] if ids else None
    wanted = set(run.segments if run and run.id == ids[0] else ids)
    return tuple(event for event in events if event.run_id in wanted)


def events_until(events: Sequence[Event], checkpoint: JsonObject, runs: Runs) -> tuple[Event, ...]:
    """The events of a checkpoint's run that led to it."""
    wanted = text_of(checkpoint.get("id"))
    run = runs.of.get(text_of(checkpoint.get("runId")))
    segments = set(run.segments) if run is not None else {text_of(checkpoint.get("runId"))}
    found: list[Event] = []
    for event in events:
        if event.run_id in segments:
            found.append(event)
            if wanted in carried_by(event):
                break
    return tuple(found)


def carried_by(event: Event) -> frozenset[str]:
    """The ids of the checkpoints an event carries."""
    names = ("checkpoint", "nextCheckpoint", "initialCheckpoint")
    return frozenset(text_of(object_of(event.payload.get(name)).get("id")) for name in names) - {""}
