"""One run's loop: asks the machine what has to happen, does it, appends the event. Knows no other run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

import anyio

from perstack.core.contracts import Provider
from perstack.core.errors import PerstackError, ProviderError
from perstack.core.messages import ModelReply, ModelRequest, ToolCall, ToolResult
from perstack.core.usage import Usage
from perstack.runtime.budget import TokenBudget
from perstack.runtime.concurrency import in_order
from perstack.runtime.continuation import LOST
from perstack.runtime.decisions import Failure, decide_failure, decide_reply, decide_results, stop_by_error
from perstack.runtime.delegation import ChildEnd, child_result, last_step, total_usage
from perstack.runtime.drafts import Draft, Stamp, start_again, start_tool_call
from perstack.runtime.equipment import Equipment
from perstack.runtime.journal import Journal
from perstack.runtime.machine import AskModel, Emit, Halt, RunDelegates, RunTools, next_effect
from perstack.runtime.replies import storable
from perstack.runtime.request import RunRequest
from perstack.runtime.results import error_result, remaining_todos
from perstack.runtime.rules import Rules
from perstack.runtime.state import Phase, RunState
from perstack.runtime.streaming import DeltaRelay

_ANSWER_TOKENS = 8192
_GRACE_S = 0.2  # a provider that keeps the limit itself can say better what it waited for


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a run's loop works with. `announce` tells that a segment (by run id) begins.

    `parallel` is how many delegates may run at once.
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


class RunLoop:
    """Drives one run from a state to its end. Use once."""

    def __init__(self, around: Surroundings, state: RunState) -> None:
        self._around = around
        self.state = state
        self.failure: PerstackError | None = None

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

    async def _ask(self) -> None:
        around = self._around
        room = self._room()
        await around.equipment.refresh()
        relay = DeltaRelay(partial(around.journal.stream, self.state))
        try:
            reply = await self._generate(relay, room)
        except ProviderError as error:
            relay.close()
            stamp = around.journal.stamp()
            self._append(decide_failure(self.state, around.rules, Failure.of(error), stamp), stamp)
            return
        relay.finish(reply)
        around.tokens.add(reply.usage, around.request.model)
        stamp = around.journal.stamp()
        self._append(decide_reply(self.state, around.rules, reply, stamp), stamp)

    def _room(self) -> int:
        """How many tokens the next reply may have. What it reads is at least what the last one read and wrote.

        Raises: BudgetExceeded before a call that would exceed the job's budget.
        """
        around, last = self._around, self.state.step_usage
        wanted = _ANSWER_TOKENS + around.request.reasoning_budget
        around.tokens.check()
        room = around.tokens.room(last.total_tokens, wanted)
        expected = Usage(last.total_tokens, room, cached_input_tokens=last.cached_input_tokens)
        around.tokens.check(around.request.model, expected)
        return room

    async def _generate(self, relay: DeltaRelay, room: int) -> ModelReply:
        """One reply, within the time it may take, whatever the provider does.

        Raises: ProviderError.
        """
        request = self._model_request(room)
        with anyio.move_on_after(request.timeout_s + _GRACE_S):
            return storable(await self._around.provider.generate(request, relay))
        raise ProviderError(f"Timeout: no complete reply within {request.timeout_s * 1000:,.0f} ms", retryable=True)

    def _model_request(self, room: int) -> ModelRequest:
        request = self._around.request
        return ModelRequest(
            model=request.model,
            system=self.state.system,
            messages=self.state.history.messages(),
            tools=self._around.equipment.toolbox.definitions,
            timeout_s=request.timeout_s,
            max_output_tokens=room,
            reasoning_budget=request.reasoning_budget,
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
            results += await toolbox.run(batch)
        completed = False
        if effect.completion is not None:
            claim, completed = await self._claim(effect.completion, results)
            results.append(claim)
        stamp = self._around.journal.stamp()
        self._append(decide_results(self.state, self._around.rules, results, stamp, completed=completed), stamp)

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
