"""Which job goes on, from where, with what said to it: the checks of the public format, before anything starts."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from pathlib import Path

from perstack import api
from perstack.core.errors import InfrastructureError, UserError

_ANSWER_KEYS = ("toolCallId", "toolName", "skillName", "text")


@dataclass(frozen=True, slots=True)
class Onward:
    """What `--continue-job`, `--resume-from` and `-i` say; without a job, the one that was worked on last."""

    job: str = ""
    checkpoint: str = ""
    is_answer: bool = False


def continued(asked: api.Run, archive: api.Archive, onward: Onward) -> api.Run:
    """`asked`, said to an old job instead of a new one.

    Raises: UserError where there is no such job or checkpoint, it is another expert's, or it cannot be spoken to;
    InfrastructureError where its log is damaged.
    """
    job = _named(archive, onward.job) if onward.job else _last(archive)
    _require_intact(job)
    going = replace(asked, job_id=job.record.id, note={}, checkpoint=onward.checkpoint)
    going = replace(going, answer=True) if onward.is_answer else replace(going, proceed=True)
    api.require_possible(going, job.state())
    return going


def _named(archive: api.Archive, job_id: str) -> api.JobHistory:
    try:
        job = archive.read(job_id)
    except UserError:
        raise UserError(
            f"No checkpoints found for job {job_id}", hint=f"`perstack log --jobs` lists those in {archive.root}."
        ) from None
    require_run(job)
    if job.standing() is None:
        raise UserError(f"No checkpoints found for job {job_id}", hint="Nothing ran in it: start a new job.")
    return job


def _last(archive: api.Archive) -> api.JobHistory:
    """The job that was worked on last, of those in which something ran."""
    for one in archive.recent(kind="run"):
        job = archive.read(one)
        if not job.is_foreign and job.standing() is not None:
            return job
    raise UserError("No checkpoint found", hint=f"There is no job to go on with in {archive.root}.")


def _require_intact(job: api.JobHistory) -> None:
    """Raises: UserError where somebody works on it; InfrastructureError where its log was changed."""
    name = job.record.id
    if job.is_live:
        raise UserError(f"job {name} is being worked on by another process", hint="Wait for it, or end it first.")
    if job.is_damaged and not job.events:
        raise InfrastructureError(job.problem, hint="Nothing before it is left: start a new job.")
    if job.is_damaged:
        raise InfrastructureError(
            job.problem,
            hint=f"The {len(job.events)} events before it are intact. To go on after them, keeping the damaged log "
            f"beside the new one: `perstack resume {name} --drop-damaged`.",
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
    _require_intact(job)
    standing = job.standing()
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
        if isinstance(noted, str) and not _same(noted, str(now)):
            raise UserError(
                f"job {job.record.id} was started with {option} {noted}, not {now}",
                hint=f"Give `{option} {shlex.quote(noted)}` if that is right.",
            )


def _same(noted: str, now: str) -> bool:
    """Whether two paths lead to one place; addresses are what they are."""
    if "://" in noted or "://" in now:
        return noted == now
    return Path(noted).resolve() == Path(now).resolve()
