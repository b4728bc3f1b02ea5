"""Jobs as documents: what is on record, and what only this server knows of them. Changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from perstack import api
from perstack.core.errors import InvariantBroken, UserError
from perstack.core.events import Event
from perstack.core.storage import JobRecord
from perstack.core.usage import Usage
from perstack.interface.history.reading import text_of
from perstack.interface.serve.files import EVIDENCE, PATCH
from perstack.interface.serve.problems import Problem
from perstack.interface.serve.schemas import Failure, JobDocument, JobLine, JobStatus, Links
from perstack.interface.serve.waiting import Asked
from perstack.interface.serve.work import CANCELLED, LEFT, QUEUED, Ticket, Workshop

_STATUS: dict[str, JobStatus] = {
    "completed": "completed",
    "stoppedByInteractiveTool": "stoppedByInteractiveTool",
    "stoppedByMaxSteps": "stoppedByMaxSteps",
    "stoppedByError": "stoppedByError",
    "running": "running",
}


@dataclass(frozen=True, slots=True)
class Views:
    """The jobs of one storage, with those that one workshop has at hand. Reads files: call it in a thread."""

    archive: api.Archive
    workshop: Workshop

    def job(self, job_id: str) -> JobDocument:
        """Everything about one job. Raises: Problem where there is none; InfrastructureError where it is unreadable."""
        ticket = self.workshop.ticket(job_id)
        history = self.history(job_id, ticket)
        if history is None and ticket is not None:
            return _unrecorded(ticket)
        left = self.workshop.room.left(job_id) if ticket is None else None
        if history is None and left is not None:
            return _left(left)
        if history is None:
            raise no_such_job(job_id)
        record = history.record
        status = self._status(record, ticket, is_live=history.is_live, is_left=left is not None)
        last = _last(history.events, "finishJob")
        folder = self.archive.root / "jobs" / record.id
        return JobDocument(
            id=record.id,
            kind=_kind(record),
            status=status,
            expert=record.coordinator_expert_key,
            is_here=ticket is not None and ticket.is_open,
            started_at=record.started_at,
            finished_at=0 if status in {"queued", "running"} else record.finished_at,
            total_steps=record.total_steps,
            usage=dict(record.usage.to_json()),
            verdict=last.get("verdict"),
            outcome=last.get("outcome"),
            question=_question(history) if status == "stoppedByInteractiveTool" else None,
            result=_last(history.events, "completeRun").get("text") if status == "completed" else None,
            error=_failure(record, ticket),
            problem=history.problem or None,
            links=_links(
                record.id, evidence=(folder / EVIDENCE).is_file(), patch=(folder / PATCH).is_file()
            ),
        )  # fmt: skip

    def status(self, job_id: str) -> str:
        """A job's status alone, for the end of a stream. Raises: as `job`."""
        return self.job(job_id).status

    def lines(self, take: int, offset: int, status: str) -> tuple[list[JobLine], int]:
        """A page of all jobs, and how many there are."""
        tickets = {one.job_id: one for one in self.workshop.tickets()}
        records = self.archive.jobs()
        interrupted = self.archive.interrupted(records)
        known = {record.id for record in records}
        left = {one.job_id: one for one in self.workshop.room.all_left(tickets)}
        lines = [_line_of(_unrecorded(one)) for one in reversed(tickets.values()) if one.job_id not in known]
        lines += [_line_of(_left(one)) for one in left.values() if one.job_id not in known]
        for record in records:
            ticket = tickets.get(record.id)
            is_open = ticket is not None and ticket.is_open
            lines.append(
                JobLine(
                    id=record.id,
                    kind=_kind(record),
                    status=self._status(
                        record, ticket, is_live=record.id not in interrupted, is_left=record.id in left
                    ),
                    expert=record.coordinator_expert_key,
                    is_here=is_open,
                    started_at=record.started_at,
                    finished_at=0 if is_open else record.finished_at,
                    total_steps=record.total_steps,
                )
            )
        chosen = [line for line in lines if not status or line.status == status]
        return chosen[offset : offset + take], len(chosen)

    def history(self, job_id: str, ticket: Ticket | None = None) -> api.JobHistory | None:
        """What is on record of a job, None where nothing is. Raises: InfrastructureError where it is unreadable."""
        try:
            history = self.archive.read(job_id)
        except UserError:
            return None
        # A folder without a record or an event is a job that is just being made.
        return None if ticket is not None and not history.events and not history.record.started_at else history

    def _status(self, record: JobRecord, ticket: Ticket | None, *, is_live: bool, is_left: bool) -> JobStatus:
        if ticket is not None and ticket.is_open:
            return "queued" if ticket.state == QUEUED else "running"
        if is_left or (ticket is not None and ticket.state == LEFT):
            return "interrupted"  # what was asked of it last has not begun
        status = _STATUS.get(record.status, "running")
        return "interrupted" if status == "running" and not is_live else status


def no_such_job(job_id: str) -> Problem:
    """The answer to an id that names nothing here: the same for every reason."""
    return Problem("no-such-job", f"no job {job_id[:130]!r} in this storage", "GET /v1/jobs lists them.")


def document(it: Any) -> bytes:
    """A document as it goes over the wire."""
    return str(it.model_dump_json(by_alias=True)).encode()


def _unrecorded(ticket: Ticket) -> JobDocument:
    """A job that is not on record: it waits, was taken from the queue, or could not begin."""
    status: JobStatus = "queued" if ticket.state == QUEUED else "running"
    if not ticket.is_open:
        status = "cancelled" if ticket.state == CANCELLED or ticket.error is None else "stoppedByError"
    if ticket.state == LEFT:
        status = "interrupted"
    error = None if ticket.error is None else Failure(message=ticket.error.message, hint=ticket.error.hint)
    return _bare(ticket.asked, status, ticket.asked_at, error=error, is_here=ticket.is_open)


def _left(asked: Asked) -> JobDocument:
    """A job that another server took and never began."""
    return _bare(asked, "interrupted", asked.asked_at)


def cancelled(asked: Asked) -> JobDocument:
    """A job that will not begin."""
    return _bare(asked, "cancelled", asked.asked_at)


def _bare(
    asked: Asked, status: JobStatus, asked_at: int, *, error: Failure | None = None, is_here: bool = False
) -> JobDocument:
    return JobDocument(
        id=asked.job_id,
        kind=asked.kind,
        status=status,
        expert=asked.expert,
        is_here=is_here,
        started_at=asked_at,
        finished_at=0,
        total_steps=0,
        usage=dict(Usage().to_json()),
        error=error,
        links=_links(asked.job_id, evidence=False, patch=False),
    )


def _line_of(it: JobDocument) -> JobLine:
    return JobLine(**{name: getattr(it, name) for name in JobLine.model_fields})


def _failure(record: JobRecord, ticket: Ticket | None) -> Failure | None:
    if ticket is not None and ticket.error is not None:
        return Failure(message=ticket.error.message, hint=ticket.error.hint)
    message = record.extra.get("error")
    return Failure(message=message, hint="") if isinstance(message, str) and message else None


def _question(history: api.JobHistory) -> dict[str, Any] | None:
    try:
        standing = history.standing()
    except InvariantBroken:
        return None
    call = standing.question if standing else None
    if call is None:
        return None
    return {"toolCallId": call.id, "skillName": call.skill_name, "toolName": call.tool_name, "args": dict(call.args)}


def _last(events: tuple[Event, ...], kind: str) -> dict[str, str]:
    """The texts in the last event of a type."""
    found = next((event for event in reversed(events) if event.type == kind), None)
    return {name: text for name, value in found.payload.items() if (text := text_of(value))} if found else {}


def _kind(record: JobRecord) -> str:
    return text_of(record.extra.get("kind")) or "run"


def _links(job_id: str, *, evidence: bool, patch: bool) -> Links:
    base = f"/v1/jobs/{job_id}"
    return Links(
        self=base,
        events=f"{base}/events",
        files=f"{base}/files",
        report=f"{base}/report",
        evidence=f"{base}/evidence" if evidence else None,
        patch=f"{base}/patch" if patch else None,
    )
