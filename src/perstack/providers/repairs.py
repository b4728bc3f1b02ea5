"""What was wrong with a reply and is put right on its way to an expert: each said in words, none passed over.

The rules that put it right are where they belong: arguments in `wire.py`, ids and empty replies in the runtime.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from perstack.core.json import compact
from perstack.core.messages import (
    ModelReply,
    ModelRequest,
    StopReason,
    TextPart,
    ThinkingPart,
    ToolCall,
    Trouble,
    TroubleKind,
)
from perstack.providers.estimate import estimated
from perstack.providers.wire import is_plain_id

NO_ID = Trouble(TroubleKind.CALL_ID, "a tool call has no id: it gets one")
UNORDERED = Trouble(TroubleKind.ORDER, "parts of the reply came out of order; they were sorted by their number")
FILTERED = Trouble(TroubleKind.FILTER, "the provider's content filter ended the reply: the model is asked again")
_REFUSED = Trouble(TroubleKind.REFUSAL, "the model refused: it is asked again")
_CUT = Trouble(TroubleKind.CUT, "the reply was cut at its length limit: the model is asked again")
_NO_USAGE = Trouble(TroubleKind.NO_USAGE, "the server did not say what the call used: it is estimated")
_EMPTY = Trouble(TroubleKind.EMPTY, "the reply is empty: the model is asked again")
_NAMELESS = Trouble(TroubleKind.NO_NAME, "a tool call names no tool: the model is told")
_MOST = 20  # sentences a reply; what is beyond them is told by its kind
_MANY_CALLS = 64  # in one reply; they are all made, and it is more than any task needs


def settled(reply: ModelReply, request: ModelRequest) -> ModelReply:
    """The reply with its usage, estimated where the server said none, and with its troubles."""
    troubles = [*reply.troubles, *_troubles(reply)]
    if not reply.usage.total_tokens:
        reply = replace(reply, usage=estimated(request, _written(reply)))
        troubles.append(_NO_USAGE)
    told = _counted(troubles)
    return replace(reply, troubles=told) if told != reply.troubles else reply


def unknown_stop(reason: str) -> Trouble:
    """The trouble with a reason that nobody has heard of yet."""
    words = f'the reply ended for the unknown reason "{reason[:60]}": what it holds is used'
    return Trouble(TroubleKind.ENDING, words)


def _counted(troubles: Iterable[Trouble]) -> tuple[Trouble, ...]:
    """Each sentence once, with its number; the sentences beyond the first few together, one for each kind."""
    found: dict[tuple[TroubleKind, str], int] = {}
    for one in troubles:
        key = (one.kind, one.text)
        if key not in found and len(found) >= _MOST:
            key = (one.kind, f"more of the kind {one.kind.value}")
        found[key] = found.get(key, 0) + one.count
    return tuple(Trouble(kind, text, count) for (kind, text), count in found.items())


def _troubles(reply: ModelReply) -> Iterator[Trouble]:
    calls = [part for part in reply.contents if isinstance(part, ToolCall)]
    seen = set[str]()
    for call in calls:
        yield from _of_call(call, seen)
        seen.add(call.id)
    if len(calls) > _MANY_CALLS:
        yield Trouble(TroubleKind.MANY_CALLS, f"the reply makes {len(calls):,} calls: they are made in groups")
    if reply.stop_reason is StopReason.REFUSAL and FILTERED not in reply.troubles:
        yield _REFUSED
    elif reply.stop_reason is StopReason.LENGTH:
        yield _CUT
    elif not calls and _is_empty(reply):
        yield _EMPTY


def _of_call(call: ToolCall, seen: set[str]) -> Iterator[Trouble]:
    name = call.tool_name[:60]
    if not name:
        yield _NAMELESS
    if call.problem:
        words = f"{name}: the arguments of the call are no JSON object: the model is told"
        yield Trouble(TroubleKind.ARGUMENTS, words)
    if not call.id:
        yield NO_ID
    elif call.id in seen:
        yield Trouble(TroubleKind.CALL_ID, f"{name}: the call has the id of another one: it gets its own")
    elif not is_plain_id(call.id):
        yield Trouble(TroubleKind.CALL_ID, f"{name}: the call has an id that strict servers refuse: they get another")


def _is_empty(reply: ModelReply) -> bool:
    if reply.stop_reason in {StopReason.REFUSAL, StopReason.PAUSE}:
        return False
    return not any(isinstance(part, TextPart) and part.text.strip() for part in reply.contents)


def _written(reply: ModelReply) -> str:
    return "".join(_pieces(reply.contents))


def _pieces(contents: Sequence[ThinkingPart | TextPart | ToolCall]) -> Iterator[str]:
    for part in contents:
        match part:
            case TextPart(text=text):
                yield text
            case ThinkingPart(thinking=thinking):
                yield thinking
            case ToolCall():
                yield part.tool_name + compact(dict(part.args))
