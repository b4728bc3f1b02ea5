"""Our comments: created once, recognised by marker and author, edited in place. Knows no other comments' meaning."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from perstack.core.errors import ForgeError
from perstack.core.json import Json
from perstack.forge.contract import OwnComment, Ref
from perstack.forge.github_account import Account
from perstack.forge.github_markers import first_line, read_first_line, starts_with_key
from perstack.forge.github_rest import Rest
from perstack.forge.limits import COMMENT_LIMIT, fit, utf16_units

_PAGES = 30  # of a hundred: the oldest one and the newest; beyond that a new comment is better than minutes of looking
_RECENT_PAGES = 20
_RECENT = 1_000
_READ = "issues: read"
_EDITOR = """query($id: ID!) { node(id: $id) { ... on IssueComment { editor {
  ... on Bot { databaseId } ... on User { databaseId } } } } }"""
_WRITE = "issues: write"  # also for the conversation of pull requests


@dataclass(frozen=True, slots=True)
class _Posted:
    """A comment as GitHub has it, as far as we know."""

    id: int
    url: str
    text: str
    data: Mapping[str, Json]


class Comments:
    """The comments of one process. Remembers what it posted, so that an update is one request or none."""

    def __init__(self, rest: Rest, account: Account, redact: Callable[[str], str]) -> None:
        self._rest = rest
        self._account = account
        self._redact = redact
        self._posted: dict[tuple[int, str], _Posted] = {}
        self._turns = itertools.count(1)
        self._last_turn: dict[tuple[int, str], int] = {}
        self._lock = threading.Lock()

    def upsert(self, number: int, key: str, body: str, data: Mapping[str, Json] | None = None) -> Ref:
        """Create or edit the comment with this key; nothing is sent when nothing changed. Raises: ForgeError.

        `data` of None leaves what is hidden in the comment as it is.
        """
        turn = next(self._turns)
        body = self._redact(body)
        with self._lock:
            known = self._posted.get((number, key)) or self._find(number, key)
            hidden = (known.data if known else {}) if data is None else data
            text = _compose(first_line(key, hidden), body, self._redact)
            overtaken = self._last_turn.get((number, key), 0) > turn  # an older text may not replace a newer one
            if known and (overtaken or known.text == text):
                return Ref(known.id, known.url)
            found = self._edit(known.id, text) if known else None
            if found is None:
                found = self._create(number, key, text)
            self._last_turn[number, key] = turn
            self._posted[number, key] = _Posted(found["id"], found["html_url"], text, hidden)
        return Ref(found["id"], found["html_url"])

    def read(self, number: int, key: str) -> OwnComment | None:
        """The comment with this key as it is now. Raises: ForgeError."""
        with self._lock:
            posted = self._posted.get((number, key))
            document = self._fetch(posted.id) if posted else None
            if document is None or not starts_with_key(document["body"] or "", key):
                document = self._search(number, key)
        return None if document is None else _own(document)

    def edited_by_others(self, comment: OwnComment) -> bool:
        """Whether the last edit was not ours; also where that cannot be learned. Raises: ForgeError."""
        what = "ask who edited our comment"
        document = self._fetch(comment.id)
        if document is None:
            return True
        told = self._rest.graphql(_EDITOR, {"id": document["node_id"]}, what, write=False, permission=_READ)
        node = (told.get("data") or {}).get("node")
        if not node or "editor" not in node:
            return True
        return node["editor"] is not None and not self._account.wrote(
            {"user": {"id": node["editor"].get("databaseId")}}
        )

    def since(self, since: str) -> tuple[OwnComment, ...]:
        """Ours of the whole repository that changed since an ISO 8601 time, newest first. Raises: ForgeError."""
        query = {"since": since, "sort": "updated", "direction": "desc"}
        what = "look for our recent comments"
        recent = self._rest.pages("/issues/comments", what, most=_RECENT_PAGES, query=query, permission=_READ)
        found = (
            _own(comment)
            for comment in recent
            if read_first_line(comment["body"] or "") and self._account.wrote(comment)
        )
        return tuple(itertools.islice((comment for comment in found if comment is not None), _RECENT))

    def _create(self, number: int, key: str, text: str) -> Mapping[str, Any]:
        path = f"/issues/{number}/comments"
        found = self._rest.create(
            path, {"body": text}, "post the comment", permission=_WRITE, find=lambda: self._search(number, key)
        )
        self._account.learn_author(found)
        return self._first_of_all(number, key, found, text)

    def _first_of_all(self, number: int, key: str, created: Mapping[str, Any], text: str) -> Mapping[str, Any]:
        """Two jobs may look at the same time, find nothing, and both create: the later comment goes away again."""
        first = min(self._matching(number, key, 2), key=lambda comment: int(comment["id"]), default=created)
        if first["id"] >= created["id"]:
            return created
        edited = self._edit(first["id"], text)
        if edited is None:
            return created
        self._rest.delete(f"/issues/comments/{created['id']}", "take away a second comment", permission=_WRITE)
        return edited

    def _edit(self, comment_id: int, text: str) -> Mapping[str, Any] | None:
        """None where the comment was deleted."""
        path = f"/issues/comments/{comment_id}"
        try:
            found: Mapping[str, Any] = self._rest.patch(path, {"body": text}, "edit the comment", permission=_WRITE)
        except ForgeError as error:
            if error.status == 404:
                return None
            raise
        return found

    def _fetch(self, comment_id: int) -> Mapping[str, Any] | None:
        path = f"/issues/comments/{comment_id}"
        found: Mapping[str, Any] | None = self._rest.get_or_none(path, "read our comment", permission=_READ)
        return found

    def _find(self, number: int, key: str) -> _Posted | None:
        found = self._search(number, key)
        own = _own(found) if found else None
        return _Posted(own.id, own.url, (found or {})["body"].replace("\r\n", "\n"), own.data) if own else None

    def _search(self, number: int, key: str) -> Mapping[str, Any] | None:
        return next(self._matching(number, key, _PAGES), None)

    def _matching(self, number: int, key: str, most: int) -> Iterator[Mapping[str, Any]]:
        """Our comments by marker and author: anybody can write the marker."""
        path, what = f"/issues/{number}/comments", "look for the earlier comment"
        for comment in self._rest.newest_pages(path, what, most=most, permission=_READ):
            if starts_with_key(comment["body"] or "", key) and self._account.wrote(comment):
                yield comment


def _compose(line: str, body: str, redact: Callable[[str], str]) -> str:
    line = redact(line)
    return f"{line}\n{fit(body, COMMENT_LIMIT - utf16_units(line) - 1)}"


def _own(comment: Mapping[str, Any]) -> OwnComment | None:
    parts = read_first_line(comment["body"] or "")
    if parts is None:
        return None
    key, data, body = parts
    number = str(comment["issue_url"]).rpartition("/")[2]
    return OwnComment(
        id=comment["id"],
        number=int(number) if number.isdigit() else 0,
        key=key,
        body=body,
        url=comment["html_url"],
        updated_at=comment["updated_at"],
        data=data,
    )
