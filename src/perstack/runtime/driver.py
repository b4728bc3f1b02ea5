"""The driver: runs an expert and its delegates to their end. Decides nothing about the loop itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from perstack.core.contracts import Provider
from perstack.core.errors import BudgetExceeded, InvariantBroken, PerstackError, SandboxUnavailable
from perstack.core.events import EventSink
from perstack.core.experts import Expert
from perstack.core.json import JsonObject
from perstack.core.messages import TextPart, ToolCall, UserMessage
from perstack.core.usage import ModelUsage
from perstack.infrastructure.secrets import Redactor
from perstack.providers.facts import Traits
from perstack.providers.hosted import not_sent
from perstack.runtime.announcement import initialize_runtime
from perstack.runtime.budget import TokenBudget
from perstack.runtime.continuation import (
    UNFINISHED,
    Opening,
    answering,
    at_checkpoint,
    first_step,
    newest,
    past_calls,
    require_input,
    require_unfinished,
    saying,
)
from perstack.runtime.decisions import Failure, stop_by_error
from perstack.runtime.delegation import ChildEnd, child_request, failure_of, lineage, parallel_at, refusal
from perstack.runtime.drafts import branch_off, start_again, start_fresh
from perstack.runtime.equipment import Equipment, Voice, prompt_of
from perstack.runtime.fold import JobState
from perstack.runtime.journal import Journal
from perstack.runtime.request import MakeSkills, RunOutcome, RunRequest
from perstack.runtime.rules import Rules
from perstack.runtime.state import DelegatedBy, Phase, RunState
from perstack.runtime.steps import RunLoop, Surroundings

__all__ = ["RunOutcome", "RunRequest", "Runner", "TokenBudget"]

# These end the whole job. Anything else that happens to a delegate is told to its caller.
_FATAL = (BudgetExceeded, SandboxUnavailable, InvariantBroken)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a run stands: how deep, started by whom, and what a log already knows of the job."""

    depth: int = 0
    delegated_by: DelegatedBy | None = None
    job: JobState | None = None


@dataclass(frozen=True, slots=True)
class _End:
    """How a run ended, and the error that ended it where that was neither a model nor its limits."""

    state: RunState
    error: PerstackError | None = None


class Runner:
    """Runs experts of one job against one provider. Several runs may be under way at the same time."""

    def __init__(  # noqa: PLR0913 – the fixed entry point; all but two by keyword
        self,
        provider: Provider,
        sink: EventSink,
        *,
        new_id: Callable[[], str],
        now_ms: Callable[[], int],
        tokens: TokenBudget | None = None,
        skills_for: MakeSkills | None = None,
        model_for: Callable[[Expert], str] | None = None,
        traits_for: Callable[[str], Traits] | None = None,
        secrets: Redactor | None = None,
    ) -> None:
        """`skills_for` makes, unopened, the skills of a delegate and of a request that brings none.

        They are opened and closed here, with the run. `model_for` names a delegate's model (tiers), else its caller's.
        `traits_for` says what a model can do, by its name. `secrets` are taken out of all that is said.
        """
        self._provider = provider
        self._journal = Journal(sink, new_id, now_ms, secrets)
        self._tokens = tokens or TokenBudget()
        self._skills_for = skills_for
        self._model_for = model_for
        self._traits_for = traits_for or _unknown

    @property
    def cost_usd(self) -> float | None:
        """US dollars of all runs so far; None where a price is not known. What a resumed job had used before is
        counted at the price of the model that goes on."""
        cost = self._tokens.cost
        return None if cost is None else float(cost)

    @property
    def models(self) -> tuple[ModelUsage, ...]:
        """What each model used in all runs so far, delegates included."""
        return self._tokens.models

    async def run(self, request: RunRequest) -> RunOutcome:
        """Run one expert to its end. A run that a model or its limits stopped is an outcome, not an exception.

        Raises: BudgetExceeded, InfrastructureError (the machinery of a tool), UserError (no query, tools that do not
        fit).
        """
        require_input(request.query)
        return await self._carried_out(request, _Place())

    async def resume(self, request: RunRequest, job: JobState) -> RunOutcome:
        """Go on with the newest top-level run of a folded job, from wherever its log ends.

        A call that was begun and has no result in the log is not made again, unless it is safe to repeat: the model
        is told.
        Raises: UserError where the job holds no run of this expert that can go on; else as `run`.
        """
        found = newest(request, job)
        require_unfinished(job, found)
        self._tokens.add(job.usage, request.model, replies=0, expert=request.expert.key)
        return await self._carried_out(request, _Place(job=job), found)

    async def proceed(self, request: RunRequest, job: JobState) -> RunOutcome:
        """Say `request.query` to the newest top-level run of a job, in its own history. One that crashed has ended.

        Calls without a result are answered as interrupted first.
        Raises: UserError where the job holds no run of this expert, or it waits for an answer; else as `run`.
        """
        found = newest(request, job)
        opening = saying(job, found, request.query)
        if found.phase is not Phase.STOPPED:
            found = self._stop(request, found, Failure("Interrupted", "The process ended before the run did."))
        return await self._go_on(request, job, found, opening)

    async def branch(self, request: RunRequest, job: JobState, checkpoint_id: str) -> RunOutcome:
        """Say `request.query` to a run as it was at an older checkpoint. What came after it stays on record.

        Raises: UserError where the checkpoint is unknown, a delegate's or another expert's; else as `proceed`.
        """
        found = at_checkpoint(request, job, checkpoint_id)
        return await self._go_on(request, job, found, saying(job, found, request.query, branch=checkpoint_id))

    async def answer(self, request: RunRequest, job: JobState, text: str, *, checkpoint_id: str = "") -> RunOutcome:
        """Answer the question a run has stopped at (the newest, or one at a checkpoint); the next may stop it again.

        `text` is the answer to the first question, or the JSON form that names the call.
        Raises: UserError where that question is not open; else as `run`.
        """
        found = at_checkpoint(request, job, checkpoint_id) if checkpoint_id else newest(request, job)
        return await self._go_on(request, job, found, answering(job, found, text, branch=checkpoint_id))

    async def _go_on(self, request: RunRequest, job: JobState, found: RunState, opening: Opening) -> RunOutcome:
        self._tokens.add(job.usage, request.model, replies=0, expert=request.expert.key)
        return await self._carried_out(request, _Place(), found, opening)

    async def _carried_out(
        self, request: RunRequest, place: _Place, found: RunState | None = None, opening: Opening | None = None
    ) -> RunOutcome:
        """A top-level run; what the job has used until its end is put on record, unless it was cancelled."""
        end = await self._execute(request, place, found, opening)
        self._report_usage(end.state)
        used = self._tokens
        return replace(
            _outcome(end, request),
            cost_usd=self.cost_usd,
            models=self.models,
            experts=used.experts,
            troubles=used.troubles,
        )

    def _report_usage(self, state: RunState) -> None:
        models, troubles = self.models, self._tokens.troubles
        if models or troubles:
            told: JsonObject = {
                "usage": self._tokens.usage.to_json(),
                "costUsd": self.cost_usd,
                "models": [one.to_json() for one in models],
                "experts": [one.to_json() for one in self._tokens.experts],
                "repairs": sum(one.repairs for one in models),
                "troubles": dict(troubles),
            }
            self._journal.tell(state.job_id, state.run_id, "reportUsage", told)

    async def _execute(
        self, request: RunRequest, place: _Place, found: RunState | None = None, opening: Opening | None = None
    ) -> _End:
        """One run from its start, or from the state `found` in a log, there possibly with a new segment."""
        request = replace(request, expert=request.experts.get(request.expert.key, request.expert))
        state = found or self._unborn(request, place)
        voice = Voice(self._journal, state.job_id, self._journal.new_id() if opening else state.run_id)
        self._announce(request, voice.run_id, opening, fresh=found is None)
        make = request.skills_for or self._skills_for
        equipment = Equipment(request, make, voice, is_delegate=state.delegated_by is not None)
        try:
            try:
                await equipment.open(past_calls(found) if found else ())
            except PerstackError as error:
                return _End(self._stillborn(request, state, error) if found is None else state, error)
            loop = self._loop(request, place, state, equipment, voice)
            if found is None:
                loop.state = self._start(request, state)
            elif opening is not None:
                loop.state = self._open_segment(request, found, opening, voice.run_id)
            return _End(await loop.run(), loop.failure)
        finally:
            await equipment.close()

    def _unborn(self, request: RunRequest, place: _Place) -> RunState:
        return RunState(
            job_id=request.job_id,
            run_id=self._journal.new_id(),
            expert_key=request.expert.key,
            step=request.first_step,
            delegated_by=place.delegated_by,
        )

    def _loop(self, request: RunRequest, place: _Place, state: RunState, equipment: Equipment, voice: Voice) -> RunLoop:
        traits = self._traits_for(request.model)
        rules = Rules(
            request.expert,
            request.max_steps,
            request.max_retries,
            equipment.toolbox.routes,
            traits.window or 0,
            traits.reply_limit(request.reasoning_budget),
        )

        def announce(run_id: str) -> None:
            voice.run_id = run_id
            self._announce(request, run_id)

        around = Surroundings(
            provider=self._provider,
            tokens=self._tokens,
            journal=self._journal,
            equipment=equipment,
            rules=rules,
            request=request,
            delegate=partial(self._delegate, request, rules, place),
            announce=announce,
            parallel=parallel_at(place.depth),
            traits=traits,
        )
        return RunLoop(around, state)

    async def _delegate(
        self, request: RunRequest, rules: Rules, place: _Place, caller: RunState, call: ToolCall
    ) -> ChildEnd:
        """Run one delegate to its end. Its failure is a result, not an exception, unless nothing can go on.

        Raises: BudgetExceeded, SandboxUnavailable, InvariantBroken.
        """
        known = place.job.child(caller.run_id, call.id) if place.job else None
        expert = request.experts[rules.routes[call.tool_name].expert_key]
        model = self._model_for(expert) if self._model_for else request.model
        child = child_request(request, expert, call, model=model, first_step=caller.step + 1)
        inside = _Place(place.depth + 1, lineage(caller, request.expert, call), place.job if known else None)
        why = refusal(caller, rules, place.depth)
        if known is not None and known.status not in UNFINISHED:
            end = _End(known)
        elif why and known is None:
            end = _End(self._stillborn(child, self._unborn(child, inside), NotStarted(why)))
        else:
            end = await self._execute(child, inside, known)
        if isinstance(end.error, _FATAL):
            raise end.error
        error = end.error.message if end.error else failure_of(end.state)
        return ChildEnd(call, end.state.text, error, end.state.usage, end.state.step)

    def _open_segment(self, request: RunRequest, found: RunState, opening: Opening, run_id: str) -> RunState:
        stamp = self._journal.stamp()
        said = UserMessage(stamp.id, (TextPart(opening.said),)) if opening.said else None
        segment = (run_id, first_step(found))
        draft = start_again(
            found, request.expert, stamp, segment=segment, results=opening.results, usage=opening.usage, said=said
        )
        if opening.branch:
            draft = branch_off(draft, opening.branch)
        return self._journal.append_as(found, draft, stamp, run_id=run_id, step=segment[1])

    def _start(self, request: RunRequest, state: RunState) -> RunState:
        stamp = self._journal.stamp()
        system = prompt_of(request.expert, request.experts, is_delegate=state.delegated_by is not None)
        query = UserMessage(stamp.id, (TextPart(request.query),))
        draft = start_fresh(state, request.expert, stamp, system=system, query=query)
        return self._journal.append(state, draft, stamp)

    def _stillborn(self, request: RunRequest, state: RunState, error: PerstackError) -> RunState:
        """A run that ended before its first step leaves its two events all the same."""
        stamp = self._journal.stamp()
        query = UserMessage(stamp.id, (TextPart(request.query),))
        draft = start_fresh(state, request.expert, stamp, system=request.expert.instruction, query=query)
        return self._stop(request, self._journal.append(state, draft, stamp), Failure.of(error))

    def _stop(self, request: RunRequest, state: RunState, failure: Failure) -> RunState:
        stamp = self._journal.stamp()
        return self._journal.append(state, stop_by_error(state, Rules(request.expert), failure, stamp), stamp)

    def _announce(
        self, request: RunRequest, run_id: str, opening: Opening | None = None, *, fresh: bool = False
    ) -> None:
        """`initializeRuntime`, once a segment."""
        query = request.query if fresh else opening.said if opening else ""
        answer, traits = opening.answer if opening else None, self._traits_for(request.model)
        payload = initialize_runtime(request, query=query, answer=answer, traits=traits)
        self._journal.tell(request.job_id, run_id, "initializeRuntime", payload)
        expert, provider = request.expert, self._provider.name
        if fresh and (missing := not_sent(provider, request.model, expert.provider_tools)):
            names = ", ".join(missing)
            message = (
                f"{expert.key}: {provider} has no tool {names} of its own for {request.model}: it is not asked for"
            )
            self._journal.tell(request.job_id, run_id, "progress", {"message": message})


def _unknown(_model: str) -> Traits:
    return Traits()


class NotStarted(PerstackError):
    """A delegate was not started because its caller's limits leave no room."""


def _outcome(end: _End, request: RunRequest) -> RunOutcome:
    """Raises: the error that ended the run, if one did."""
    if end.error is not None:
        raise end.error
    state = end.state
    return RunOutcome(
        status=state.status.value,
        text=state.text,
        usage=state.usage,
        steps=state.step - request.first_step + 1,
        run_id=state.origin_run_id,
        error=state.error.message if state.error else "",
    )
