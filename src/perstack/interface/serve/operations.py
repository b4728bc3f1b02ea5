"""What an operation of the server is: its address, what it takes, what it answers. Carries requests to handlers.

One table of operations makes both the routes and their description, so neither can say what the other does not do.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from perstack.core.errors import PerstackError
from perstack.interface.serve.limits import Limits
from perstack.interface.serve.problems import Problem, problem_of

_READ_AWAY, _READ_AWAY_S = 32_000_000, 2.0


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of an address or a query. `many`: it may be given several times."""

    name: str
    about: str
    kind: str = "string"
    many: bool = False
    choices: Sequence[str] = ()
    low: int = 0
    high: int = 0
    pattern: str = ""

    def read(self, given: Sequence[str]) -> Any:
        """The value of a query. Raises: Problem where it is none."""
        if len(given) > 1 and not self.many:
            raise Problem("bad-request", f"`{self.name}` is given {len(given)} times", "Give it once.")
        if self.kind == "integer":
            return self._number(given[0])
        if self.choices and given[0] not in self.choices:
            told = ", ".join(self.choices)
            raise Problem("bad-request", f"`{self.name}` is {given[0][:100]!r}", f"Give one of {told}.")
        return list(given) if self.many else given[0]

    def _number(self, text: str) -> int:
        if text.isascii() and text.isdigit() and len(text) <= 12 and self.low <= int(text) <= self.high:
            return int(text)
        raise Problem(
            "bad-request", f"`{self.name}` is {text[:100]!r}", f"Give a number from {self.low} to {self.high}."
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of an operation: a document, or another kind of text with its media types."""

    about: str
    model: type[BaseModel] | None = None
    media: Sequence[str] = ()
    has_place: bool = False  # a Location header


@dataclass(frozen=True, slots=True)
class Call:
    """A request as a handler gets it: read, and of the right shape."""

    path: Mapping[str, str]
    query: Mapping[str, Any]
    body: Any
    headers: Mapping[str, str]


Handler = Callable[[Call], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one address. `problems` are the kinds it can end with besides those every operation can."""

    method: str
    path: str
    name: str
    summary: str
    handler: Handler
    answers: Mapping[int, Answer]
    about: str = ""
    query: Sequence[Parameter] = ()
    headers: Sequence[Parameter] = ()
    body: type[BaseModel] | None = None
    problems: Sequence[str] = ()
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """All operations of one address, as the endpoint of a route."""

    operations: Mapping[str, Operation]
    limits: Limits = field(default_factory=Limits)

    async def __call__(self, request: Request) -> Response:
        """Read, check, carry out; what goes wrong is a problem."""
        try:
            operation = self._operation(request)
            query = _query(operation, request)
            body = None if operation.body is None else await self._body(operation.body, request)
            return await operation.handler(Call(request.path_params, query, body, request.headers))
        except Problem as problem:
            return problem.response()
        except PerstackError as error:
            return problem_of(error).response()

    def _operation(self, request: Request) -> Operation:
        """Raises: Problem for a method that the address does not take."""
        found = self.operations.get(request.method)
        if found is None:
            told = ", ".join(sorted(self.operations))
            what = f"{request.method} {request.url.path[:200]}"
            raise Problem("wrong-method", what, f"Use {told}.", headers={"allow": told})
        return found

    async def _body(self, model: type[BaseModel], request: Request) -> BaseModel:
        """Raises: Problem where it is too large, too slow, no JSON, or not what the route takes."""
        media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media != "application/json":
            raise Problem("wrong-type", f"the body is {media[:100] or 'of no type'}", "Send application/json.")
        data = await _bytes(request, self.limits)
        try:
            # By way of Python's own reader: JSON's numbers and texts keep their kinds, and a body too deep is caught.
            parsed = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise Problem("bad-request", f"the body is no JSON: {str(error)[:200]}", "Send a JSON object.") from None
        try:
            return model.model_validate(parsed)
        except ValidationError as error:
            raise Problem("bad-body", _told(error), "See /openapi.json for what this route takes.") from None


async def _bytes(request: Request, limits: Limits) -> bytes:
    stated = request.headers.get("content-length", "0")
    if stated.isdigit() and int(stated) > limits.body and "expect" in request.headers:
        raise _too_large(limits.body)  # who asks first has sent nothing yet
    found = bytearray()
    try:
        with anyio.fail_after(limits.body_s):
            parts = request.stream()
            async for part in parts:
                found += part
                if len(found) > limits.body:
                    await _read_away(parts)
                    raise _too_large(limits.body)
    except TimeoutError:
        raise Problem("too-slow", f"no whole body within {limits.body_s:g} s", "Send it at once.") from None
    except ClientDisconnect:
        raise Problem("bad-request", "the body ended before its end", "Send all of it.") from None
    return bytes(found)


async def _read_away(parts: AsyncIterator[bytes]) -> None:
    """Some of the rest: a connection that is closed with much unread takes the answer with it."""
    size = 0
    with anyio.move_on_after(_READ_AWAY_S):
        async for part in parts:
            size += len(part)
            if size > _READ_AWAY:
                return


def _too_large(most: int) -> Problem:
    return Problem("too-large", f"the body has more than {most:,} bytes", "Send less.", headers={"connection": "close"})


def _query(operation: Operation, request: Request) -> dict[str, Any]:
    """Raises: Problem for a parameter that the operation does not have, or a value that is none."""
    known = {parameter.name: parameter for parameter in operation.query}
    found: dict[str, Any] = {}
    for name in dict.fromkeys(name for name, _ in request.query_params.multi_items()):
        if name not in known:
            told = ", ".join(known) or "none"
            raise Problem("bad-request", f"there is no parameter {name[:100]!r}", f"There are: {told}.")
        found[name] = known[name].read(request.query_params.getlist(name))
    return found


def _told(error: ValidationError) -> str:
    """What pydantic found wrong, at most five things, each with its place in the body."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    lines = [f"{'.'.join(map(str, one['loc'])) or 'the body'}: {one['msg']}" for one in found[:5]]
    return "; ".join(lines) + (f"; and {len(found) - 5} more" if len(found) > 5 else "")
