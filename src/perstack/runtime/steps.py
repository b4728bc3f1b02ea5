"""One run's loop: asks the machine what has to happen, does it, appends the event. Knows no other run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import anyio

from perstack.core.contracts import Provider
from perstack.core.errors import NO_MEDIA, TOO_LONG, PerstackError, ProviderError
from perstack.core.json import JsonObject
from perstack.core.messages import (
    Message,
    ModelReply,
    ModelRequest,
    ToolCall,
    ToolDefinition,
    ToolResult,
    Trouble,
    TroubleKind,
)
from perstack.core.usage import Usage
from perstack.providers.facts import Traits
from perstack.runtime.budget import TokenBudget
from perstack.runtime.compacting import ContextKeeper, compaction_sentence
from perstack.runtime.concurrency import in_order
from perstack.runtime.continuation import LOST
from perstack.runtime.decisions import Failure, decide_failure, decide_reply, decide_results, stop_by_error
from perstack.runtime.delegation import ChildEnd, child_result, last_step, total_usage
from perstack.runtime.drafts import Draft, Stamp, start_again, start_generation, start_tool_call
from perstack.runtime.equipment import Equipment
from perstack.runtime.journal import Journal
from perstack.runtime.machine import AskModel, Emit, Halt, RunDelegates, RunTools, next_effect
from perstack.runtime.replies import storable
from perstack.runtime.request import RunRequest
from perstack.runtime.results import answer_troubles, error_result, readable, remaining_todos
from perstack.runtime.rules import Rules
from perstack.runtime.state import Phase, RunState
from perstack.runtime.streaming import DeltaRelay

_COMPACTIONS = 3  # of one step, after refusals
_NO_LANGUAGE_MODEL = frozenset({"search", "scripted"})
_GRACE_S = 0.2  # a provider that keeps the limit itself can say better what it waited for


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a run's loop works with. `announce` tells that a segment (by run id) begins.

    `parallel` is how many delegates may run at once; `traits` is what the model can do.
    """

    provider: Provider
    tokens: TokenBudget
    journal: Journal
    equipment: Equipment
    rules: Rules
    request: RunRequest
    delegate: Callable[[RunState, ToolCall], Awaitable[ChildEnd]]
    announce: Callable[[str], None]
    parallel: int
    traits: Traits = field(default_factory=Traits)


class RunLoop:
    """Drives one run from a state to its end. Use once."""

    def __init__(self, around: Surroundings, state: RunState) -> None:
        self._around = around
        self.state = state
        self.failure: PerstackError | None = None
        self._warned = False
        asks = None if around.provider.name in _NO_LANGUAGE_MODEL else self._summarise
        self._keeper = ContextKeeper(around.rules, around.request.context, asks, around.request.tool_tokens)

    async def run(self) -> RunState:
        """Loop until the run has stopped for good; the state it ended in.

        `failure` is the error that ended it, where one did that is nothing a model or its limits did: a spent
        budget, or machinery that failed. `stopRunByError` was written then.
        """
        try:
            while await self._advance():
                pass
        except PerstackError as error:
            self.failure = error
            if self.state.phase is not Phase.STOPPED:
                stamp = self._around.journal.stamp()
                self._append(stop_by_error(self.state, self._around.rules, Failure.of(error), stamp), stamp)
        return self.state

    async def _advance(self) -> bool:
        stamp = self._around.journal.stamp()
        effect = next_effect(self.state, self._around.rules, stamp)
        match effect:
            case Emit(draft) if draft.type == "startGeneration":
                await self._start_generation()
            case Emit(draft):
                self._append(draft, stamp)
            case AskModel():
                await self._ask()
            case RunTools():
                await self._run_tools(effect)
            case RunDelegates(calls):
                await self._run_delegates(calls)
            case Halt():
                return False
        return True

    async def _start_generation(self) -> None:
        """The tools as they are now, a compaction where one is due, and how full the model's window will be."""
        around, keeper = self._around, self._keeper
        await around.equipment.refresh(self.state.outputs)
        try:
            due = await keeper.before_call(self.state, self._tools, around.journal.stamp())
        except ProviderError as error:
            stamp = around.journal.stamp()
            self._append(stop_by_error(self.state, around.rules, Failure.of(error), stamp), stamp)
            return
        if due is not None:
            await self._compact(due)
        now = keeper.occupancy(self.state, self._tools)
        told = now.to_json()
        if keeper.is_warning(self.state, now):
            told = {**told, "warning": True}
            if not self._warned:
                self._tell(f"{around.request.expert.key}: {now.tokens:,} of {now.window:,} tokens of context are taken")
        self._warned = "warning" in told
        stamp = around.journal.stamp()
        self._append(start_generation(self.state, told), stamp)

    async def _compact(self, draft: Draft) -> None:
        self._append(draft, self._around.journal.stamp())
        self._tell(compaction_sentence(draft, self._around.request.expert.key))
        await self._around.equipment.refresh(self.state.outputs)

    def _tell(self, message: str) -> None:
        state = self.state
        self._around.journal.tell(state.job_id, state.run_id, "progress", {"message": message})

    async def _ask(self) -> None:
        around = self._around
        for attempt in range(_COMPACTIONS + 1):
            relay = DeltaRelay(partial(around.journal.stream, self.state), around.journal.secrets)
            try:
                reply = await self._generate(relay, self._model_request(self._room()))
            except ProviderError as error:
                relay.close()
                if attempt < _COMPACTIONS and await self._recovered(error):
                    continue
                stamp = around.journal.stamp()
                self._append(decide_failure(self.state, around.rules, Failure.of(error), stamp), stamp)
                return
            break
        relay.finish(reply)
        self._count(reply)
        stamp = around.journal.stamp()
        self._append(decide_reply(self.state, around.rules, reply, stamp), stamp)

    async def _recovered(self, error: ProviderError) -> bool:
        """Whether the history could be made one that the model may take, after it was refused."""
        reason = {TOO_LONG: "refused", NO_MEDIA: "media"}.get(error.kind)
        if reason is None:
            return False
        kind = TroubleKind.TOO_LONG if reason == "refused" else TroubleKind.MEDIA
        self._note((Trouble(kind, f"the call was refused: {error.message}"),))
        stamp = self._around.journal.stamp()
        draft = await self._keeper.after_refusal(self.state, self._tools, stamp, reason=reason, why=error.message)
        if draft is not None:
            await self._compact(draft)
        return draft is not None

    async def _summarise(self, messages: tuple[Message, ...], tokens: int) -> ModelReply:
        """A reply that is no step of the run: its usage is counted, its text goes nowhere by itself.

        Raises: ProviderError; BudgetExceeded.
        """
        around = self._around
        room = min(self._room(), tokens + around.request.reasoning_budget)
        request = replace(self._model_request(room), messages=messages)
        reply = await self._generate(DeltaRelay(lambda _kind, _payload: None), request)
        self._count(reply)
        return reply

    def _count(self, reply: ModelReply) -> None:
        """What the reply used, and one event for everything that was put right in it."""
        around, repairs = self._around, sum(one.count for one in reply.troubles)
        self._note(reply.troubles)
        model, expert = reply.asked or around.request.model, around.request.expert.key
        around.tokens.add(reply.usage, model, repairs=repairs, expert=expert)

    def _note(self, troubles: Sequence[Trouble]) -> None:
        """Put on record, and count, what is no end of the run."""
        for one in troubles:
            told: JsonObject = {"message": one.sentence, "kind": one.kind.value, "count": one.count}
            self._around.journal.stream(self.state, "repairReply", told)
        self._around.tokens.note(troubles)

    @property
    def _tools(self) -> tuple[ToolDefinition, ...]:
        return self._around.equipment.toolbox.definitions

    def _room(self) -> int:
        """How many tokens the next reply may have, within what the model can write and the job may still use.

        Raises: BudgetExceeded before a call that would exceed the job's budget.
        """
        around, last = self._around, self.state.step_usage
        around.tokens.check()
        reading = self._keeper.occupancy(self.state, self._tools).tokens
        room = around.tokens.room(reading, around.rules.reply_tokens)
        cached = min(reading, last.cached_input_tokens)
        room = around.tokens.affordable(around.request.model, Usage(reading, 0, cached_input_tokens=cached), room)
        around.tokens.check(around.request.model, Usage(reading, room, cached_input_tokens=cached))
        return room

    async def _generate(self, relay: DeltaRelay, request: ModelRequest) -> ModelReply:
        """One reply, within the time it may take, whatever the provider does.

        Raises: ProviderError.
        """
        with anyio.move_on_after(request.timeout_s + _GRACE_S):
            return storable(await self._around.provider.generate(request, relay))
        raise ProviderError(f"Timeout: no complete reply within {request.timeout_s * 1000:,.0f} ms", retryable=True)

    def _model_request(self, room: int) -> ModelRequest:
        request = self._around.request
        return ModelRequest(
            model=request.model,
            system=self.state.system,
            messages=self.state.history.messages(),
            tools=self._tools,
            timeout_s=request.timeout_s,
            max_output_tokens=room,
            reasoning_budget=request.reasoning_budget,
            reasoning=self._around.traits.reasoning or "",
            hosted=request.expert.provider_tools,
            hosted_options=request.expert.provider_tool_options,
            run_id=self.state.origin_run_id,
        )

    async def _run_tools(self, effect: RunTools) -> None:
        """Run a reply's calls. A call that was begun before (by a process that has ended) is not made again."""
        toolbox, lost = self._around.equipment.toolbox, self.state.started
        results = [*(error_result(call, LOST) for call in effect.calls if call.id in lost), *effect.refused]
        for batch in toolbox.batches([call for call in effect.calls if call.id not in lost]):
            for call in batch:
                if not toolbox.is_repeatable(call):
                    self._begin(call, results)
                    results = []
            answered = await toolbox.run(batch)
            self._note(answer_troubles(answered, toolbox.routes))
            results += [self._readable(result) for result in answered]
        completed = False
        if effect.completion is not None:
            claim, completed = await self._claim(effect.completion, results)
            results.append(claim)
        stamp = self._around.journal.stamp()
        self._append(decide_results(self.state, self._around.rules, results, stamp, completed=completed), stamp)

    def _readable(self, result: ToolResult) -> ToolResult:
        traits = self._around.traits
        return readable(result, images=traits.images, pdf=traits.pdf)

    def _begin(self, call: ToolCall, results: Sequence[ToolResult]) -> None:
        """Put on record that a call is about to be made, and the results before it."""
        self._append(start_tool_call(call, results), self._around.journal.stamp())

    async def _claim(self, call: ToolCall, fresh: Sequence[ToolResult]) -> tuple[ToolResult, bool]:
        """The answer to a claim of completion, and whether it ends the run."""
        others = [result for result in (*self.state.partial, *fresh) if result.tool_name != call.tool_name]
        if any(result.is_error for result in others):
            why = "Not completed: another call of the same reply failed. Look at its result first."
            return error_result(call, why), False
        (answer,) = await self._around.equipment.toolbox.run([call])
        return answer, not answer.is_error and not remaining_todos(answer)

    async def _run_delegates(self, calls: tuple[ToolCall, ...]) -> None:
        around = self._around
        jobs = [partial(around.delegate, self.state, call) for call in calls]
        ends = await in_order(jobs, limit=around.parallel)
        run_id, step = around.journal.new_id(), last_step(self.state, ends) + 1
        around.announce(run_id)
        stamp = around.journal.stamp()
        results = [child_result(end, around.rules) for end in ends]
        draft = start_again(
            self.state, around.rules.expert, stamp, segment=(run_id, step), results=results, usage=total_usage(ends)
        )
        self.state = around.journal.append_as(self.state, draft, stamp, run_id=run_id, step=step)

    def _append(self, draft: Draft, stamp: Stamp) -> None:
        self.state = self._around.journal.append(self.state, draft, stamp)
