"""Errors as the people and programs at the other end read them: `application/problem+json`. Decides nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from perstack.core.errors import BudgetExceeded, PerstackError, UserError

MEDIA = "application/problem+json"

# Every kind of problem this server tells: its word, its status, and what it is about.
KINDS: Mapping[str, tuple[int, str]] = {
    "bad-request": (400, "The request cannot be understood"),
    "bad-body": (422, "The body is not what this route takes"),
    "bad-filter": (400, "The filter is no filter"),
    "token-in-address": (400, "A token was given in the address"),
    "no-token": (401, "The token is missing or wrong"),
    "foreign-origin": (403, "Pages of this origin may not ask"),
    "not-found": (404, "There is nothing here"),
    "no-such-job": (404, "There is no such job"),
    "no-such-event": (404, "The job has no such event"),
    "no-such-file": (404, "The job has no such file"),
    "wrong-method": (405, "This route does not take this method"),
    "too-slow": (408, "The body took too long"),
    "conflict": (409, "The job is not in a state for this"),
    "too-large": (413, "The body is too large"),
    "wrong-type": (415, "The body is not JSON"),
    "wrong-host": (421, "The request was meant for another host"),
    "too-many-jobs": (429, "The queue is full"),
    "too-many-followers": (429, "Too many streams are open"),
    "refused": (400, "The job cannot be started like this"),
    "failed": (500, "The machinery failed"),
    "bug": (500, "A bug of perstack"),
    "stopping": (503, "The server is stopping"),
}


class Problem(Exception):
    """What ends a request: `detail` says what and where, `hint` what to do."""

    def __init__(self, kind: str, detail: str, hint: str = "", *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.kind, self.detail, self.hint = kind, detail, hint
        self.headers = dict(headers or {})

    @property
    def status(self) -> int:
        """The HTTP status."""
        return KINDS[self.kind][0]

    def to_json(self) -> dict[str, Any]:
        """The fields of RFC 9457, and `hint`."""
        status, title = KINDS[self.kind]
        told = {"type": f"urn:perstack:problem:{self.kind}", "title": title, "status": status, "detail": self.detail}
        return {**told, **({"hint": self.hint} if self.hint else {})}

    def response(self) -> Response:
        """The answer."""
        body = json.dumps(self.to_json()).encode()
        return Response(body, status_code=self.status, media_type=MEDIA, headers=self.headers)


def problem_of(error: PerstackError, kind: str = "refused") -> Problem:
    """An error of ours as a problem: what the caller got wrong is `kind`, the rest our failure."""
    is_theirs = isinstance(error, UserError | BudgetExceeded)
    return Problem(kind if is_theirs else "failed", error.message, error.hint)
