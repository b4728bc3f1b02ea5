"""Keeping a run's history within its model's window: how full it is, when to compact, what becomes of it.

Which outputs and turns go is decided by `context/compaction.py`, purely; here is what needs the run around it: the
server's own counts, the model that writes a summary, and the event that puts it all on record.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from perstack.context.compaction import SUMMARY, SUMMARY_ID, Plan, Room, media_only, plan
from perstack.context.compaction_summary import ASK, summary_text
from perstack.context.elision import as_it_was, left_out
from perstack.context.occupancy import Occupancy, messages_tokens, text_tokens, tools_tokens
from perstack.core.errors import TOO_LONG, ProviderError
from perstack.core.experts import ContextSpec
from perstack.core.json import Json
from perstack.core.messages import Message, ModelReply, TextPart, ToolDefinition, UserMessage
from perstack.core.usage import Usage
from perstack.runtime.drafts import Draft, Stamp
from perstack.runtime.rules import Rules
from perstack.runtime.state import RunState
from perstack.runtime.wire import int_of, message_json, object_of, objects_of

# Asks the run's model for a reply to these messages. Raises: ProviderError, BudgetExceeded.
AskModel = Callable[[tuple[Message, ...], int], Awaitable[ModelReply]]
SUMMARY_TOKENS = 4096
_AFTER = 0.5  # of what a call may hold is left after a compaction, so that the next one is far away
_AFTER_REFUSAL = 0.5  # of what was refused
_LEAST_GAIN = 0.1  # of what a call may hold: for less, a prefix that caches know is not given up
_REFUSED = 0.9  # of what was refused is taken to be too much from then on
_HOPELESS = 1.25  # times the window: an estimate may be that wrong


@dataclass(slots=True)
class _Meter:
    """The estimate of a history, added up as it grows."""

    system: str = ""
    left_out: tuple[int, int] = (0, 0)
    count: int = 0
    tokens: int = 0

    def read(self, state: RunState) -> int:
        """Tokens of the system prompt and all messages."""
        left_out = (len(state.outputs), len(state.dropped))
        if self.system is not state.system or self.left_out != left_out or len(state.history) < self.count:
            self.system, self.left_out = state.system, left_out
            self.count, self.tokens = 0, text_tokens(state.system)
        self.tokens += messages_tokens(state.history.after(self.count))
        self.count = len(state.history)
        return self.tokens


def compaction_sentence(draft: Draft, expert: str) -> str:
    """One sentence for people about a compaction."""
    told, until = draft.payload, int_of(draft.payload.get("until"))
    before = int_of(object_of(told.get("occupancy")).get("tokens"))
    outputs = len(objects_of(told.get("elided")))
    what = f"{outputs} tool outputs were left out" + (f" and {until - 1} messages summarised" if until else "")
    return f"{expert}: to save room in its context, {what}: {before:,} tokens became {int_of(told['afterTokens']):,}"


class ContextKeeper:
    """For one run. `tool_tokens`, where it is given, says what the tools hold (a replay does not know them all)."""

    def __init__(
        self,
        rules: Rules,
        spec: ContextSpec,
        ask: AskModel | None,
        tool_tokens: Callable[[RunState], int | None] | None = None,
    ) -> None:
        """`ask` writes summaries; None for a provider that is no language model: then facts alone are kept."""
        self._rules = rules
        self._spec = spec
        self._ask = ask if spec.summary == "model" else None
        self._tool_tokens = tool_tokens
        self._meter = _Meter()
        self._tools: tuple[Sequence[ToolDefinition], int] = ((), 0)

    def occupancy(self, state: RunState, tools: Sequence[ToolDefinition]) -> Occupancy:
        """What the next call will hold: what the server counted last, its reply, and an estimate of what came since."""
        held = self._held_by(state, tools)
        if state.measured:
            since = messages_tokens(state.history.after(state.measured_messages))
            return Occupancy(state.measured + since, self._rules.context_window, measured=True, tools=held)
        return Occupancy(self._meter.read(state) + held, self._rules.context_window, tools=held)

    def allowed(self, state: RunState) -> int:
        """How many tokens a call may hold beside its reply; 0 where that is not known."""
        window = self._rules.context_window
        known = window - min(self._rules.reply_tokens, window // 2) if window else 0
        refused = int(state.limit * _REFUSED)
        return min(known, refused) if known and refused else known or refused

    def is_warning(self, state: RunState, now: Occupancy) -> bool:
        """Whether a call holds so much that a compaction is near."""
        allowed = self.allowed(state)
        return bool(allowed) and now.tokens >= self._spec.warn_at * allowed

    async def before_call(self, state: RunState, tools: Sequence[ToolDefinition], stamp: Stamp) -> Draft | None:
        """The compaction that is due before the next call; None where none is.

        Raises: ProviderError where the task alone is longer than the model can read; BudgetExceeded.
        """
        now, allowed = self.occupancy(state, tools), self.allowed(state)
        if not allowed or now.tokens < self._spec.compact_at * allowed:
            return None
        chosen = self._plan(state, now, allowed * _AFTER)
        after = chosen.tokens + self._fixed(state, now)
        window = self._rules.context_window
        if window and after > _HOPELESS * window and now.tokens > _HOPELESS * window:
            raise ProviderError(
                f"the task and the tools hold about {after:,} tokens, and the model reads {window:,}",
                hint="Shorten the task, give the expert fewer tools, or use a model with a larger context window.",
                kind=TOO_LONG,
            )
        if not chosen or (now.tokens <= allowed and now.tokens - after < _LEAST_GAIN * allowed):
            return None
        return await self._draft(state, now, chosen, "threshold", stamp)

    async def after_refusal(
        self, state: RunState, tools: Sequence[ToolDefinition], stamp: Stamp, *, reason: str, why: str = ""
    ) -> Draft | None:
        """The compaction after the API refused a call as too long (`refused`) or for its media; None: nothing is left.

        `why` is what the API said.

        Raises: BudgetExceeded.
        """
        now = self.occupancy(state, tools)
        if reason == "media":
            chosen = media_only(state.history.messages(), len(state.outputs) + 1, why)
        else:
            allowed = self.allowed(state)
            chosen = self._plan(state, now, _AFTER_REFUSAL * min(now.tokens, allowed or now.tokens))
        if not chosen:
            return None
        draft = await self._draft(state, now, chosen, reason, stamp)
        return replace(draft, payload={**draft.payload, "refusal": why}) if why else draft

    def _held_by(self, state: RunState, tools: Sequence[ToolDefinition]) -> int:
        known = self._tool_tokens(state) if self._tool_tokens else None
        if known is not None:
            return known
        if self._tools[0] is not tools:
            self._tools = (tools, tools_tokens(tools))
        return self._tools[1]

    def _fixed(self, state: RunState, now: Occupancy) -> int:
        return text_tokens(state.system) + now.tools

    def _plan(self, state: RunState, now: Occupancy, target: float) -> Plan:
        """In estimated tokens: where the server has counted more than the estimate, the target shrinks with it."""
        estimated = self._meter.read(state) + now.tools
        scale = max(1.0, now.tokens / max(estimated, 1))
        return plan(
            state.history.messages(), Room(int(target / scale), self._fixed(state, now), len(state.outputs) + 1)
        )

    async def _draft(self, state: RunState, now: Occupancy, chosen: Plan, reason: str, stamp: Stamp) -> Draft:
        payload: dict[str, Json] = {"reason": reason, "occupancy": now.to_json(), "until": chosen.until}
        payload["elided"] = [
            {"id": one.handle, "messageId": one.message_id, "toolCallId": one.call_id, "note": one.note}
            for one in chosen.elisions
        ]
        after = chosen.tokens + self._fixed(state, now)
        usage, new = Usage(), list[Json]()
        if chosen.until:
            words, usage, told = await self._words(state, now, reason)
            payload |= told
            text = self._summary(state, chosen, words, int(SUMMARY * max(now.tokens, self.allowed(state)) * _AFTER))
            new = [message_json(UserMessage(f"{stamp.id}{SUMMARY_ID}", (TextPart(text),)))]
            after += text_tokens(text)
        payload |= {"newMessages": new, "usage": usage.to_json(), "afterTokens": after}
        if reason == "refused":
            payload["limit"] = now.tokens
        return Draft("compactContext", payload)

    async def _words(self, state: RunState, now: Occupancy, reason: str) -> tuple[str, Usage, dict[str, Json]]:
        """The model's own summary, where there is one to ask and room to ask it; its failure costs the words only."""
        window = self._rules.context_window
        most = min(SUMMARY_TOKENS, window // 8)
        fits = bool(window) and now.tokens + text_tokens(ASK) + most <= window
        if self._ask is None or reason != "threshold" or not fits:
            return "", Usage(), {"by": "rules"}
        question = UserMessage(f"{state.checkpoint_id}.ask", (TextPart(ASK),))
        try:
            reply = await self._ask((*state.history.messages(), question), most)
        except ProviderError as error:
            return "", Usage(), {"by": "rules", "problem": error.message}
        words = "".join(part.text for part in reply.contents if isinstance(part, TextPart)).strip()
        return words, reply.usage, {"by": "model", "words": words}

    def _summary(self, state: RunState, chosen: Plan, words: str, tokens: int) -> str:
        messages = state.history.messages()
        known = left_out(state.outputs, messages, chosen.elisions)
        gone = [one for one in messages[1 : chosen.until] if not one.id.endswith(SUMMARY_ID)]
        dropped = as_it_was((*state.dropped.messages(), *gone), known)
        handles = {(one.message_id, one.result.id): handle for handle, one in known.items()}
        return summary_text(dropped, handles, tokens=tokens, words=words)
