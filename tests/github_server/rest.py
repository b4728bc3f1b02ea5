"""The REST side: authentication, limits, the judge before and after each route, pages, ETags."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

from tests.github_server.answers import DOCS, Answer, Call, Refused, forbidden, not_found
from tests.github_server.documents import Documents
from tests.github_server.graphql import Graphql
from tests.github_server.openapi import Description, Operation
from tests.github_server.routes import ROUTES
from tests.github_server.routes_actions import ACTIONS_ROUTES
from tests.github_server.routes_checks import CHECK_ROUTES
from tests.github_server.routes_git import GIT_ROUTES
from tests.github_server.routes_reviews import REVIEW_ROUTES
from tests.github_server.state import State, Token

_ROUTES = {**ROUTES, **CHECK_ROUTES, **GIT_ROUTES, **ACTIONS_ROUTES, **REVIEW_ROUTES}
_LIMIT = 5000


class Rest:
    """Answers REST requests from the state. Everything GitHub's description objects to is kept as a violation."""

    def __init__(self, state: State, description: Description, url: str) -> None:
        self._state = state
        self._description = description
        self.documents = Documents(url)
        self._graphql = Graphql(state)
        self._url = url

    def answer(self, verb: str, target: str, headers: Mapping[str, str], raw: bytes) -> Answer:
        """Answer one request; `target` is the path with its query."""
        path, _, query_text = target.partition("?")
        query = dict(parse_qsl(query_text, keep_blank_values=True))
        with self._state.lock:
            try:
                body = json.loads(raw) if raw else None
                json.dumps(body, ensure_ascii=False).encode()  # half characters are no text
            except ValueError:
                return self._finish(Answer(400, {"message": "Problems parsing JSON", "documentation_url": DOCS}))
            entry = {"method": verb, "path": path, "query": query, "body": body, "at": time.monotonic()}
            self._state.requests.append(entry)
            try:
                if path == "/graphql":
                    answer = self._graphql.answer(self._authenticate(headers), body, len(raw))
                else:
                    answer = self._route(verb, path, query, headers, body)
            except Refused as refused:
                answer = refused.answer
            return self._finish(answer, headers)

    def _route(self, verb: str, path: str, query: dict[str, str], headers: Mapping[str, str], body: Any) -> Answer:
        token = self._authenticate(headers)
        found = self._description.find(verb, path)
        if found is None:
            self._object(f"{verb} {path}", ["GitHub's description has no such operation"])
            raise not_found()
        operation, parameters = found
        objections = list(self._description.check_request(operation, parameters, query, body))
        self._object(operation.key, objections)
        if objections:
            raise Refused(Answer(422, {"message": "Invalid request.\n\n" + "\n".join(objections)}))
        if operation.key not in _ROUTES:
            self._object(operation.key, ["the test server does not know this operation"])
            raise not_found()
        permission, handler = _ROUTES[operation.key]
        if not _may(token, permission):
            raise forbidden()
        answer = handler(Call(self._state, self.documents, token, parameters, query, body))
        answer = self._paged(answer, path, query)
        return self._judged(operation, answer)

    def _authenticate(self, headers: Mapping[str, str]) -> Token:
        scheme, _, value = headers.get("Authorization", "").partition(" ")
        token = self._state.tokens.get(value) if scheme.lower() in {"bearer", "token"} else None
        if token is None:
            message = "Bad credentials" if value else "Requires authentication"
            raise Refused(Answer(401, {"message": message, "documentation_url": DOCS, "status": "401"}))
        if self._state.rate_remaining <= 0:
            message = f"API rate limit exceeded for installation ID {token.user.id}."
            raise Refused(Answer(403, {"message": message, "documentation_url": DOCS}))
        self._state.rate_remaining -= 1
        return token

    def _judged(self, operation: Operation, answer: Answer) -> Answer:
        body = self._description.complete(operation, answer.status, answer.body)
        self._object(operation.key, self._description.check_response(operation, answer.status, body))
        return Answer(answer.status, body, answer.headers)

    def _object(self, where: str, objections: Any) -> None:
        self._state.violations.extend(f"{where}: {objection}" for objection in objections)

    def _paged(self, answer: Answer, path: str, query: dict[str, str]) -> Answer:
        """Cut a list to its page, with the `Link` header."""
        body = answer.body
        name = next((n for n in ("check_runs", "jobs", "artifacts") if isinstance(body, dict) and n in body), "")
        items = body[name] if name else body
        if answer.status != 200 or not isinstance(items, list):
            return answer
        size, page = min(int(query.get("per_page", 30)), 100), int(query.get("page", 1))
        last = max(1, -(-len(items) // size))
        shown = items[(page - 1) * size : page * size]
        pages = {"prev": page - 1, "next": page + 1, "last": last, "first": 1}
        links = [
            f'<{self._url}{path}?{urlencode({**query, "page": number})}>; rel="{rel}"'
            for rel, number in pages.items()
            if (page > 1 if rel in {"prev", "first"} else page < last)
        ]
        headers = {"Link": ", ".join(links)} if links else {}
        return Answer(200, {**body, name: shown} if name else shown, headers)

    def _finish(self, answer: Answer, request_headers: Mapping[str, str] | None = None) -> Answer:
        remaining = max(0, self._state.rate_remaining)
        headers = {
            "X-RateLimit-Limit": str(_LIMIT), "X-RateLimit-Remaining": str(remaining),
            "X-RateLimit-Reset": str(self._state.rate_reset),
            "X-RateLimit-Used": str(_LIMIT - remaining), "X-RateLimit-Resource": "core", **answer.headers,
        }  # fmt: skip
        if answer.status == 200:
            etag = '"' + hashlib.sha256(json.dumps(answer.body).encode()).hexdigest() + '"'
            headers["ETag"] = etag
            if (request_headers or {}).get("If-None-Match") == etag:
                self._state.rate_remaining += 1  # what is the same as before costs nothing
                headers["X-RateLimit-Remaining"] = str(self._state.rate_remaining)
                return Answer(304, None, headers)
        return Answer(answer.status, answer.body, headers)


def _may(token: Token, permission: tuple[str, str]) -> bool:
    """Conversations of pull requests are open to tokens for issues and for pull requests alike."""
    name, level = permission
    return token.may(name, level) or (name == "issues" and token.may("pull-requests", level))
