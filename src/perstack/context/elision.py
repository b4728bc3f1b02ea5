"""Leaving out tool outputs: which, in which order, and what stands in their place. Pure; a call keeps its result.

Only what stands in a result changes: the result itself, its id and its place stay, so that no call is left without
one. What was left out can be read again by its handle (`runtime/outputs.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from perstack.context.occupancy import result_tokens, text_tokens
from perstack.core.json import compact
from perstack.core.messages import ExpertMessage, Message, TextPart, ToolCall, ToolMessage, ToolResult

READ_TOOL = "readToolOutput"
HARD_TOOLS = frozenset({"runSignals"})
"""Tools whose results are facts that the harness measured: they are left out last."""
_LEAST = 150  # tokens; a shorter output is hardly longer than the note
_MOST_ARGS = 160
_REFUSED_TEXT = 4_000  # characters


@dataclass(frozen=True, slots=True)
class Elision:
    """One result whose content is replaced by `note`. `handle` is what it can be read again by."""

    handle: str
    message_id: str
    call_id: str
    note: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A result as it was before it was left out, and the message it stands in."""

    message_id: str
    result: ToolResult


@dataclass(frozen=True, slots=True)
class Output:
    """A result in a history: the message (by its place) that holds it, and the call it answers."""

    place: int
    message_id: str
    result: ToolResult
    call: ToolCall | None
    tokens: int

    @property
    def has_media(self) -> bool:
        return any(not isinstance(part, TextPart) for part in self.result.contents)


def outputs_in(messages: Sequence[Message], first: int = 0) -> Iterator[Output]:
    """All results of a history, oldest first; `first` is the place of its first message."""
    calls: dict[str, ToolCall] = {}
    for place, message in enumerate(messages, first):
        if isinstance(message, ExpertMessage):
            calls.update((call.id, call) for call in message.tool_calls)
        elif isinstance(message, ToolMessage):
            for result in message.results:
                yield Output(place, message.id, result, calls.get(result.id), result_tokens(result))


def worth(output: Output) -> bool:
    """Whether leaving it out makes room."""
    return output.tokens >= _LEAST


def in_order(outputs: Sequence[Output]) -> list[Output]:
    """What is left out first: images and files, then the oldest; what the harness has measured goes last."""
    return sorted(outputs, key=lambda one: (one.result.tool_name in HARD_TOOLS, not one.has_media, one.place))


def elide(output: Output, number: int, excerpt: int = 0) -> Elision:
    """The elision of one output under handle `out-NUMBER`; `excerpt` characters of its beginning and end stay."""
    handle = f"out-{number}"
    text = output.result.text
    media = [part.mime_type for part in output.result.contents if not isinstance(part, TextPart)]
    size = f"{len(text):,} characters" + (f" and {', '.join(media)}" if media else "")
    said = (
        f"[Left out to save room: the output of {described(output)}, {size}. "
        f'Call {READ_TOOL} with id "{handle}" to read it again.]'
    )
    if excerpt and len(text) > 2 * excerpt:
        said = f"{text[:excerpt]}\n{said}\n{text[-excerpt:]}"
    return Elision(handle, output.message_id, output.result.id, said)


def refused(output: Output, number: int, why: str) -> Elision:
    """The elision of images and files that a server will not take; the words beside them stay."""
    media = ", ".join(part.mime_type for part in output.result.contents if not isinstance(part, TextPart))
    said = f"[Not shown: {media}. The model's server refused an image or a file{f': {why}' if why else ''}]"
    text = output.result.text[:_REFUSED_TEXT]
    return Elision(f"out-{number}", output.message_id, output.result.id, f"{text}\n{said}" if text else said)


def described(output: Output) -> str:
    """The call in a few words: its tool and its arguments."""
    args = compact(output.call.args) if output.call else ""
    return f"{output.result.tool_name} {args if len(args) <= _MOST_ARGS else args[: _MOST_ARGS - 1] + '…'}".rstrip()


def without(messages: Sequence[Message], elisions: Sequence[Elision]) -> tuple[Message, ...]:
    """The history with the notes in place of what is left out; messages that lose nothing stay the same objects."""
    by_place: dict[str, dict[str, str]] = {}
    for one in elisions:
        by_place.setdefault(one.message_id, {})[one.call_id] = one.note
    return tuple(
        _noted(message, by_place[message.id])
        if isinstance(message, ToolMessage) and message.id in by_place
        else message
        for message in messages
    )


def left_out(
    known: Mapping[str, LeftOut], messages: Sequence[Message], elisions: Sequence[Elision]
) -> Mapping[str, LeftOut]:
    """What is left out once these are, by handle; a result that was shortened before is kept as it first was."""
    now = {(one.message_id, one.result.id): one.result for one in outputs_in(messages)} if elisions else {}
    now |= {(one.message_id, one.result.id): one.result for one in reversed(list(known.values()))}
    fresh = {
        one.handle: LeftOut(one.message_id, now[one.message_id, one.call_id])
        for one in elisions
        if (one.message_id, one.call_id) in now
    }
    return {**known, **fresh}


def as_it_was(messages: Sequence[Message], known: Mapping[str, LeftOut]) -> tuple[Message, ...]:
    """The messages with every result as it was before it was left out."""
    originals = {(one.message_id, one.result.id): one.result for one in reversed(list(known.values()))}
    return tuple(
        replace(message, results=tuple(originals.get((message.id, one.id), one) for one in message.results))
        if isinstance(message, ToolMessage)
        else message
        for message in messages
    )


def _noted(message: ToolMessage, notes: Mapping[str, str]) -> ToolMessage:
    results = tuple(
        replace(result, contents=(TextPart(notes[result.id]),)) if result.id in notes else result
        for result in message.results
    )
    return replace(message, results=results)


def saved(output: Output, elision: Elision) -> int:
    """How many tokens an elision frees."""
    return max(0, output.tokens - text_tokens(elision.note) - 16)
