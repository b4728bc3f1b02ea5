"""Which job goes on, from where, with what said to it: the checks of the public format, before anything starts."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, replace

from perstack import api
from perstack.core.errors import InfrastructureError, UserError
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
        _refuse_waiting(job, standing)
    return replace(going, proceed=True, checkpoint=checkpoint)


def _found(archive: api.Archive, job_id: str) -> tuple[api.JobHistory, api.Standing]:
    if job_id:
        try:
            job = archive.read(job_id)
        except UserError:
            raise UserError(
                f"No checkpoints found for job {job_id}", hint=f"`perstack log --jobs` lists those in {archive.root}."
            ) from None
        require_run(job)
        standing = job.standing()
        if standing is None:
            raise UserError(f"No checkpoints found for job {job_id}", hint="Nothing ran in it: start a new job.")
        return job, standing
    for one in archive.recent(kind="run"):
        job = archive.read(one)
        if not job.is_foreign and (standing := job.standing()) is not None:
            return job, standing
    raise UserError("No checkpoint found", hint=f"There is no job to go on with in {archive.root}.")


def _refuse_waiting(job: api.JobHistory, standing: api.Standing) -> None:
    if standing.question is not None:
        raise UserError(
            f"job {job.record.id} waits for an answer to `{standing.question.tool_name}`",
            hint="Add -i: then QUERY is the answer. Or branch off a checkpoint with --resume-from.",
        )


def interrupted(archive: api.Archive, job_id: str) -> tuple[api.JobHistory, api.Standing]:
    """The job that can be resumed: the one that was named, else the one worked on last of those that can.

    Raises: UserError where it cannot, with what can be done instead; InfrastructureError where its log is damaged.
    """
    if not job_id:
        for one in archive.recent(kind="run"):
            job = archive.read(one)
            standing = None if job.is_live or job.is_damaged or job.is_foreign else job.standing()
            if standing is not None and standing.is_resumable:
                return job, standing
        raise UserError(
            f"no job in {archive.root} was interrupted: nothing to resume", hint="`perstack log --jobs` lists them all."
        )
    job = archive.read(job_id)
    require_run(job)
    standing = None if job.is_live else job.standing()
    if job.is_live:
        raise UserError(f"job {job_id} is being worked on by another process", hint="Wait for it, or end it first.")
    if job.is_damaged:
        raise InfrastructureError(
            job.problem,
            hint=f"The {len(job.events)} events before it are intact. To go on after them, keeping the damaged log "
            f"beside the new one: `perstack resume {job_id} --drop-damaged`.",
        )
    if standing is None:
        raise UserError(f"nothing ran in job {job_id}: nothing to resume", hint="Start a new job.")
    if not standing.is_resumable:
        way = "perstack run {} '{}' --continue-job {}{}"
        question = standing.question is not None
        line = way.format(standing.expert, "your answer" if question else "…", job_id, " -i" if question else "")
        why = "waits for an answer" if question else f"has ended ({standing.status})"
        raise UserError(f"job {job_id} {why}: nothing to resume", hint=f"Say something to it: `{line}`.")
    return job, standing


def require_run(job: api.JobHistory) -> None:
    """Raises: UserError for a job of another harness, or of another kind: its pipeline is over."""
    if job.is_foreign:
        raise UserError(
            f"job {job.record.id} is kept in the public layout, and can only be looked at", hint="Start a new job."
        )
    kind = job.record.extra.get("kind", "run")
    if kind != "run":
        raise UserError(
            f"job {job.record.id} is a `perstack {kind}`, and only a `perstack run` can go on", hint="Start it again."
        )


def require_same_place(job: api.JobHistory, asked: api.Run) -> None:
    """A job goes on where it worked. Its record is never believed instead: an expert may have written to it.

    Raises: UserError that names the option to give.
    """
    for name, now in asked.note.items():
        noted, option = job.record.extra.get(name), f"--{name}"
        if isinstance(noted, str) and noted != now:
            raise UserError(
                f"job {job.record.id} was started with {option} {noted}, not {now}",
                hint=f"Give `{option} {shlex.quote(noted)}` if that is right.",
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
