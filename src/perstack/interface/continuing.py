"""Which job goes on, from where, with what said to it: the checks of the public format, before anything starts."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from perstack import api
from perstack.core.errors import UserError
from perstack.core.json import JsonObject
from perstack.core.messages import ToolCall

_ANSWER_KEYS = ("toolCallId", "toolName", "skillName", "text")


@dataclass(frozen=True, slots=True)
class Onward:
    """What `--continue-job`, `--resume-from` and `-i` say; without a job, the one that was worked on last."""

    job: str = ""
    checkpoint: str = ""
    is_answer: bool = False


def continued(asked: api.Run, archive: api.Archive, onward: Onward) -> api.Run:
    """`asked`, said to an old job instead of a new one.

    Raises: UserError where there is no such job or checkpoint, it is another expert's, or it cannot be spoken to.
    """
    job, standing = _found(archive, onward.job)
    expert, checkpoint = standing.expert, onward.checkpoint
    if checkpoint:
        whole = job.checkpoint(checkpoint)
        if whole is None:
            raise UserError(
                f"Checkpoint {checkpoint} not found in job {job.record.id}",
                hint=f"`perstack log --job {job.record.id} --json` lists its checkpoints.",
            )
        expert = _expert_of(whole) or expert
    if expert != asked.expert:
        raise UserError(
            f"Checkpoint expert key {expert} does not match input expert key {asked.expert}",
            hint=f"Say it to `{expert}`, or start a new job.",
        )
    going = replace(asked, job_id=job.record.id, note={})
    if onward.is_answer:
        return replace(going, answer=True, query=_answer(asked.query, standing, job.record.id))
    if not checkpoint:
        _refuse_unfinished(job, standing)
    return replace(going, proceed=True, checkpoint=checkpoint)


def _found(archive: api.Archive, job_id: str) -> tuple[api.JobHistory, api.Standing]:
    if job_id:
        try:
            job = archive.read(job_id)
        except UserError:
            raise UserError(
                f"No checkpoints found for job {job_id}", hint=f"`perstack log --jobs` lists those in {archive.root}."
            ) from None
        standing = job.standing()
        if standing is None:
            raise UserError(f"No checkpoints found for job {job_id}", hint="Nothing ran in it: start a new job.")
        return job, standing
    for one in archive.recent(kind="run"):
        job = archive.read(one)
        if (standing := job.standing()) is not None:
            return job, standing
    raise UserError("No checkpoint found", hint=f"There is no job to go on with in {archive.root}.")


def _refuse_unfinished(job: api.JobHistory, standing: api.Standing) -> None:
    name = job.record.id
    if standing.question is not None:
        raise UserError(
            f"job {name} waits for an answer to `{standing.question.tool_name}`",
            hint="Add -i: then QUERY is the answer. Or branch off a checkpoint with --resume-from.",
        )
    if standing.is_resumable:
        raise UserError(
            f"job {name} was interrupted before it ended", hint=f"Let it end first: `perstack resume {name}`."
        )


def _answer(query: str, standing: api.Standing, job_id: str) -> str:
    """The text of an answer, which may be given as JSON that names its call."""
    question = standing.question
    if question is None:
        raise UserError(f"job {job_id} has no open question ({standing.status})", hint="Leave out -i to say something.")
    try:
        data = json.loads(query)
    except ValueError:
        return query
    if not isinstance(data, dict) or not all(isinstance(data.get(key), str) for key in _ANSWER_KEYS):
        return query
    _same_call(data, question, job_id)
    return str(data["text"])


def _same_call(data: JsonObject, question: ToolCall, job_id: str) -> None:
    if (data["toolCallId"], data["toolName"]) != (question.id, question.tool_name):
        raise UserError(
            f"the answer is for call {data['toolCallId']} of `{data['toolName']}`, but job {job_id} waits for "
            f"call {question.id} of `{question.tool_name}`",
            hint="Answer the calls of one reply in their order.",
        )


def _expert_of(checkpoint: JsonObject) -> str:
    expert = checkpoint.get("expert")
    key = expert.get("key") if isinstance(expert, dict) else ""
    return key if isinstance(key, str) else ""
