"""Requests to GitHub's API over PyGithub's requester: waits as GitHub asks, never without an end, reads conditionally.

PyGithub's object model is not used, because its objects fetch what they lack when an attribute is read. What its
requester does well is: authentication, connections, GitHub Enterprise base URLs. Waiting and repeating is done here,
because what may be repeated depends on what it does.
"""

from __future__ import annotations

import json
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from github import Auth, Github, GithubException

from perstack.core.errors import ForgeError
from perstack.core.json import Json
from perstack.forge.github_download import download
from perstack.forge.github_errors import explain, limit_lasts, moved, unreachable
from perstack.forge.github_pace import Waits, limit_wait, pace_of

ACTIONS_BOT_ID = 41898282  # github-actions[bot], whom GITHUB_TOKEN acts as
PAGE = 100
Query = Mapping[str, str | int]
_CREATE_ATTEMPTS = 3
_REMEMBERED = 64  # answers kept for conditional requests
_REMEMBERED_BYTES = 512 * 1024


@dataclass(frozen=True, slots=True)
class GithubSettings:
    """Where and as whom. Times in seconds. `api_url` is `https://HOST/api/v3` on GitHub Enterprise Server."""

    repository: str
    token: str = field(repr=False)
    api_url: str = "https://api.github.com"
    summary_path: Path | None = None
    output_path: Path | None = None
    details_url: str = ""  # what a check run links to: the workflow run
    author_ids: frozenset[int] = frozenset({ACTIONS_BOT_ID})
    seconds_between_writes: float = 1.0
    waits: Waits = field(default_factory=Waits)
    timeout_s: int = 20
    max_annotations: int = 500


@dataclass(frozen=True, slots=True)
class _Request:
    """`repeat`: doing it twice is the same as once."""

    verb: str
    url: str
    body: Mapping[str, Json] | None = None
    query: Query = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    repeat: bool = False
    write: bool = True
    redirect: bool = False  # the answer is an address


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    data: Any
    size: int = 0


_NOT_SENT = _Answer(0, {}, None)


class Rest:
    """The API as one repository's. Thread-safe: one request at a time, as GitHub asks for writes."""

    def __init__(self, settings: GithubSettings) -> None:
        self._github = Github(
            auth=Auth.Token(settings.token),
            base_url=settings.api_url.rstrip("/"),
            timeout=settings.timeout_s,
            retry=None,
            per_page=PAGE,
            seconds_between_requests=0,
            seconds_between_writes=0,
            user_agent="perstack",
        )
        self._settings = settings
        self._waits = settings.waits
        self._pace = pace_of(settings.api_url)
        self._root = f"/repos/{quote(settings.repository, safe='/')}"
        self._spent = 0.0
        self._remembered: OrderedDict[str, tuple[str, _Answer]] = OrderedDict()

    # Reading

    def get(self, path: str, what: str, query: Query | None = None, *, permission: str = "") -> Any:
        """One GET below the repository; what did not change is not sent again. Raises: ForgeError."""
        return self._read(self._root + path, what, query, permission).data

    def get_or_none(self, path: str, what: str, query: Query | None = None, *, permission: str = "") -> Any:
        """One GET, None where there is nothing. Raises: ForgeError for everything else than 404."""
        try:
            return self.get(path, what, query, permission=permission)
        except ForgeError as error:
            if error.status == 404:
                return None
            raise

    def get_global(self, path: str, what: str, *, permission: str = "") -> Any:
        """One GET outside of the repository. Raises: ForgeError."""
        return self._read(path, what, None, permission).data

    def pages(
        self, path: str, what: str, *, most: int, items: str = "", query: Query | None = None, permission: str = ""
    ) -> Iterator[Mapping[str, Any]]:
        """Entries of a list in its order, at most `most` pages. Raises: ForgeError.

        `items` is the name of the list where it comes in an object.
        """
        for page in range(1, most + 1):
            data = self.get(path, what, {**(query or {}), "per_page": PAGE, "page": page}, permission=permission)
            entries = data[items] if items else data
            yield from entries
            if len(entries) < PAGE:
                return

    def newest_pages(self, path: str, what: str, *, most: int, permission: str = "") -> Iterator[Mapping[str, Any]]:
        """Entries of a list that GitHub gives oldest first: its first page, then its last ones, each backwards.

        What is looked for is mostly among the first or among the last. Raises: ForgeError.
        """
        first = self._read(self._root + path, what, {"per_page": PAGE, "page": 1}, permission)
        yield from reversed(first.data)
        last = _last_page(first.headers.get("link", ""))
        for page in range(last, max(1, last - most + 1), -1):
            yield from reversed(self.get(path, what, {"per_page": PAGE, "page": page}, permission=permission))

    def download(self, path: str, what: str, *, most: int, keep_end: int = 0, permission: str = "") -> bytes:
        """What GitHub keeps on another host, fetched there without our token. Raises: ForgeError.

        More than `most` bytes are refused, or, with `keep_end`, the last so many bytes of the first `most` are kept.
        """
        request = _Request("GET", self._root + path, repeat=True, write=False, redirect=True)
        answer = self._send(what, permission, request)
        location = answer.headers.get("location", "")
        if answer.status not in {302, 307} or not location:
            raise ForgeError(f"cannot {what}: GitHub did not say where it is.", status=answer.status)
        return download(
            location, what, most=most, keep_end=keep_end, timeout_s=self._settings.timeout_s,
            plain=self._settings.api_url.startswith("http://"), retry_wait_s=self._waits.retry,
        )  # fmt: skip

    # Writing

    def post(self, path: str, body: Mapping[str, Json] | None, what: str, *, permission: str = "") -> Any:
        """One POST, repeated only where GitHub surely did nothing. Raises: ForgeError."""
        return self._send(what, permission, _Request("POST", self._root + path, body)).data

    def patch(
        self, path: str, body: Mapping[str, Json], what: str, *, permission: str = "", repeat: bool = True
    ) -> Any:
        """One PATCH; `repeat` where doing it twice is the same as once. Raises: ForgeError."""
        return self._send(what, permission, _Request("PATCH", self._root + path, body, repeat=repeat)).data

    def delete(self, path: str, what: str, *, permission: str = "") -> None:
        """One DELETE. Raises: ForgeError."""
        self._send(what, permission, _Request("DELETE", self._root + path, repeat=True))

    def create(
        self,
        path: str,
        body: Mapping[str, Json],
        what: str,
        *,
        permission: str,
        find: Callable[[], Mapping[str, Any] | None],
    ) -> Mapping[str, Any]:
        """Create something exactly once: after an answer that leaves it open, `find` is asked before the next try.

        Raises: ForgeError.
        """

        def work() -> Mapping[str, Any]:
            created: Mapping[str, Any] = self.post(path, body, what, permission=permission)
            return created

        return self.exactly_once(work, find)

    def exactly_once(
        self, work: Callable[[], Mapping[str, Any]], find: Callable[[], Mapping[str, Any] | None]
    ) -> Mapping[str, Any]:
        """Do a piece of work again only when `find` does not see what it leaves. Raises: ForgeError."""
        attempt = 1
        while True:
            try:
                return work()
            except ForgeError as error:
                if attempt == _CREATE_ATTEMPTS or not is_uncertain(error):
                    raise
            time.sleep(self._waits.retry * attempt)
            attempt += 1
            found = find()
            if found is not None:
                return found

    def graphql(self, document: str, variables: Mapping[str, Json], what: str, *, write: bool, permission: str) -> Any:
        """One GraphQL document: the whole answer, `errors` included. A mutation is not repeated. Raises: ForgeError."""
        body: dict[str, Json] = {"query": document, "variables": dict(variables)}
        url = self._github.requester.graphql_url
        return self._send(what, permission, _Request("POST", url, body, repeat=not write, write=write)).data

    # Inside

    def _read(self, url: str, what: str, query: Query | None, permission: str) -> _Answer:
        key = f"{url}?{urlencode(sorted((query or {}).items()))}"
        etag, known = self._remembered.get(key, ("", None))
        headers = {"If-None-Match": etag} if known else {}
        request = _Request("GET", url, query=query or {}, headers=headers, repeat=True, write=False)
        answer = self._send(what, permission, request)
        if answer.status == 304 and known:
            self._remembered.move_to_end(key)
            return known
        if answer.headers.get("etag") and answer.size <= _REMEMBERED_BYTES:
            self._remembered[key] = (answer.headers["etag"], answer)
            if len(self._remembered) > _REMEMBERED:
                self._remembered.popitem(last=False)
        return answer

    def _send(self, what: str, permission: str, request: _Request) -> _Answer:
        """One request with the waits it needs. What may not be repeated is sent again only after a limit."""
        attempt = 0
        while True:
            attempt += 1
            began = time.monotonic()
            try:
                with self._pace.turn(write=request.write, spacing=self._settings.seconds_between_writes):
                    wait = self._pace.closed_for() or None
                    answer = _NOT_SENT if wait else self._exchange(request)
                    wait = wait or self._limit(answer, attempt)
            except (RuntimeError, AssertionError):  # PyGithub follows nothing to another host
                raise moved(what, 301) from None
            except OSError as error:  # all of `requests` derives from it
                self._spent += time.monotonic() - began
                if not (request.repeat and self._wait(self._backoff(attempt), attempt)):
                    raise self._clean(unreachable(what, error)) from None
                continue
            if wait is not None:
                if not self._wait(wait, attempt):
                    raise limit_lasts(what, wait)
            elif answer.status >= 500 and request.repeat and self._wait(self._backoff(attempt), attempt):
                continue
            elif answer.status >= 400:
                raise self._clean(explain(what, answer.status, answer.data, permission=permission))
            elif answer.status >= 300 and answer.status != 304 and not request.redirect:
                raise moved(what, answer.status)
            else:
                return answer

    def _limit(self, answer: _Answer, attempt: int) -> float | None:
        """Seconds to wait for a limit to end; nobody else of this process may send anything before."""
        wait = limit_wait(
            answer.status, answer.headers, answer.data, attempt=attempt, waits=self._waits, now=time.time()
        )
        if wait is not None:
            self._pace.close(wait)
        return wait

    def _exchange(self, request: _Request) -> _Answer:
        try:
            status, received, text = self._github.requester.requestJson(
                request.verb,
                request.url,
                parameters=dict(request.query),
                headers=dict(request.headers),
                input=request.body,
            )
        except GithubException as error:
            return _Answer(error.status, error.headers or {}, error.data)
        try:
            data = json.loads(text) if text else None
        except ValueError:  # a proxy's page, a log
            data = {"message": ""}
        return _Answer(status, received, data, len(text))

    def _backoff(self, attempt: int) -> float:
        return float(self._waits.retry * 2 ** (attempt - 1))

    def _wait(self, seconds: float, attempt: int) -> bool:
        """Wait before the next attempt; False where there is to be none."""
        waits = self._waits
        if attempt >= waits.attempts or seconds > min(waits.longest, waits.patience - self._spent):
            return False
        self._spent += seconds
        time.sleep(seconds)
        return True

    def _clean(self, error: ForgeError) -> ForgeError:
        """No token in any message, should the server have repeated it."""
        token = self._settings.token
        error.message = error.message.replace(token, "***") if token else error.message
        return error


def is_uncertain(error: ForgeError) -> bool:
    """Whether a request that failed may have been carried out all the same."""
    return error.status is None or error.status >= 500


def _last_page(link: str) -> int:
    """The number of a list's last page from its `Link` header; 1 where it has only one."""
    for part in link.split(","):
        address, _, about = part.partition(";")
        if 'rel="last"' in about:
            _, _, query = address.strip(" <>").partition("?")
            pages = [pair.removeprefix("page=") for pair in query.split("&") if pair.startswith("page=")]
            return int(pages[-1]) if pages and pages[-1].isdigit() else 1
    return 1
