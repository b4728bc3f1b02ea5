"""Making a history fit its model's window: first old tool outputs go, then old turns become a summary. Pure.

The first message (the task) and the newest turns stay as they are. A turn stays or goes as a whole, so no call loses
its result and no reasoning its turn. What a compaction has done is data: an event holds it, and a fold repeats it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from perstack.context.elision import Elision, Output, elide, in_order, outputs_in, refused, saved, without, worth
from perstack.context.occupancy import message_tokens, messages_tokens
from perstack.core.messages import ExpertMessage, Message

SUMMARY_ID = ".summary"
"""How the id of a message ends that stands for turns left out."""
_KEPT_TURNS = 2  # whose outputs stay whole where that is possible
_TAIL = 0.35  # of the room for messages, for the turns after a summary
SUMMARY = 0.3  # of the same, for the summary itself
_EXCERPTS = (4_000, 1_000, 250, 0)  # characters at both ends of an output of the newest turns


@dataclass(frozen=True, slots=True)
class Room:
    """What a call may hold, in estimated tokens: `fixed` (system prompt and tools) and all messages in `target`.

    `number` is that of the next handle.
    """

    target: int
    fixed: int
    number: int = 1

    @property
    def messages(self) -> int:
        return max(0, self.target - self.fixed)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do: `elisions`, and the number of messages (the task and all before the tail) a summary ends at.

    `until` is 0 where nothing is summarised. `tokens` is what the messages have then, the summary not counted.
    """

    elisions: tuple[Elision, ...] = ()
    until: int = 0
    tokens: int = 0

    def __bool__(self) -> bool:
        return bool(self.elisions) or self.until > 1


def plan(messages: Sequence[Message], room: Room) -> Plan:
    """The gentlest plan after which the messages fit, or the hardest there is."""
    turns = _turns(messages)
    protected = turns[-_KEPT_TURNS] if len(turns) >= _KEPT_TURNS else turns[0] if turns else len(messages)
    outputs = [one for one in outputs_in(messages) if worth(one)]
    gentle = _elided(messages, [one for one in outputs if one.place < protected], room)
    if gentle.tokens <= room.messages:
        return gentle
    until = _tail(messages, turns, room)
    if until <= 1:
        return _squeezed(messages, outputs, room)
    # Every long output before the tail gets a handle: a summary names it.
    kept = tuple(elide(one, room.number + n) for n, one in enumerate(o for o in outputs if o.place < until))
    first, tail = messages[0], messages[until:]
    left = replace(
        room,
        target=int(room.fixed + room.messages * (1 - SUMMARY)) - message_tokens(first),
        number=room.number + len(kept),
    )
    squeezed = _squeezed(tail, [one for one in outputs_in(tail) if worth(one)], left)
    return Plan((*kept, *squeezed.elisions), until, message_tokens(first) + squeezed.tokens)


def media_only(messages: Sequence[Message], number: int, why: str = "") -> Plan:
    """Leave out every image and file, for a server that refused one of them; `why` is what it said."""
    outputs = [one for one in outputs_in(messages) if one.has_media]
    elisions = tuple(refused(one, number + place, why) for place, one in enumerate(outputs))
    return Plan(elisions, 0, messages_tokens(without(messages, elisions)))


def carried_out(
    messages: Sequence[Message], elisions: Sequence[Elision], until: int, summary: Sequence[Message]
) -> tuple[Message, ...]:
    """The history after a plan: the task, the summary, the tail."""
    changed = without(messages, elisions)
    return (changed[0], *summary, *changed[until:]) if until else (*changed, *summary)


def _elided(messages: Sequence[Message], outputs: Sequence[Output], room: Room) -> Plan:
    tokens = messages_tokens(messages)
    elisions: list[Elision] = []
    for one in in_order(outputs):
        if tokens <= room.messages:
            break
        elisions.append(elide(one, room.number + len(elisions)))
        tokens -= saved(one, elisions[-1])
    return Plan(tuple(elisions), 0, tokens)


def _squeezed(messages: Sequence[Message], outputs: Sequence[Output], room: Room) -> Plan:
    """Cut outputs of any age, the largest first, each to its two ends; shorter ends where that is not enough."""
    found = Plan((), 0, messages_tokens(messages))
    for excerpt in _EXCERPTS:
        tokens, elisions = messages_tokens(messages), list[Elision]()
        for one in sorted(outputs, key=lambda o: -o.tokens):
            if tokens <= room.messages:
                break
            elision = elide(one, room.number + len(elisions), excerpt)
            if gain := saved(one, elision):
                elisions.append(elision)
                tokens -= gain
        found = Plan(tuple(elisions), 0, tokens)
        if tokens <= room.messages:
            break
    return found


def _turns(messages: Sequence[Message]) -> list[int]:
    """The places where a turn begins: at a reply. What a person or the harness said belongs to the turn before."""
    return [place for place, message in enumerate(messages) if place and isinstance(message, ExpertMessage)]


def _tail(messages: Sequence[Message], turns: Sequence[int], room: Room) -> int:
    """Where the newest turns begin that stay: as many as fit into their share, at least the last one.

    1 or less where there is nothing before them but the task.
    """
    allowed = room.messages * _TAIL
    start, tokens, end = 0, 0, len(messages)
    for place in reversed(turns):
        tokens += messages_tokens(messages[place:end])
        if start and tokens > allowed:
            break
        start, end = place, place
    return start
