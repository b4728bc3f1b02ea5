"""What stands in place of old turns: their facts word for word, an index of what was left out, a model's own words.

Decisions (what the expert said), what people said, the plan (to-do list, delegates' answers) and what the harness
measured are kept verbatim, the newest first where there is no room for all. Pure.

Threat: tool output becomes part of a message here, so all of it is fenced; it gets no more weight than it had.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from perstack.context.elision import HARD_TOOLS, Output, described, outputs_in
from perstack.context.occupancy import text_tokens
from perstack.context.prompts import fence
from perstack.core.messages import ExpertMessage, Message, TextPart, ToolResult, UserMessage

ASK = (
    "Your context is nearly full: the turns before this are about to be replaced by a summary. Write it now, as plain "
    "text and without a tool call, for yourself: what was found out and where (file and line), what was decided and "
    "why, what was changed, what failed, and what has to be done next. At most 400 words. Facts only."
)
_OPENING = (
    "To save room, the turns between the task and here were left out. This is kept of them; the newest turns follow "
    "unchanged."
)
_PLAN_TOOLS = frozenset({"todo"})
_DELEGATE = "delegate/"
_INDEX = 40
# Of the summary's room. What one leaves is there for the next.
_SHARES = (0.25, 0.25, 0.2, 0.15, 0.25)


def summary_text(
    dropped: Sequence[Message], handles: Mapping[tuple[str, str], str], *, tokens: int, words: str = ""
) -> str:
    """The summary of `dropped` messages (as they first were) in about `tokens` tokens.

    `handles` are those of outputs left out, by message id and call id; `words` is what a model made of it.
    """
    outputs = list(outputs_in(dropped))
    sections = (
        ("measured by the harness, verbatim", _texts(o for o in outputs if o.result.tool_name in HARD_TOOLS)),
        ("what was said to you, verbatim", _said(dropped)),
        ("your plan and your delegates' answers, verbatim", _plan(outputs)),
        ("what you said and decided, verbatim", _decisions(dropped)),
        ("outputs left out, by the id that readToolOutput takes", _index(outputs, handles)),
    )
    parts, spare = [_OPENING], 0.0
    for (label, texts), share in zip(sections, _SHARES, strict=True):
        spare += share * tokens
        kept, cost = _newest(texts, int(spare))
        spare -= cost
        if kept:
            parts.append(fence(label, "\n".join(kept)))
    if words:
        parts.append(fence("your own summary of the turns left out", words))
    return "\n\n".join(parts)


def _newest(texts: Sequence[str], tokens: int) -> tuple[list[str], int]:
    """The newest of the texts that fit, in their order, and what they cost; a note says how many do not."""
    kept: list[str] = []
    cost = 0
    for text in reversed(texts):
        price = text_tokens(text) + 2
        if cost + price > tokens:
            break
        kept.append(text)
        cost += price
    if missing := len(texts) - len(kept):
        kept.append(f"({missing} older left out)")
    return kept[::-1], cost


def _texts(outputs: Iterable[Output]) -> list[str]:
    return [one.result.text for one in outputs if not one.result.is_error]


def _said(messages: Sequence[Message]) -> list[str]:
    return [
        "\n".join(part.text for part in message.contents if isinstance(part, TextPart))
        for message in messages
        if isinstance(message, UserMessage)
    ]


def _plan(outputs: Sequence[Output]) -> list[str]:
    todo = [one.result.text for one in outputs if one.result.tool_name in _PLAN_TOOLS][-1:]
    answers = [
        f"{one.result.tool_name}: {one.result.text}" for one in outputs if one.result.skill_name.startswith(_DELEGATE)
    ]
    return [*answers, *todo]


def _decisions(messages: Sequence[Message]) -> list[str]:
    return [f"- {text}" for message in messages if isinstance(message, ExpertMessage) and (text := message.text)]


def _index(outputs: Sequence[Output], handles: Mapping[tuple[str, str], str]) -> list[str]:
    lines = [
        f"{handle}: {described(one)} ({_size(one.result)})"
        for one in outputs
        if (handle := handles.get((one.message_id, one.result.id)))
    ]
    return lines[-_INDEX:]


def _size(result: ToolResult) -> str:
    return "failed" if result.is_error else f"{len(result.text):,} characters"
