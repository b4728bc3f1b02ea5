"""Requests to GitHub's REST API through PyGithub's requester: one call here is one request (and its retries) there.

PyGithub's object model is not used, because its objects fetch what they lack when an attribute is read. What it does
well is: authentication, waiting as rate limits ask, spacing, connections, GitHub Enterprise base URLs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from github import Auth, Github, GithubException, GithubRetry

from perstack.core.errors import ForgeError
from perstack.core.json import Json
from perstack.forge.github_errors import explain, unreachable

ACTIONS_BOT_ID = 41898282  # github-actions[bot], whom GITHUB_TOKEN acts as
PAGE = 100
Query = Mapping[str, str | int]
_RETRIES = 4
_CREATE_ATTEMPTS = 3
_LIMIT_STATUSES = frozenset({403, 429})


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
    retry_wait_s: float = 1.0
    limit_wait_s: float = 60.0  # without `retry-after`, GitHub asks for a minute at least
    longest_wait_s: float = 300.0
    timeout_s: int = 20
    max_annotations: int = 500


class _Retry(GithubRetry):
    """PyGithub's retry, except that what creates is repeated only when GitHub surely did nothing.

    A server error or a lost connection may hide a success: `Rest.create` looks before it tries again.
    """

    def is_retry(self, method: str, status_code: int, has_retry_after: bool = False) -> bool:
        if method.upper() == "POST":
            return status_code in _LIMIT_STATUSES
        return super().is_retry(method, status_code, has_retry_after)


class Rest:
    """The API of one repository. Thread-safe: one request at a time, as GitHub asks for writes."""

    def __init__(self, settings: GithubSettings) -> None:
        retry = _Retry(
            total=_RETRIES,
            backoff_factor=settings.retry_wait_s,
            secondary_rate_wait=settings.limit_wait_s,
            max_rate_limit_wait=settings.longest_wait_s,
            retry_after_max=int(settings.longest_wait_s),
            status_forcelist=[429, *range(500, 600)],
            allowed_methods=frozenset({"GET", "PATCH", "PUT", "DELETE"}),
        )
        self._github = Github(
            auth=Auth.Token(settings.token),
            base_url=settings.api_url.rstrip("/"),
            timeout=settings.timeout_s,
            retry=retry,
            per_page=PAGE,
            seconds_between_requests=0,
            seconds_between_writes=settings.seconds_between_writes,
            user_agent="perstack",
        )
        self._root = f"/repos/{quote(settings.repository, safe='/')}"
        self._wait_s = settings.retry_wait_s
        self._secret = settings.token
        self._lock = threading.Lock()

    def get(self, path: str, what: str, query: Query | None = None, *, permission: str = "") -> Any:
        """One GET below the repository. Raises: ForgeError."""
        return self._request("GET", self._root + path, what, permission, parameters=query)

    def get_or_none(self, path: str, what: str, query: Query | None = None) -> Any:
        """One GET, None where there is nothing. Raises: ForgeError for everything else than 404."""
        try:
            return self.get(path, what, query)
        except ForgeError as error:
            if error.status == 404:
                return None
            raise

    def get_user(self) -> Any:
        """Who the token belongs to. Raises: ForgeError for tokens of installations, which belong to nobody."""
        return self._request("GET", "/user", "ask who the token belongs to", "")

    def pages(self, path: str, what: str, *, most: int) -> Iterator[Mapping[str, Any]]:
        """Items of a list, page by page, at most `most` pages. Raises: ForgeError."""
        for page in range(1, most + 1):
            items = self.get(path, what, {"per_page": PAGE, "page": page})
            yield from items
            if len(items) < PAGE:
                return

    def post(self, path: str, body: Mapping[str, Json], what: str, *, permission: str = "") -> Any:
        """One POST. Raises: ForgeError."""
        return self._request("POST", self._root + path, what, permission, body=body)

    def patch(self, path: str, body: Mapping[str, Json], what: str, *, permission: str = "") -> Any:
        """One PATCH. Raises: ForgeError."""
        return self._request("PATCH", self._root + path, what, permission, body=body)

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
        attempt = 1
        while True:
            try:
                created: Mapping[str, Any] = self.post(path, body, what, permission=permission)
            except ForgeError as error:
                if attempt == _CREATE_ATTEMPTS or (error.status is not None and error.status < 500):
                    raise
            else:
                return created
            time.sleep(self._wait_s * attempt)
            attempt += 1
            found = find()
            if found is not None:
                return found

    def _request(
        self,
        verb: str,
        url: str,
        what: str,
        permission: str,
        *,
        parameters: Query | None = None,
        body: Mapping[str, Json] | None = None,
    ) -> Any:
        try:
            with self._lock:
                _, data = self._github.requester.requestJsonAndCheck(
                    verb, url, parameters=dict(parameters or {}), input=body
                )
        except GithubException as error:
            raise self._clean(explain(what, error.status, error.data, permission=permission)) from None
        except (OSError, RuntimeError) as error:  # all of `requests` derives from OSError; bad redirects are the other
            raise unreachable(what, error) from None
        return data

    def _clean(self, error: ForgeError) -> ForgeError:
        """No token in any message, should the server have repeated it."""
        error.message = error.message.replace(self._secret, "***") if self._secret else error.message
        return error
