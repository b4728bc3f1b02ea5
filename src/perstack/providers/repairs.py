"""What was wrong with a reply and is put right on its way to an expert: each said in words, none passed over.

The rules that put it right are where they belong: arguments in `wire.py`, ids and empty replies in the runtime.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from perstack.core.json import compact
from perstack.core.messages import ModelReply, ModelRequest, StopReason, TextPart, ThinkingPart, ToolCall
from perstack.providers.estimate import estimated
from perstack.providers.wire import is_plain_id

NO_ID = "a tool call has no id: it gets one"
UNORDERED = "parts of the reply came out of order; they were sorted by their number"
_MOST = 20  # sentences a reply: two hundred broken calls are one trouble, told twenty times


def settled(reply: ModelReply, request: ModelRequest) -> ModelReply:
    """The reply with its usage, estimated where the server said none, and with its troubles."""
    troubles = [*reply.troubles, *_troubles(reply)]
    if not reply.usage.total_tokens:
        reply = replace(reply, usage=estimated(request, _written(reply)))
        troubles.append("the server did not say what the call used: it is estimated")
    more = len(troubles) - _MOST
    told = (*troubles[:_MOST], f"and {more} more of this kind") if more > 0 else tuple(troubles)
    return replace(reply, troubles=told) if told != reply.troubles else reply


def unknown_stop(reason: str) -> str:
    """The trouble with a reason that nobody has heard of yet."""
    return f'the reply ended for the unknown reason "{reason[:60]}": what it holds is used'


def _troubles(reply: ModelReply) -> Iterator[str]:
    calls = [part for part in reply.contents if isinstance(part, ToolCall)]
    seen = set[str]()
    for call in calls:
        name = call.tool_name[:60]
        if not name:
            yield "a tool call names no tool: the model is told"
        if call.problem:
            yield f"{name}: the arguments of the call are no JSON object: the model is told"
        if not call.id:
            yield NO_ID
        elif call.id in seen:
            yield f"{name}: the call has the id of another one: it gets its own"
        elif not is_plain_id(call.id):
            yield f"{name}: the call has an id that strict servers refuse: they get another"
        seen.add(call.id)
    if not calls and _is_empty(reply):
        yield "the reply is empty: the model is asked again"


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
