"""The table of operations, version 1, and the routes made from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from perstack.interface.serve import schemas
from perstack.interface.serve.handlers import REPORTS, Handlers
from perstack.interface.serve.limits import Limits
from perstack.interface.serve.operations import Answer, Operation, Parameter, Place
from perstack.interface.serve.problems import Problem

_JOB = "/v1/jobs/{job}"
_BODY = ("bad-request", "bad-body", "too-large", "too-slow", "wrong-type")
_STARTED = {202: Answer("The job, which waits or is worked on.", schemas.JobDocument, has_place=True)}
_QUERY = ("bad-request",)
_FILES = ("application/octet-stream", "application/json", "text/plain", "image/png")
_BEGIN = ("conflict", "too-many-jobs", "stopping")
_STATUS = get_args(schemas.JobStatus)


def operations(it: Handlers) -> Sequence[Operation]:
    """Everything the server can do."""
    return (*_about(it), *_jobs(it), *_going_on(it), *_results(it))


def application(it: Handlers, limits: Limits) -> Starlette:
    """The routes of all operations."""
    places: dict[str, dict[str, Operation]] = {}
    for one in operations(it):
        places.setdefault(one.path, {})[one.method] = one
    app = Starlette(
        routes=[
            Route(path.replace("{path}", "{path:path}"), _Endpoint(Place(found, limits)))
            for path, found in places.items()
        ],
        exception_handlers={HTTPException: _unrouted, Exception: _bug},
    )
    app.router.redirect_slashes = False
    return app


class _Endpoint:
    """A place as an ASGI application: a route then leaves the choice of the method to it."""

    def __init__(self, place: Place) -> None:
        self._place = place

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        response = await self._place(request)
        await response(scope, receive, send)


async def _unrouted(request: Request, _: Exception) -> Response:
    path = request.url.path[:200]
    return Problem("not-found", f"nothing is at {path!r}", "GET /openapi.json lists what there is.").response()


async def _bug(_: Request, error: Exception) -> Response:
    return Problem(
        "bug", f"{type(error).__name__} while answering", "Please report it with what the server wrote to stderr."
    ).response()


def _about(it: Handlers) -> Sequence[Operation]:
    return (
        Operation(
            "GET", "/v1/health", "health", "Whether the server takes jobs", it.health,
            {200: Answer("It answers.", schemas.Health)}, about="Needs no token.", problems=_QUERY, is_open=True,
        ),
        Operation(
            "GET", "/openapi.json", "openapi", "This description", it.openapi,
            {200: Answer("An OpenAPI 3.1 document.", media=("application/json",))}, about="Needs no token.",
            problems=_QUERY, is_open=True,
        ),
        Operation(
            "GET", "/v1/experts", "listExperts", "The experts that can be run", it.experts,
            {200: Answer("All experts.", schemas.Experts)}, problems=_QUERY,
        ),
    )  # fmt: skip


def _jobs(it: Handlers) -> Sequence[Operation]:
    return (
        Operation(
            "GET", "/v1/jobs", "listJobs", "Jobs on record and in the queue, newest first", it.jobs,
            {200: Answer("A page of jobs.", schemas.JobList)}, problems=_QUERY,
            query=(
                Parameter("take", "At most so many jobs; 100 where it is left out.", "integer", low=1, high=1000),
                Parameter("offset", "Leave out the first so many.", "integer", low=0, high=1_000_000),
                Parameter("status", "Only jobs that stand like this.", choices=_STATUS),
            ),
        ),
        Operation(
            "POST", "/v1/jobs", "startJob", "Start a job: run an expert, judge a change, or fix what is red", it.start,
            _STARTED, about="Runs share the workspace and take turns; `verify` and `fix` work beside them.",
            body=schemas.StartBody, problems=(*_BODY, *_BEGIN, "refused"),
        ),
        Operation(
            "GET", _JOB, "getJob", "How a job stands", it.job,
            {200: Answer("The job.", schemas.JobDocument)}, problems=(*_QUERY, "no-such-job"),
        ),
        Operation(
            "GET", f"{_JOB}/events", "followEvents", "A job's events, as server-sent events", it.events,
            {
                200: Answer(
                    "Each event has its `id`, and its JSON as `data`. At the end comes one named `end` with "
                    "{jobId, status}; where the log is damaged, one named `problem` before it.",
                    media=("text/event-stream",),
                ),
                204: Answer("Nothing follows on `Last-Event-ID`, and nobody works on the job."),
            },
            about="What is on record comes at once, the rest as it happens, until nobody works on the job. The same "
            "events as in `perstack log`; pieces of streamed text are not among them.",
            query=(
                Parameter("after", "Begin after the event with this id. `Last-Event-ID` goes before it."),
                Parameter("filter", "As `perstack log --filter`: `.path op value`. Several must all hold.", many=True),
                Parameter("type", "Only these types of events: a,b.", many=True),
            ),
            headers=(Parameter("Last-Event-ID", "The last event that was received.", pattern="^[!-~]*$"),),
            problems=(*_QUERY, "bad-filter", "no-such-job", "no-such-event", "too-many-followers"),
        ),
        Operation(
            "POST", f"{_JOB}/cancel", "cancelJob", "End a job that this server works on, or take it from the queue",
            it.cancel, {202: Answer("The job, which is being ended.", schemas.JobDocument)},
            about="A run that was ended like this can be resumed.", problems=(*_QUERY, "no-such-job", "conflict"),
        ),
    )  # fmt: skip


def _going_on(it: Handlers) -> Sequence[Operation]:
    begin = (*_BEGIN, "no-such-job")
    return (
        Operation(
            "POST", f"{_JOB}/answer", "answerJob", "Answer the question a run waits with", it.answer, _STARTED,
            body=schemas.AnswerBody, problems=(*_BODY, *begin),
        ),
        Operation(
            "POST", f"{_JOB}/messages", "sayToJob", "Say something more to a run that has ended", it.say, _STARTED,
            body=schemas.SayBody, problems=(*_BODY, *begin),
        ),
        Operation(
            "POST", f"{_JOB}/resume", "resumeJob", "Go on with a run that was interrupted", it.resume, _STARTED,
            about="Also begins what a server took, and had not begun when it ended: that is `interrupted` too.",
            problems=(*_QUERY, *begin),
        ),
    )  # fmt: skip


def _results(it: Handlers) -> Sequence[Operation]:
    forms = tuple(dict.fromkeys(media.partition(";")[0] for media in REPORTS.values()))
    missing = (*_QUERY, "no-such-job", "no-such-file")
    return (
        Operation(
            "GET", f"{_JOB}/report", "getReport", "A job's report", it.report,
            {200: Answer("The report: for people one page that needs nothing else, or for other tools.", media=forms)},
            query=(Parameter("format", "`html` where it is left out.", choices=tuple(REPORTS)),),
            problems=(*_QUERY, "no-such-job", "conflict"),
        ),
        Operation(
            "GET", f"{_JOB}/evidence", "getEvidence", "The evidence of a verdict", it.evidence,
            {200: Answer("An in-toto statement.", media=("application/json",))}, problems=missing,
        ),
        Operation(
            "GET", f"{_JOB}/patch", "getPatch", "The change that was judged", it.patch,
            {200: Answer("A diff, as git writes it.", media=("text/x-diff",))}, problems=missing,
        ),
        Operation(
            "GET", f"{_JOB}/files", "listFiles", "The files of a job", it.files,
            {200: Answer("Regular files below the job's folder.", schemas.Files)}, problems=(*_QUERY, "no-such-job"),
        ),
        Operation(
            "GET", f"{_JOB}/files/{{path}}", "getFile", "One file of a job", it.file,
            {200: Answer("The file.", media=_FILES)},
            problems=missing,
        ),
    )  # fmt: skip
