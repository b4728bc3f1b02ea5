"""What goes over the wire, as models: bodies that are accepted, documents that are answered. The source of OpenAPI.

Bodies take no field that is not named here: a misspelt limit must not be no limit.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, RootModel
from pydantic.alias_generators import to_camel


def _whole(it: object) -> object:
    """JSON knows one kind of number: 2.0 is a whole one."""
    return int(it) if isinstance(it, float) and it.is_integer() else it


Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$", description="Made up where it is left out.")]
Revision = Annotated[str, Field(max_length=500, description="A git revision of the served repository.")]
Targets = Annotated[list[Annotated[str, Field(min_length=1, max_length=2000)]], Field(max_length=1000)]
Steps = Annotated[int, Field(ge=1, le=1_000_000), BeforeValidator(_whole)]
Tokens = Annotated[int, Field(ge=1, le=1_000_000_000), BeforeValidator(_whole)]
Text = Annotated[str, Field(min_length=1, max_length=1_000_000)]

JobStatus = Literal[
    "queued",
    "running",
    "completed",
    "stoppedByInteractiveTool",
    "stoppedByMaxSteps",
    "stoppedByError",
    "interrupted",
    "cancelled",
]


class Body(BaseModel):
    """A body."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, alias_generator=to_camel)


class Document(BaseModel):
    """An answer."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)


class RunBody(Body):
    """One expert to run over the served workspace. Limits can only be lower than those the server was started with."""

    kind: Literal["run"]
    expert: str = Field(min_length=1, max_length=300)
    query: Text
    job_id: Id | None = None
    max_steps: Steps | None = None
    max_tokens: Tokens | None = None
    max_cost: float | None = Field(None, gt=0, le=1_000_000, description="US dollars.")


class VerifyBody(Body):
    """A change of the served repository to judge: a patch, a commit, or else its working tree."""

    kind: Literal["verify"]
    base: Revision = ""
    head: Revision = ""
    patch: str | None = Field(None, max_length=4_000_000, description="A diff, as git writes it.")
    targets: Targets = Field(default_factory=list, description="Tests that must turn from red to green.")
    everything: bool = Field(False, description="Run every signal, also once one has decided the verdict.")
    job_id: Id | None = None


class FixBody(Body):
    """Plan, build and verify on a commit of the served repository. Nothing is written to its working tree."""

    kind: Literal["fix"]
    task: str = Field("", max_length=1_000_000)
    base: Revision = "HEAD"
    targets: Targets = Field(default_factory=list)
    job_id: Id | None = None


class StartBody(RootModel[Annotated[RunBody | VerifyBody | FixBody, Field(discriminator="kind")]]):
    """A job to start."""


class SayBody(Body):
    """Something more to say to a job that has ended; from a checkpoint it becomes a branch."""

    query: Text
    checkpoint: str = Field("", max_length=200)


class AnswerBody(Body):
    """The answer to the question a job waits with. `toolCallId` where it asks several."""

    text: str = Field(max_length=1_000_000)
    tool_call_id: str = Field("", max_length=500)


class Health(Document):
    """Whether jobs can be started here."""

    status: Literal["ok", "stopping"]


class ExpertDocument(Document):
    """An expert that can be run. `isShipped`: it comes with Perstack."""

    key: str
    version: str
    description: str
    delegates: list[str]
    tags: list[str]
    is_shipped: bool


class Experts(Document):
    """The experts of this server: its own first, those that ship after them, delegates last."""

    experts: list[ExpertDocument]


class Failure(Document):
    """Why a job could not run or go on, and what to do."""

    message: str
    hint: str


class Links(Document):
    """Where the rest of a job is."""

    self: str
    events: str
    files: str
    report: str
    evidence: str | None
    patch: str | None


class JobDocument(Document):
    """A job. `isHere`: this server works on it or will. `question` is what it waits with for an answer.

    Times in milliseconds since 1970, 0 where not yet. `verdict` and `outcome` are those of `verify` and `fix`.
    """

    id: str
    kind: str
    status: JobStatus
    expert: str
    is_here: bool
    started_at: int
    finished_at: int
    total_steps: int
    usage: dict[str, Any]
    verdict: str | None = None
    outcome: str | None = None
    question: dict[str, Any] | None = None
    result: str | None = Field(default=None, description="What the expert of a `run` said at its end.")
    error: Failure | None = None
    problem: str | None = Field(default=None, description="What is wrong with its log; the part before it counts.")
    links: Links


class JobLine(Document):
    """A job in a list."""

    id: str
    kind: str
    status: JobStatus
    expert: str
    is_here: bool
    started_at: int
    finished_at: int
    total_steps: int


class JobList(Document):
    """A page of all jobs on record and in the queue, newest first. `total` counts them all."""

    jobs: list[JobLine]
    total: int


class FileLine(Document):
    """A file of a job. `size` in bytes."""

    path: str
    size: int
    link: str


class Files(Document):
    """The files that a job keeps: log, record, evidence, patch, pictures."""

    files: list[FileLine]


class ProblemDocument(Document):
    """What went wrong and where (`detail`), and what to do (`hint`)."""

    type: str
    title: str
    status: int
    detail: str
    hint: str | None = None
