"""What each operation does: reads a job, starts one, follows one. The table of operations is in `routes`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from anyio import to_thread
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from perstack import api
from perstack.core.errors import UserError
from perstack.core.events import KNOWN_EVENTS
from perstack.interface.history.grammar import parse_filter
from perstack.interface.report.on_record import report_of
from perstack.interface.serve.events import Reader, Stream, Wanted
from perstack.interface.serve.files import EVIDENCE, PATCH, content, listed
from perstack.interface.serve.limits import Limits
from perstack.interface.serve.operations import Call
from perstack.interface.serve.problems import Problem, problem_of
from perstack.interface.serve.schemas import ExpertDocument, Experts, FileLine, Files, Health, JobList
from perstack.interface.serve.starting import Starter
from perstack.interface.serve.views import Views, cancelled, document, no_such_job
from perstack.interface.serve.work import LEFT, QUEUED, Ticket, Workshop

T = TypeVar("T")
TEXT = "text/plain; charset=utf-8"
# The page brings its own policy with the digests of its script and style; this one holds where that is not read.
_PAGE_POLICY = "sandbox allow-scripts; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
REPORTS: Mapping[str, str] = {
    "html": "text/html; charset=utf-8",
    "markdown": "text/markdown; charset=utf-8",
    "junit": "application/xml",
    "sarif": "application/sarif+json",
    "badge": "image/svg+xml",
}
_READABLE = {
    ".json": "application/json",
    ".jsonl": TEXT,
    ".patch": TEXT,
    ".diff": TEXT,
    ".txt": TEXT,
    ".png": "image/png",
}


@dataclass(slots=True)
class Handlers:
    """The operations over one storage and one workshop. `followers` counts the streams that are open."""

    starter: Starter
    views: Views
    workshop: Workshop
    limits: Limits
    description: Callable[[], bytes]
    followers: int = field(default=0)

    async def health(self, _: Call) -> Response:
        """Whether jobs can be started."""
        return _json(Health(status="stopping" if self.workshop.is_stopping else "ok"))

    async def openapi(self, _: Call) -> Response:
        """The description of all operations."""
        return Response(self.description(), media_type="application/json")

    async def experts(self, _: Call) -> Response:
        """The experts that can be run."""
        found = await to_thread.run_sync(self.starter.experts)
        rows = [
            ExpertDocument(
                key=it.key, version=it.version, description=it.description, delegates=list(it.delegates),
                tags=list(it.tags), is_shipped=ships,
            )
            for it, ships in found
        ]  # fmt: skip
        return _json(Experts(experts=rows))

    async def jobs(self, call: Call) -> Response:
        """A page of jobs."""
        query = call.query
        ask = partial(self.views.lines, query.get("take", 100), query.get("offset", 0), query.get("status", ""))
        lines, total = await to_thread.run_sync(ask)
        return _json(JobList(jobs=lines, total=total))

    async def start(self, call: Call) -> Response:
        """A new job."""
        return await self._queued(partial(self.starter.new, call.body.root))

    async def job(self, call: Call) -> Response:
        """One job's state."""
        return _json(await to_thread.run_sync(self.views.job, call.path["job"]))

    async def say(self, call: Call) -> Response:
        """A job goes on with something said to it."""
        return await self._queued(partial(self.starter.say, call.path["job"], call.body))

    async def answer(self, call: Call) -> Response:
        """A job goes on with an answer."""
        return await self._queued(partial(self.starter.answer, call.path["job"], call.body))

    async def resume(self, call: Call) -> Response:
        """An interrupted job goes on."""
        return await self._queued(partial(self.starter.resume, call.path["job"]))

    async def cancel(self, call: Call) -> Response:
        """End a job that waits or is worked on here."""
        job_id = call.path["job"]
        if not self.workshop.cancel(job_id):
            left = await to_thread.run_sync(self.workshop.room.left, job_id)
            if left is not None:
                await to_thread.run_sync(self.workshop.room.drop, job_id)
                return _json(cancelled(left), 202)
            await self._require(job_id)
            raise Problem("conflict", f"this server does not work on job {job_id}", "It has ended, or is another's.")
        return _json(await to_thread.run_sync(self.views.job, job_id), 202)

    async def events(self, call: Call) -> Response:
        """A job's events, from the first or after one of them, until it ends."""
        job_id = call.path["job"]
        again = call.headers.get("last-event-id", "")
        wanted = _wanted(call)
        await self._require(job_id)
        if self.followers >= self.limits.followers:
            raise Problem(
                "too-many-followers", f"{self.followers} streams are open", "Close one.", headers={"retry-after": "5"}
            )
        self.followers += 1
        try:
            following = await to_thread.run_sync(api.Following, self.views.archive, job_id)
            reader = Reader(following, self.workshop, wanted, self.limits)
            if after := again or call.query.get("after", ""):
                await reader.skip(after)
            is_over = bool(again) and await reader.is_done()
        except BaseException:
            self._left()
            raise
        if is_over:
            self._left()
            return Response(status_code=204)  # what tells an EventSource to stop asking

        def ending() -> dict[str, str]:
            return {"jobId": job_id, "status": self.views.status(job_id)}

        return _Streamed(Stream(reader.pieces(ending), self._left))

    async def report(self, call: Call) -> Response:
        """A job's report."""
        job_id, form = call.path["job"], call.query.get("format", "html")
        await self._require(job_id)
        if not await to_thread.run_sync(self._is_there, job_id):
            raise Problem("conflict", f"nothing is on record of job {job_id}", "Ask again when it has begun.")
        text = await to_thread.run_sync(report_of, self.views.archive, job_id, form)
        policy = {"content-security-policy": _PAGE_POLICY} if form == "html" else {}
        return Response(text.encode("utf-8", "replace"), media_type=REPORTS[form], headers=policy)

    async def evidence(self, call: Call) -> Response:
        """A job's evidence."""
        return Response(await self._file(call.path["job"], EVIDENCE), media_type="application/json")

    async def patch(self, call: Call) -> Response:
        """A job's candidate."""
        return Response(await self._file(call.path["job"], PATCH), media_type="text/x-diff; charset=utf-8")

    async def files(self, call: Call) -> Response:
        """A job's files."""
        job_id = call.path["job"]
        await self._require(job_id)
        found = await to_thread.run_sync(listed, self._folder(job_id))
        base = f"/v1/jobs/{job_id}/files/"
        return _json(Files(files=[FileLine(path=path, size=size, link=base + path) for path, size in found]))

    async def file(self, call: Call) -> Response:
        """One file of a job: something to keep, nothing that a browser would run."""
        path = call.path["path"]
        data = await self._file(call.path["job"], path)
        media = _READABLE.get(path[path.rfind(".") :], "application/octet-stream")
        return Response(data, media_type=media, headers={"content-disposition": "attachment"})

    async def _queued(self, make: Callable[[], Ticket]) -> Response:
        ticket = await to_thread.run_sync(make)
        self.workshop.add(ticket)
        if ticket.state == QUEUED:
            await self._kept(ticket)
        view = await to_thread.run_sync(self.views.job, ticket.job_id)
        return _json(view, 202, {"location": f"/v1/jobs/{ticket.job_id}"})

    async def _kept(self, ticket: Ticket) -> None:
        """Write down what waits; where that cannot be, it waits all the same."""
        try:
            await to_thread.run_sync(self.workshop.room.keep, ticket.asked)
        except OSError as error:
            self.starter.tell(f"job {ticket.job_id} is forgotten where this server ends before it begins: {error}")
        if ticket.state not in {QUEUED, LEFT}:
            self.workshop.room.drop(ticket.job_id)  # it began meanwhile

    async def _file(self, job_id: str, path: str) -> bytes:
        await self._require(job_id)
        return await to_thread.run_sync(content, self._folder(job_id), path, self.limits.file)

    async def _require(self, job_id: str) -> None:
        """Raises: Problem where there is no such job, on record or here."""
        if self.workshop.ticket(job_id) is None and not await to_thread.run_sync(self._is_known, job_id):
            raise no_such_job(job_id)

    def _is_known(self, job_id: str) -> bool:
        return self._is_there(job_id) or self.workshop.room.left(job_id) is not None

    def _is_there(self, job_id: str) -> bool:
        try:
            return self.views.archive.is_there(job_id)
        except UserError:
            return False

    def _folder(self, job_id: str) -> Path:
        return self.views.archive.root / "jobs" / job_id

    def _left(self) -> None:
        self.followers -= 1


class _Streamed(Response):
    """A stream in the form that routes give back."""

    def __init__(self, stream: Stream) -> None:
        super().__init__()
        self._stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._stream(scope, receive, send)


def _wanted(call: Call) -> Wanted:
    """Raises: Problem for a filter that is none, or a type that no event has."""
    types = frozenset(name.strip() for text in call.query.get("type", ()) for name in text.split(",") if name.strip())
    if unknown := sorted(types - KNOWN_EVENTS):
        raise Problem("bad-filter", f"no event has the type {unknown[0][:100]!r}", "See docs: the types of events.")
    try:
        return Wanted(types, tuple(parse_filter(text) for text in call.query.get("filter", ())))
    except UserError as error:
        raise problem_of(error, "bad-filter") from None


def _json(it: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(document(it), status_code=status, media_type="application/json", headers=dict(headers or {}))
