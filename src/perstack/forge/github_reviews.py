"""Reviews on GitHub: remarks at lines of the diff, never an approval. What was said before is not said again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from perstack.core.errors import ForgeError
from perstack.core.json import Json
from perstack.forge.contract import Ref, ReviewComment
from perstack.forge.github_markers import mark_remark, read_remark, remark
from perstack.forge.github_rest import Rest
from perstack.forge.limits import COMMENT_LIMIT, fit

_READ = "pull-requests: read"
_WRITE = "pull-requests: write"
_PER_REQUEST = 30
_MOST = 90  # remarks in one call: more than anybody reads
_PAGES = 10
_SINGLE_REFUSALS = 10  # refusals in a row after which the rest is left out: many 422s look like abuse
_MARK_ROOM = 64


class Reviews:
    """The reviews of one process. `is_ours` tells our texts by their author."""

    def __init__(
        self, rest: Rest, redact: Callable[[str], str], *, is_ours: Callable[[Mapping[str, Any]], bool]
    ) -> None:
        self._rest = rest
        self._redact = redact
        self._is_ours = is_ours

    def post(self, number: int, head_sha: str, body: str, comments: Sequence[ReviewComment]) -> Ref:
        """Post what is new of a review. `extra` counts `posted`, `repeated`, `refused`. Raises: ForgeError."""
        text = fit(self._redact(body), COMMENT_LIMIT - _MARK_ROOM)
        can_be_sent = [c for c in comments if c.path.isprintable() and c.line > 0 and c.body.strip()]
        wanted = {remark(c): c for c in (replace(c, body=self._redact(c.body)) for c in can_be_sent)}
        unsendable = len(comments) - len(can_be_sent)
        said = self._said(number) if wanted else frozenset()
        fresh = {mark: comment for mark, comment in wanted.items() if mark not in said}
        sent = dict(list(fresh.items())[:_MOST])
        mark = hashlib.sha256(f"{number}\0{text}".encode("utf-8", "surrogatepass")).hexdigest()[:24]
        known = self._review_with(number, mark)
        if known is not None and not sent:
            return Ref(known["id"], known["html_url"], {"posted": 0, "repeated": len(wanted), "refused": unsendable})
        items = list(sent.items())
        chunks = [dict(items[at : at + _PER_REQUEST]) for at in range(0, len(items), _PER_REQUEST)] or [{}]
        first, posted = self._send(number, head_sha, text, mark, chunks[0])
        for part, chunk in enumerate(chunks[1:], 2):
            more = f"Remarks {(part - 1) * _PER_REQUEST + 1} to {(part - 1) * _PER_REQUEST + len(chunk)}."
            posted += self._send(number, head_sha, more, f"{mark[:-2]}{part:02d}", chunk)[1]
        extra: dict[str, Json] = {
            "posted": posted, "repeated": len(wanted) - len(fresh), "refused": len(fresh) - posted + unsendable,
        }  # fmt: skip
        return Ref(first["id"], first["html_url"], extra)

    def _send(
        self, number: int, head_sha: str, text: str, mark: str, comments: Mapping[str, ReviewComment]
    ) -> tuple[Mapping[str, Any], int]:
        """One review, and how many of its remarks GitHub took."""
        try:
            review = self._create(number, head_sha, text, mark, comments)
        except ForgeError as error:
            if error.status != 422 or not comments:
                raise
        else:
            return review, len(comments)
        # One line outside the diff refuses the whole review: it goes without remarks, then they go one by one.
        review = self._create(number, head_sha, text, mark, {})
        return review, self._one_by_one(number, head_sha, comments)

    def _create(
        self, number: int, head_sha: str, text: str, mark: str, comments: Mapping[str, ReviewComment]
    ) -> Mapping[str, Any]:
        documents: list[Json] = [_document(comment, key) for key, comment in comments.items()]
        body: dict[str, Json] = {"commit_id": head_sha, "event": "COMMENT", "body": mark_remark(text, mark)}
        if documents:
            body["comments"] = documents
        return self._rest.create(
            f"/pulls/{number}/reviews", body, "post the review", permission=_WRITE,
            find=lambda: self._review_with(number, mark),
        )  # fmt: skip

    def _one_by_one(self, number: int, head_sha: str, comments: Mapping[str, ReviewComment]) -> int:
        posted = refused = 0
        for mark, comment in comments.items():
            if refused == _SINGLE_REFUSALS:
                break
            body: dict[str, Json] = {"commit_id": head_sha, **_document(comment, mark)}
            try:
                self._rest.create(
                    f"/pulls/{number}/comments", body, "post a review comment", permission=_WRITE,
                    find=lambda mark=mark: self._remark_with(number, mark),  # type: ignore[misc]  # mypy infers no type for a bound default
                )  # fmt: skip
            except ForgeError as error:
                if error.status != 422:
                    raise
                refused += 1
            else:
                posted, refused = posted + 1, 0
        return posted

    def _said(self, number: int) -> frozenset[str]:
        """The marks of our remarks on this pull request so far."""
        return frozenset(read_remark(entry["body"]) for entry in self._remarks(number))

    def _remarks(self, number: int) -> list[Mapping[str, Any]]:
        query = {"sort": "created", "direction": "desc"}
        path, what = f"/pulls/{number}/comments", "look for earlier review comments"
        listed = self._rest.pages(path, what, most=_PAGES, query=query, permission=_READ)
        return [comment for comment in listed if self._is_ours(comment)]

    def _remark_with(self, number: int, mark: str) -> Mapping[str, Any] | None:
        return next((entry for entry in self._remarks(number) if read_remark(entry["body"]) == mark), None)

    def _review_with(self, number: int, mark: str) -> Mapping[str, Any] | None:
        path, what = f"/pulls/{number}/reviews", "look for an earlier review"
        reviews = self._rest.newest_pages(path, what, most=_PAGES, permission=_READ)
        return next((r for r in reviews if read_remark(r.get("body") or "") == mark and self._is_ours(r)), None)


def _document(comment: ReviewComment, mark: str) -> dict[str, Json]:
    document: dict[str, Json] = {
        "path": comment.path,
        "line": comment.line,
        "side": "RIGHT",
        "body": mark_remark(fit(comment.body, COMMENT_LIMIT - _MARK_ROOM), mark),
    }
    if 0 < comment.start < comment.line:
        document |= {"start_line": comment.start, "start_side": "RIGHT"}
    return document
