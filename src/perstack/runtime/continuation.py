"""How an old job goes on: which of its runs, from where, and with what. Pure; running it is the driver's part.

Only runs at the top of a job can be gone on with: a delegate belongs to its caller, which is told how it ended.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace

from perstack.core.errors import UserError
from perstack.core.messages import TextPart, ToolCall, ToolMessage, ToolResult
from perstack.core.usage import Usage
from perstack.runtime.fold import JobState
from perstack.runtime.request import RunRequest
from perstack.runtime.results import error_result
from perstack.runtime.state import Phase, RunState, RunStatus

UNFINISHED = (RunStatus.PROCEEDING, RunStatus.STOPPED_BY_DELEGATE)
LOST = (
    "The run was interrupted before the result of this call was recorded. It may or may not have taken effect: "
    "check before you call it again."
)
NOT_MADE = "This call was not made: the run was stopped before it."
_UNDEFINED_INPUT = "Input message is undefined"
_UNDEFINED_ANSWER = "Interactive tool call result is undefined"


@dataclass(frozen=True, slots=True)
class Opening:
    """How a stopped run goes on: with the results it waited for, and with what is said to it.

    `branch` is the checkpoint it starts from where that is not its last; `usage` is what the results have cost.
    """

    results: tuple[ToolResult, ...] = ()
    said: str = ""
    branch: str = ""
    usage: Usage = field(default_factory=Usage)
    answer: ToolResult | None = None


def newest(request: RunRequest, job: JobState) -> RunState:
    """The newest top-level run of a job.

    Raises: UserError where there is none or it is another expert's.
    """
    found = job.latest_run()
    if found is None:
        raise UserError(f"job {job.job_id} has no run to resume", hint="Start it anew: nothing had happened yet.")
    _same_expert(request, job, found)
    return found


def at_checkpoint(request: RunRequest, job: JobState, checkpoint_id: str) -> RunState:
    """A run as it was at one of its checkpoints.

    Raises: UserError where it is not of this job, of a delegate, or of another expert.
    """
    found = job.checkpoints.get(checkpoint_id)
    if found is None:
        raise UserError(
            f"Checkpoint {checkpoint_id} not found in job {job.job_id}",
            hint=f"`perstack log --job {job.job_id}` shows its checkpoints.",
        )
    if found.delegated_by is not None:
        raise UserError(
            f"Checkpoint {checkpoint_id} belongs to the delegate `{found.expert_key}`: only checkpoints of the "
            "job's coordinator can be resumed",
            hint=f"Choose a checkpoint of the expert that job {job.job_id} was started with.",
        )
    _same_expert(request, job, found)
    return replace(found, checkpoint_id=checkpoint_id)


def require_unfinished(job: JobState, found: RunState) -> None:
    """Raises: UserError where a run has ended or waits for a person."""
    if found.status in UNFINISHED:
        return
    if found.status is RunStatus.STOPPED_BY_INTERACTIVE_TOOL:
        raise _waiting(job, found)
    raise UserError(
        f"the last run of job {job.job_id} has ended ({found.status.value}); nothing to resume",
        hint="Go on with it by a new message.",
    )


def require_input(text: str) -> None:
    """Raises: UserError where there is nothing to say to an expert."""
    if not text.strip():
        raise UserError(_UNDEFINED_INPUT, hint="Say what the expert is to do.")


def saying(job: JobState, found: RunState, text: str, *, branch: str = "") -> Opening:
    """Go on with a run by a new message. Calls without a result are answered first.

    Raises: UserError where there is no message, or the run waits for a person's answer.
    """
    require_input(text)
    if found.status is RunStatus.STOPPED_BY_INTERACTIVE_TOOL:
        raise _waiting(job, found)
    spent = Usage() if branch else unfinished_usage(job, found)
    return Opening(tuple(_unmade(found, call) for call in found.pending), text, branch, spent)


def answering(job: JobState, found: RunState, text: str, *, branch: str = "") -> Opening:
    """Go on with a run by the result of the interactive call it waits for: plain text, or the JSON of the format.

    The JSON form is {"toolCallId", "text"} (`toolName` and `skillName` may be there); plain text answers the first.
    Raises: UserError where the run does not wait, or not for that call.
    """
    if found.status is not RunStatus.STOPPED_BY_INTERACTIVE_TOOL or not found.pending:
        raise UserError(
            f"job {job.job_id} has no open question ({found.status.value})",
            hint="Go on with it by a plain message, without -i.",
        )
    call_id, words = _answer(text)
    call = next((call for call in found.pending if call_id in ("", call.id)), None)
    if call is None:
        waiting = ", ".join(f"{call.id} ({call.tool_name})" for call in found.pending)
        raise UserError(f"job {job.job_id} does not wait for the tool call {call_id}", hint=f"It waits for: {waiting}.")
    result = ToolResult(call.id, call.tool_name, (TextPart(words or "(no answer)"),), call.skill_name)
    return Opening((result,), branch=branch, answer=result)


def first_step(found: RunState) -> int:
    """The step at which the next segment begins: a checkpoint between two steps has the next one's number."""
    return found.step if found.phase is Phase.PREPARING else found.step + 1


def past_calls(state: RunState) -> tuple[tuple[ToolCall, ToolResult], ...]:
    """The calls of a run that have a result, in order, with it."""
    calls: dict[str, ToolCall] = {}
    found: list[tuple[ToolCall, ToolResult]] = []
    for message in state.history:
        if isinstance(message, ToolMessage):
            found += [(calls[result.id], result) for result in message.results if result.id in calls]
        else:
            calls |= {part.id: part for part in message.contents if isinstance(part, ToolCall)}
    found += [(calls[result.id], result) for result in state.partial if result.id in calls]
    return tuple(found)


def unfinished_usage(job: JobState, found: RunState) -> Usage:
    """What the delegates have cost that a run still waited for when its process ended."""
    children = [job.child(found.run_id, call.id) for call in found.pending]
    return sum((child.usage + unfinished_usage(job, child) for child in children if child), start=Usage())


def _same_expert(request: RunRequest, job: JobState, found: RunState) -> None:
    if found.expert_key != request.expert.key:
        raise UserError(
            f"Checkpoint expert key {found.expert_key} does not match input expert key {request.expert.key} "
            f"(job {job.job_id})",
            hint=f"Go on with it as the expert `{found.expert_key}`.",
        )


def _waiting(job: JobState, found: RunState) -> UserError:
    names = ", ".join(f"`{call.tool_name}`" for call in found.pending) or "a tool"
    return UserError(
        f"{_UNDEFINED_ANSWER}: the last run of job {job.job_id} waits for the answer to {names} ({found.status.value})",
        hint="Give the answer with -i.",
    )


def _unmade(found: RunState, call: ToolCall) -> ToolResult:
    begun = call.id in found.started or found.status is RunStatus.STOPPED_BY_DELEGATE
    return error_result(call, LOST if begun else NOT_MADE)


def _answer(text: str) -> tuple[str, str]:
    """The id of the call that is answered (empty: the first) and the answer."""
    try:
        data = json.loads(text)
    except ValueError:
        return "", text
    if not isinstance(data, dict) or not isinstance(data.get("toolCallId"), str):
        return "", text
    words = data.get("text")
    return data["toolCallId"], words if isinstance(words, str) else json.dumps(words, ensure_ascii=False)
