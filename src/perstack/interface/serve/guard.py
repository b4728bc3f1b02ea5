"""What stands before every route: host, origin, token, size of headers. An ASGI layer; knows no route.

Threats: a page in the user's browser that asks this server (by its own name after DNS rebinding, or across origins);
another user's process on this machine; two lengths of one body, which a proxy and we would read differently. There
are no cookies, and a token in the address is refused, used or not: addresses end up in logs and histories.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import parse_qsl

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from perstack.interface.serve.connections import trust
from perstack.interface.serve.limits import Access
from perstack.interface.serve.problems import Problem
from perstack.interface.serve.token import is_same

# Told to whoever asks, as nothing in them is worth a token: whether it works, and what it can do.
OPEN = frozenset({"/v1/health", "/openapi.json"})
_TOKEN_NAMES = frozenset({"token", "access_token", "auth", "authorization", "api_key", "apikey", "key", "bearer"})
_SAFE = {
    b"x-content-type-options": b"nosniff",
    b"cache-control": b"no-store",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-resource-policy": b"same-origin",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
}


@dataclass(frozen=True, slots=True)
class Guard:
    """Lets in who may come in, and adds the headers that keep browsers careful."""

    app: ASGIApp
    access: Access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin", "")
        careful = _with_headers(send, origin if origin in self.access.origins else "")
        try:
            self._check_way(scope, headers, origin)
            if scope["method"] == "OPTIONS" and origin and "access-control-request-method" in headers:
                await Response(status_code=204)(scope, receive, careful)
                return
            self._check_token(scope, headers)
        except Problem as problem:
            await problem.response()(scope, receive, careful)
            return
        await self.app(scope, receive, careful)

    def _check_way(self, scope: Scope, headers: Headers, origin: str) -> None:
        """Raises: Problem for a request that came by a way that none of ours comes."""
        if headers.get("host", "").lower() not in self.access.hosts:
            raise Problem(
                "wrong-host",
                f"this server is not called {headers.get('host', '')[:200]!r}",
                f"Call it {', '.join(sorted(self.access.hosts))}; other names are given with --allow-host.",
            )
        if "transfer-encoding" in headers and "content-length" in headers:
            raise Problem("bad-request", "two lengths of one body: Content-Length and Transfer-Encoding", "Send one.")
        foreign = headers.get("sec-fetch-site", "") in {"cross-site", "same-site"}
        if (origin or foreign) and origin not in self.access.origins:
            raise Problem(
                "foreign-origin",
                f"a page of {origin[:200] or 'another site'} asks",
                "Start the server with --allow-origin ORIGIN where that is wanted.",
            )
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True, max_num_fields=None)
        if any(name.lower().replace("-", "_") in _TOKEN_NAMES for name, _ in query):
            raise Problem(
                "token-in-address", "a token in the address ends up in logs", "Send it as `Authorization: Bearer …`."
            )

    def _check_token(self, scope: Scope, headers: Headers) -> None:
        """Raises: Problem where the token is missing, wrong, or given twice."""
        if scope["path"] in OPEN:
            return
        given = headers.getlist("authorization")
        scheme, _, token = given[0].strip().partition(" ") if len(given) == 1 else ("", "", "")
        if scheme.lower() != "bearer" or not is_same(token.strip(), self.access.token):
            raise Problem(
                "no-token",
                "the token is missing" if not given else "the token is wrong",
                "Send `Authorization: Bearer TOKEN`: the one printed at the start, or that of --token-file.",
                headers={"www-authenticate": "Bearer"},
            )
        trust(scope)


def _with_headers(send: Send, origin: str) -> Callable[[Message], Awaitable[None]]:
    async def careful(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = {name for name, _ in message["headers"]}
            more = [(name, value) for name, value in _SAFE.items() if name not in given]
            if origin:
                more += [
                    (b"access-control-allow-origin", origin.encode("latin-1")),
                    (b"access-control-allow-methods", b"GET, POST"),
                    (b"access-control-allow-headers", b"authorization, content-type, last-event-id"),
                    (b"access-control-max-age", b"600"),
                    (b"vary", b"origin"),
                ]
            message = {**message, "headers": [*message["headers"], *more]}
        await send(message)

    return careful
