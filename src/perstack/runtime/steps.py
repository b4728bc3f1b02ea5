"""One run's loop: asks the machine what has to happen, does it, appends the event. Knows no other run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from perstack.core.contracts import Provider
from perstack.core.errors import PerstackError, ProviderError
from perstack.core.messages import ModelRequest, ToolCall, ToolResult
from perstack.runtime.budget import TokenBudget
from perstack.runtime.concurrency import in_order
from perstack.runtime.decisions import decide_failure, decide_reply, decide_results, stop_by_error
from perstack.runtime.delegation import ChildEnd, child_result, last_step, total_usage
from perstack.runtime.drafts import Draft, Stamp, start_again
from perstack.runtime.journal import Journal
from perstack.runtime.machine import AskModel, Emit, Halt, RunDelegates, RunTools, next_effect
from perstack.runtime.request import RunRequest
from perstack.runtime.results import error_result, remaining_todos
from perstack.runtime.rules import Rules
from perstack.runtime.state import Phase, RunState
from perstack.runtime.streaming import DeltaRelay
from perstack.runtime.toolbox import Toolbox

PARALLEL_DELEGATES = 8
_ANSWER_TOKENS = 8192
LOST = (
    "The run was interrupted before the result of this call was recorded. It may or may not have taken effect: "
    "check before you call it again."
)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a run's loop works with. `announce` tells that a segment (by run id) begins."""

    provider: Provider
    tokens: TokenBudget
    journal: Journal
    toolbox: Toolbox
    rules: Rules
    request: RunRequest
    delegate: Callable[[RunState, ToolCall], Awaitable[ChildEnd]]
    announce: Callable[[str], None]


class RunLoop:
    """Drives one run from a state to its end. `restored` where the state comes from a log, not from this process."""

    def __init__(self, around: Surroundings, state: RunState, *, restored: bool = False) -> None:
        self._around = around
        self._restored = restored
        self.state = state

    async def run(self) -> RunState:
        """Loop until the run has stopped for good; the state it ended in.

        Raises: BudgetExceeded and InfrastructureErrors, after `stopRunByError` was written.
        """
        try:
            while await self._advance():
                pass
        except PerstackError as error:
            if self.state.phase is not Phase.STOPPED:
                stamp = self._around.journal.stamp()
                told = (type(error).__name__, error.message)
                self._append(stop_by_error(self.state, self._around.rules, told, stamp), stamp)
            raise
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
        self._restored = self._restored and not isinstance(effect, RunTools)
        return True

    async def _ask(self) -> None:
        around = self._around
        around.tokens.check()
        await around.toolbox.refresh()
        relay = DeltaRelay(partial(around.journal.stream, self.state))
        try:
            reply = await around.provider.generate(self._model_request(), relay)
        except ProviderError as error:
            relay.close()
            stamp = around.journal.stamp()
            told = (type(error).__name__, error.message, error.retryable)
            self._append(decide_failure(self.state, around.rules, told, stamp), stamp)
            return
        relay.finish(reply)
        around.tokens.add(reply.usage)
        stamp = around.journal.stamp()
        self._append(decide_reply(self.state, around.rules, reply, stamp), stamp)

    def _model_request(self) -> ModelRequest:
        request = self._around.request
        return ModelRequest(
            model=request.model,
            system=self.state.system,
            messages=self.state.history.messages(),
            tools=self._around.toolbox.definitions,
            timeout_s=request.timeout_s,
            max_output_tokens=_ANSWER_TOKENS + request.reasoning_budget,
            reasoning_budget=request.reasoning_budget,
            run_id=self.state.origin_run_id,
        )

    async def _run_tools(self, effect: RunTools) -> None:
        toolbox = self._around.toolbox
        lost = [call for call in effect.calls if self._restored and not toolbox.is_safe_again(call)]
        results = [*(error_result(call, LOST) for call in lost), *effect.refused]
        results += await toolbox.run([call for call in effect.calls if call not in lost])
        completed = False
        if effect.completion is not None:
            claim, completed = await self._claim(effect.completion, results)
            results.append(claim)
        stamp = self._around.journal.stamp()
        self._append(decide_results(self.state, self._around.rules, results, stamp, completed=completed), stamp)

    async def _claim(self, call: ToolCall, others: list[ToolResult]) -> tuple[ToolResult, bool]:
        """The answer to a claim of completion, and whether it ends the run."""
        if any(result.is_error for result in others):
            why = "Not completed: another call of the same reply failed. Look at its result first."
            return error_result(call, why), False
        (answer,) = await self._around.toolbox.run([call])
        return answer, not answer.is_error and not remaining_todos(answer)

    async def _run_delegates(self, calls: tuple[ToolCall, ...]) -> None:
        around = self._around
        jobs = [partial(around.delegate, self.state, call) for call in calls]
        ends = await in_order(jobs, limit=PARALLEL_DELEGATES)
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
