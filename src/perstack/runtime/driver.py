"""The driver: runs an expert and its delegates to their end. Decides nothing about the loop itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial

from perstack.core.contracts import Provider, Skill
from perstack.core.errors import BudgetExceeded, InvariantBroken, PerstackError, SandboxUnavailable, UserError
from perstack.core.events import EventSink
from perstack.core.experts import Expert
from perstack.core.json import Json
from perstack.core.messages import TextPart, ToolCall, ToolResult, UserMessage
from perstack.core.version import __version__
from perstack.runtime.budget import TokenBudget
from perstack.runtime.decisions import stop_by_error
from perstack.runtime.delegation import ChildEnd, lineage, refusal
from perstack.runtime.drafts import start_again, start_fresh
from perstack.runtime.equipment import Voice, close_skills, fill_toolbox, open_skills, prompt_of
from perstack.runtime.fold import JobState
from perstack.runtime.journal import Journal
from perstack.runtime.request import RunOutcome, RunRequest
from perstack.runtime.results import error_result
from perstack.runtime.rules import Rules, query_of
from perstack.runtime.state import DelegatedBy, RunState, RunStatus
from perstack.runtime.steps import LOST, RunLoop, Surroundings

__all__ = ["RunOutcome", "RunRequest", "Runner", "TokenBudget"]

# These end the whole job. Anything else that happens to a delegate is told to its caller.
_FATAL = (BudgetExceeded, SandboxUnavailable, InvariantBroken)
_RESUMABLE = (RunStatus.PROCEEDING, RunStatus.STOPPED_BY_DELEGATE)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a run stands: how deep, started by whom, and what a log already knows of the job."""

    depth: int = 0
    delegated_by: DelegatedBy | None = None
    job: JobState | None = None


@dataclass(frozen=True, slots=True)
class _Opening:
    """How a stopped run goes on: its next segment, the results it waited for, and what is said to it."""

    run_id: str
    step: int
    results: tuple[ToolResult, ...] = ()
    said: str = ""


class Runner:
    """Runs experts of one job against one provider. Several runs may be under way at the same time."""

    def __init__(  # the fixed entry point; all but two by keyword
        self,
        provider: Provider,
        sink: EventSink,
        *,
        new_id: Callable[[], str],
        now_ms: Callable[[], int],
        tokens: TokenBudget | None = None,
        skills_for: Callable[[Expert], Awaitable[tuple[Skill, ...]]] | None = None,
        model_for: Callable[[Expert], str] | None = None,
    ) -> None:
        """`skills_for` makes, unopened, the skills of a delegate and of a request that brings none.

        They are opened and closed here, with the run. `model_for` names a delegate's model (tiers), else its caller's.
        """
        self._provider = provider
        self._journal = Journal(sink, new_id, now_ms)
        self._tokens = tokens or TokenBudget()
        self._skills_for = skills_for
        self._model_for = model_for

    async def run(self, request: RunRequest) -> RunOutcome:
        """Run one expert to its end. A run that a model or its limits stopped is an outcome, not an exception.

        Raises: BudgetExceeded, InfrastructureError (the machinery of a tool), UserError (tools that do not fit).
        """
        return _outcome(await self._execute(request, _Place()), request)

    async def resume(self, request: RunRequest, job: JobState) -> RunOutcome:
        """Go on with the newest top-level run of a folded job, from wherever its log ends.

        A call whose result is not in the log is made again only if it is read-only; of others the model is told.
        Raises: UserError where the job holds no run of this expert that can go on; else as `run`.
        """
        found = _found(request, job)
        if found.status not in _RESUMABLE:
            raise UserError(f"the last run of job {job.job_id} has ended ({found.status.value}); nothing to resume")
        self._tokens.add(job.usage)
        return _outcome(await self._execute(request, _Place(job=job), found), request)

    async def proceed(self, request: RunRequest, job: JobState) -> RunOutcome:
        """Say `request.query` to the newest top-level run of a job that has ended, in its own history.

        Calls that an error left without a result are answered as interrupted first.
        Raises: UserError where the job holds no run of this expert that has ended; else as `run`.
        """
        found = _found(request, job)
        if found.status in (*_RESUMABLE, RunStatus.STOPPED_BY_INTERACTIVE_TOOL):
            raise UserError(
                f"the last run of job {job.job_id} is {found.status.value}, not ended",
                hint="Resume it, or answer its question, first.",
            )
        self._tokens.add(job.usage)
        lost = tuple(error_result(call, LOST) for call in _unanswered(found))
        opening = _Opening(self._journal.new_id(), found.step + 1, lost, request.query)
        return _outcome(await self._execute(request, _Place(), found, opening), request)

    async def answer(self, request: RunRequest, job: JobState, text: str) -> RunOutcome:
        """Answer the question the newest top-level run of a job has stopped at; the next one may stop it again.

        Raises: UserError where no question is open; else as `run`.
        """
        found = _found(request, job)
        if found.status is not RunStatus.STOPPED_BY_INTERACTIVE_TOOL or not found.pending:
            raise UserError(f"job {job.job_id} has no open question ({found.status.value})")
        self._tokens.add(job.usage)
        call = found.pending[0]
        answer = ToolResult(call.id, call.tool_name, (TextPart(text or "(no answer)"),), call.skill_name)
        opening = _Opening(self._journal.new_id(), found.step + 1, (answer,))
        return _outcome(await self._execute(request, _Place(), found, opening), request)

    async def _execute(
        self,
        request: RunRequest,
        place: _Place,
        found: RunState | None = None,
        opening: _Opening | None = None,
    ) -> RunState:
        """One run from its start, or from the state `found` in a log, there possibly with a new segment."""
        state = found or RunState(
            job_id=request.job_id,
            run_id=self._journal.new_id(),
            expert_key=request.expert.key,
            step=request.first_step,
            delegated_by=place.delegated_by,
        )
        voice = Voice(self._journal, state.job_id, opening.run_id if opening else state.run_id)
        self._announce(request, voice.run_id, query=request.query)
        made: tuple[Skill, ...] = ()
        try:
            try:
                if not request.skills and self._skills_for is not None:
                    made = await self._skills_for(request.expert)
                skills = request.skills or made
                await open_skills(skills, voice)
                loop = await self._prepare(request, place, state, skills, voice)
            except PerstackError as error:
                if found is None:
                    self._stillborn(request, state, error)
                raise
            if found is None:
                loop.state = self._start(request, state)
            elif opening is not None:
                loop.state = self._open_segment(request, found, opening)
            return await loop.run()
        finally:
            await close_skills(made, voice)

    async def _prepare(
        self, request: RunRequest, place: _Place, state: RunState, skills: tuple[Skill, ...], voice: Voice
    ) -> RunLoop:
        is_delegate = state.delegated_by is not None
        toolbox = await fill_toolbox(request.expert, request.experts, skills, voice, is_delegate=is_delegate)

        def announce(run_id: str) -> None:
            voice.run_id = run_id
            self._announce(request, run_id)

        rules = Rules(request.expert, request.max_steps, request.max_retries, toolbox.routes)
        around = Surroundings(
            provider=self._provider,
            tokens=self._tokens,
            journal=self._journal,
            toolbox=toolbox,
            rules=rules,
            request=request,
            delegate=partial(self._delegate, request, rules, place),
            announce=announce,
        )
        return RunLoop(around, state, restored=place.job is not None)

    async def _delegate(
        self, request: RunRequest, rules: Rules, place: _Place, caller: RunState, call: ToolCall
    ) -> ChildEnd:
        """Run one delegate to its end. Its failure is a result, not an exception, unless nothing can go on.

        Raises: BudgetExceeded, SandboxUnavailable, InvariantBroken.
        """
        known = place.job.child(caller.run_id, call.id) if place.job else None
        expert = request.experts[rules.routes[call.tool_name].expert_key]
        child = replace(
            request,
            expert=expert,
            model=self._model_for(expert) if self._model_for else request.model,
            query=query_of(call),
            skills=(),
            first_step=caller.step + 1,
        )
        inside = _Place(place.depth + 1, lineage(caller, call), place.job if known else None)
        why = refusal(caller, rules, place.depth)
        try:
            if known is not None and known.status not in _RESUMABLE:
                end = known
            elif why and known is None:
                end = self._refuse(child, inside, why)
            else:
                end = await self._execute(child, inside, known)
        except _FATAL:
            raise
        except PerstackError as error:
            return ChildEnd(call, "", error.message, RunState().usage, child.first_step)
        return ChildEnd(call, end.text, _failure(end), end.usage, end.step)

    def _refuse(self, request: RunRequest, place: _Place, why: str) -> RunState:
        """A delegate that may not start: on the record like any other that failed."""
        state = RunState(
            job_id=request.job_id,
            run_id=self._journal.new_id(),
            expert_key=request.expert.key,
            step=request.first_step,
            delegated_by=place.delegated_by,
        )
        return self._stillborn(request, state, NotStarted(why))

    def _open_segment(self, request: RunRequest, found: RunState, opening: _Opening) -> RunState:
        stamp = self._journal.stamp()
        said = UserMessage(stamp.id, (TextPart(opening.said),)) if opening.said else None
        segment = (opening.run_id, opening.step)
        draft = start_again(found, request.expert, stamp, segment=segment, results=opening.results, said=said)
        return self._journal.append_as(found, draft, stamp, run_id=opening.run_id, step=opening.step)

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
        started = self._journal.append(
            state, start_fresh(state, request.expert, stamp, system=request.expert.instruction, query=query), stamp
        )
        stamp = self._journal.stamp()
        told = (type(error).__name__, error.message)
        return self._journal.append(started, stop_by_error(started, Rules(request.expert), told, stamp), stamp)

    def _announce(self, request: RunRequest, run_id: str, *, query: str = "") -> None:
        """`initializeRuntime`, once a segment."""
        experts: list[Json] = [request.expert.key, *request.expert.delegates]
        payload: dict[str, Json] = {
            "runtimeVersion": __version__,
            "expertName": request.expert.name or request.expert.key,
            "experts": experts,
            "model": request.model,
            "maxSteps": request.max_steps,
            "maxRetries": request.max_retries,
            "timeout": round(request.timeout_s * 1000),
        }
        if query:
            payload["query"] = query
        self._journal.tell(request.job_id, run_id, "initializeRuntime", payload)


class NotStarted(PerstackError):
    """A delegate was not started because its caller's limits leave no room."""


def _found(request: RunRequest, job: JobState) -> RunState:
    """The newest top-level run of a job.

    Raises: UserError where there is none or it is another expert's.
    """
    found = job.latest_run()
    if found is None:
        raise UserError(f"job {job.job_id} has no run to resume")
    if found.expert_key != request.expert.key:
        raise UserError(
            f"job {job.job_id} belongs to expert `{found.expert_key}`, not to `{request.expert.key}`",
            hint=f"Resume it with the expert `{found.expert_key}`.",
        )
    return found


def _unanswered(state: RunState) -> tuple[ToolCall, ...]:
    """Calls of the last reply without a result."""
    answered = {result.id for result in state.partial}
    return tuple(call for call in state.pending if call.id not in answered)


def _failure(end: RunState) -> str:
    """Why a delegate's end is no result; empty where it completed."""
    if end.status is RunStatus.COMPLETED:
        return ""
    return end.error.message if end.error else f"it ended as {end.status.value}"


def _outcome(end: RunState, request: RunRequest) -> RunOutcome:
    return RunOutcome(
        status=end.status.value,
        text=end.text,
        usage=end.usage,
        steps=end.step - request.first_step + 1,
        run_id=end.origin_run_id,
        error=end.error.message if end.error else "",
    )
