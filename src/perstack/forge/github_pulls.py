"""Pull requests on GitHub: read one, open one a branch. Merges and approves nothing."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from perstack.core.errors import ForgeError
from perstack.core.json import Json
from perstack.forge.contract import PullRequest, PullRequestRequest, Ref
from perstack.forge.github_rest import PAGE, Rest
from perstack.forge.limits import COMMENT_LIMIT, TITLE_LIMIT, fit, shorten

_READ = "pull-requests: read"
_WRITE = "pull-requests: write"
_MOST_OF_COMMIT = 10


class PullRequests:
    """The pull requests of one repository."""

    def __init__(self, rest: Rest, repository: str, redact: Callable[[str], str]) -> None:
        self._rest = rest
        self._repository = repository
        self._owner = repository.partition("/")[0]
        self._redact = redact

    def read(self, number: int) -> PullRequest:
        """As it is now. Raises: ForgeError."""
        return self._as_it_is(self._rest.get(f"/pulls/{number}", f"read pull request #{number}", permission=_READ))

    def of_commit(self, sha: str) -> tuple[PullRequest, ...]:
        """Open ones whose head is this commit, also from forks; the first hundred. Raises: ForgeError."""
        path, what = f"/commits/{quote(sha, safe='')}/pulls", f"look for pull requests of {sha[:12]}"
        try:
            listed = self._rest.get(path, what, {"per_page": PAGE}, permission=_READ)
        except ForgeError as error:
            if error.status in {404, 422}:  # no such commit here
                return ()
            raise
        ours = (p for p in listed if p["state"] == "open" and p["head"]["sha"] == sha and self._is_into_here(p))
        return tuple(self.read(p["number"]) for p in itertools.islice(ours, _MOST_OF_COMMIT))

    def _is_into_here(self, data: Mapping[str, Any]) -> bool:
        """A fork's own pull requests about the same commit are listed as well."""
        return bool(data["base"]["repo"]["full_name"].lower() == self._repository.lower())

    def _as_it_is(self, data: Mapping[str, Any]) -> PullRequest:
        number = data["number"]
        head, base = data["head"], data["base"]
        repository = head.get("repo") or {}
        is_fork = repository.get("id") != base["repo"]["id"]
        exists = bool(repository) if is_fork or data["state"] != "open" else self._branch_exists(head["ref"])
        return PullRequest(
            number=number,
            state=data["state"],
            head_sha=head["sha"],
            head_ref=head["ref"],
            head_repository_id=repository.get("id") or 0,
            base_sha=base["sha"],
            base_ref=base["ref"],
            title=data["title"],
            body=data.get("body") or "",
            is_fork=is_fork,
            draft=bool(data.get("draft")),
            head_exists=exists,
            url=data["html_url"],
        )

    def _branch_exists(self, branch: str) -> bool:
        path = f"/git/ref/heads/{quote(branch, safe='/')}"
        return self._rest.get_or_none(path, f"read the branch `{branch}`") is not None

    def open(self, request: PullRequestRequest) -> Ref:
        """Open one, or update the texts of the open one of the same branches. Raises: ForgeError."""
        texts: dict[str, Json] = {
            "title": shorten(self._redact(request.title), TITLE_LIMIT),
            "body": fit(self._redact(request.body), COMMENT_LIMIT),
        }
        if (number := self._find_open(request)) == 0:
            created = self._create(request, texts)
            if created is not None:
                return created
            number = self._find_open(request)
        data = self._rest.patch(
            f"/pulls/{number}", texts, "update the pull request", permission=_WRITE
        )  # fmt: skip
        return Ref(data["number"], data["html_url"])

    def _find_open(self, request: PullRequestRequest) -> int:
        """The number of the open pull request of the same branches, 0 where there is none."""
        query = {"state": "open", "head": f"{self._owner}:{request.branch}", "base": request.base}
        found = self._rest.get("/pulls", "look for an open pull request", query, permission=_READ)
        # The filter has been known to be ignored for heads it cannot parse.
        same = (p["number"] for p in found if (p["head"]["ref"], p["base"]["ref"]) == (request.branch, request.base))
        return next(same, 0)

    def _create(self, request: PullRequestRequest, texts: Mapping[str, Json]) -> Ref | None:
        """None where one turned out to exist."""
        body: dict[str, Json] = {**texts, "head": request.branch, "base": request.base, "draft": request.draft}

        def find() -> Mapping[str, Any] | None:
            number = self._find_open(request)
            return self._rest.get(f"/pulls/{number}", "read the pull request") if number else None

        what = "open the pull request"
        try:
            data = self._rest.create("/pulls", body, what, permission=_WRITE, find=find)
        except ForgeError as error:
            if error.status != 422:
                raise
            if "already exists" in error.message:
                return None
            if not (request.draft and "draft" in error.message.lower()):
                raise
            data = self._rest.create("/pulls", {**body, "draft": False}, what, permission=_WRITE, find=find)
        return Ref(data["number"], data["html_url"])
