"""What a request asks for as a job of the workshop: a run, a verification, a fix, or an old job that goes on.

What the server was started with is fixed: definition, workspace, storage, sandbox, provider and model. A request may
lower limits, never raise them.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

from pydantic import ValidationError

from perstack import api
from perstack.core.errors import PerstackError
from perstack.core.events import EventSink
from perstack.core.experts import Config, Expert
from perstack.interface.continuing import Onward, continued, interrupted, require_same_place
from perstack.interface.serve.problems import Problem, problem_of
from perstack.interface.serve.schemas import AnswerBody, Body, FixBody, RunBody, SayBody, StartBody, VerifyBody
from perstack.interface.serve.views import no_such_job
from perstack.interface.serve.waiting import Asked
from perstack.interface.serve.work import Ticket, Work, Workshop
from perstack.interface.settings import Settings, order

N = TypeVar("N", int, float)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Starter:
    """Makes jobs. `tell` is for warnings of configurations. Reads files: call it in a thread."""

    settings: Settings
    config: Config
    archive: api.Archive
    workshop: Workshop
    tell: Callable[[str], None]

    def experts(self) -> tuple[tuple[Expert, bool], ...]:
        """Those that can be run, each with whether it ships: the server's own first, delegates (`@x/y`) last."""
        shipped = api.read_config(None).experts
        found = [(expert, shipped.get(expert.key) == expert) for expert in self.config.experts.values()]
        return tuple(sorted(found, key=lambda it: (it[0].key.startswith("@"), it[1])))

    def new(self, body: RunBody | VerifyBody | FixBody) -> Ticket:
        """A new job. Raises: Problem where its id is taken, or it cannot be started like this."""
        job_id = body.job_id or secrets.token_hex(12)
        if self.workshop.room.left(job_id) is not None:
            raise Problem("conflict", f"job {job_id} was taken, and has not begun", "Resume or cancel it.")
        return self._new(body, job_id)

    def _new(self, body: RunBody | VerifyBody | FixBody, job_id: str) -> Ticket:
        if (self.archive.root / "jobs" / job_id).exists() or self.workshop.is_here(job_id):
            raise Problem("conflict", f"there is a job {job_id} already", "Choose another jobId, or leave it out.")
        match body:
            case RunBody():
                run = _tried(lambda: order(self._lowered(body), self.config, body.expert, body.query), "refused")
                return _run(replace(run, job_id=job_id), "start", body)
            case VerifyBody():
                return self._verify(body, job_id)
            case FixBody():
                return self._fix(body, job_id)

    def say(self, job_id: str, body: SayBody) -> Ticket:
        """Say something to a job that has ended. Raises: Problem where it cannot be spoken to."""
        return _run(self._onward(job_id, body.query, Onward(job_id, body.checkpoint)), "say", body)

    def answer(self, job_id: str, body: AnswerBody) -> Ticket:
        """Answer the question a job waits with. Raises: Problem where it waits for none, or not for that call."""
        text = body.text
        # Text that looks like the format's own JSON stays text, unless a call is named.
        if body.tool_call_id or text.lstrip().startswith("{"):
            call_id = body.tool_call_id or self._asked(job_id)
            text = json.dumps({"toolCallId": call_id, "text": text})
        return _run(self._onward(job_id, text, Onward(job_id, is_answer=True)), "answer", body)

    def resume(self, job_id: str) -> Ticket:
        """Go on with an interrupted job where its log ends, or do what was asked of it and has not begun.

        Raises: Problem where it was not interrupted.
        """
        left = self.workshop.room.left(job_id)
        if left is not None and left.does != "resume" and not self.workshop.is_here(job_id):
            return self._again(left)
        self._require(job_id)

        def work() -> api.Run:
            found, standing = interrupted(self.archive, job_id)
            asked = order(self.settings, self.config, standing.expert, "")
            asked = replace(asked, job_id=found.record.id, resume=True)
            require_same_place(found, asked)
            return asked

        return _run(_tried(work, "conflict"), "resume", None)

    def _again(self, left: Asked) -> Ticket:
        """What a server that is gone was asked. Raises: Problem where it cannot be done any more."""
        try:
            match left.does:
                case "say":
                    return self.say(left.job_id, SayBody.model_validate(left.body))
                case "answer":
                    return self.answer(left.job_id, AnswerBody.model_validate(left.body))
                case _:
                    return self._new(StartBody.model_validate(left.body).root, left.job_id)
        except ValidationError:
            raise Problem("conflict", f"job {left.job_id}: what was asked is unreadable", "Cancel it.") from None

    def _onward(self, job_id: str, text: str, onward: Onward) -> api.Run:
        self._require(job_id)

        def work() -> api.Run:
            job = self.archive.read(job_id)
            standing = job.standing()
            asked = order(self.settings, self.config, standing.expert if standing else "", text)
            require_same_place(job, asked)
            return continued(asked, self.archive, onward)

        return _tried(work, "conflict")

    def _require(self, job_id: str) -> None:
        if self.workshop.is_here(job_id):
            raise Problem("conflict", f"job {job_id} is being worked on", "Wait for its end, or cancel it.")
        try:
            self.archive.read(job_id)
        except PerstackError:
            raise no_such_job(job_id) from None

    def _asked(self, job_id: str) -> str:
        self._require(job_id)
        standing = self.archive.read(job_id).standing()
        return standing.question.id if standing and standing.question else ""

    def _lowered(self, body: RunBody) -> Settings:
        most = self.settings
        return replace(
            most,
            max_steps=_lower(most.max_steps or self.config.max_steps, body.max_steps),
            max_tokens=_lower(most.max_tokens, body.max_tokens),
            max_cost=_lower(most.max_cost, body.max_cost),
        )

    def _verify(self, body: VerifyBody, job_id: str) -> Ticket:
        given = self.config if self.settings.config else None
        asked = _tried(
            lambda: api.VerifyCheckout(
                self.settings.place(), base=body.base, head=body.head, patch=body.patch,
                targets=tuple(body.targets), config=given, everything=body.everything, job_id=job_id,
            ),
            "refused",
        )  # fmt: skip

        async def work(host: api.Host, watch: EventSink) -> None:
            await api.verify_checkout(host, asked, watch, self.tell)

        return _ticket(job_id, "verify", work, body)

    def _fix(self, body: FixBody, job_id: str) -> Ticket:
        given = self.config if self.settings.config else None
        asked = api.FixCheckout(
            self.settings.place(), body.task, base=body.base or "HEAD", targets=tuple(body.targets), config=given,
            job_id=job_id,
        )  # fmt: skip

        async def work(host: api.Host, watch: EventSink) -> None:
            await api.fix_checkout(host, asked, watch, self.tell)

        return _ticket(job_id, "fix", work, body)


def _ticket(job_id: str, kind: Literal["verify", "fix"], work: Work, body: VerifyBody | FixBody) -> Ticket:
    asked = Asked(job_id=job_id, does="start", kind=kind, expert="", body=_data(body))
    return Ticket(job_id, kind, "", work, asked)


def _data(body: Body | None) -> dict[str, Any]:
    """A body as it came."""
    return {} if body is None else body.model_dump(by_alias=True, exclude_none=True, mode="json")


def _run(asked: api.Run, does: Literal["start", "say", "answer", "resume"], body: Body | None) -> Ticket:
    async def work(host: api.Host, watch: EventSink) -> None:
        async with api.Engine(host).job("run", watch, asked) as job:
            await job.run(asked)

    told = Asked(job_id=asked.job_id, does=does, kind="run", expert=asked.expert, body=_data(body))
    return Ticket(asked.job_id, "run", asked.expert, work, told)


def _lower(most: N, asked: N | None) -> N:
    """The lower of two limits; 0 is no limit."""
    if asked is None:
        return most
    return min(most, asked) if most else asked


def _tried(work: Callable[[], T], kind: str) -> T:
    """Raises: Problem of `kind` for what the caller got wrong."""
    try:
        return work()
    except PerstackError as error:
        raise problem_of(error, kind) from None
