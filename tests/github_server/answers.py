"""Requests and answers between the HTTP server and the routes, and GitHub's ways to say no."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.github_server.documents import Documents
from tests.github_server.state import Issue, Repository, State, Token

DOCS = "https://docs.github.com/rest"


@dataclass(frozen=True)
class Answer:
    """What is sent back; `body` None sends none."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Refused(Exception):
    """An answer that ends the handling of a request."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


@dataclass(frozen=True)
class Call:
    """One request that got through authentication, permission and validation."""

    state: State
    documents: Documents
    token: Token
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Any

    @property
    def repository(self) -> Repository:
        found = self.state.repositories.get(f"{self.path['owner']}/{self.path['repo']}")
        if found is None:
            raise not_found()
        return found

    @property
    def issue(self) -> Issue:
        """The issue or pull request that the path names."""
        number = int(self.path.get("issue_number") or self.path.get("pull_number") or 0)
        found = self.repository.issues.get(number)
        if found is None or ("pull_number" in self.path and found.pull is None):
            raise not_found()
        return found


Handler = Callable[[Call], Answer]


def not_found() -> Refused:
    """404 as GitHub says it."""
    return Refused(Answer(404, {"message": "Not Found", "documentation_url": DOCS, "status": "404"}))


def forbidden(message: str = "Resource not accessible by integration") -> Refused:
    """403 as GitHub says it."""
    return Refused(Answer(403, {"message": message, "documentation_url": DOCS, "status": "403"}))


def invalid(resource: str, field_name: str, message: str, code: str = "custom") -> Refused:
    """422 with one reason."""
    error = {"resource": resource, "field": field_name, "code": code, "message": message}
    return Refused(Answer(422, {"message": "Validation Failed", "errors": [error], "documentation_url": DOCS}))


def invalid_request(reason: str) -> Refused:
    """422 of the endpoints that check against a schema."""
    return Refused(Answer(422, {"message": f"Invalid request.\n\n{reason}", "documentation_url": DOCS}))


def utf16(text: str) -> int:
    """Length as GitHub's limits count it."""
    return len(text.encode("utf-16-le", errors="surrogatepass")) // 2
