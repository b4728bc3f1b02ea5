"""Our comments: created once, recognised by marker and author, edited in place. Knows no other comments' meaning."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from perstack.core.errors import ForgeError
from perstack.forge.contract import Ref
from perstack.forge.github_rest import GithubSettings, Rest
from perstack.forge.limits import COMMENT_LIMIT, fit, utf16_units
from perstack.forge.trigger import MARKER

_PAGES = 50  # 5,000 comments; beyond that a new one is better than minutes of looking
_PERSONAL_TOKENS = ("ghp_", "github_pat_", "gho_")
_WRITE = "issues: write"  # also for the conversation of pull requests


class Comments:
    """The comments of one process. Remembers what it posted, so that an update is one request or none."""

    def __init__(self, rest: Rest, settings: GithubSettings, redact: Callable[[str], str]) -> None:
        self._rest = rest
        self._settings = settings
        self._redact = redact
        self._posted: dict[tuple[int, str], tuple[int, str, str]] = {}  # number, key → id, url, body
        self._author_ids = set(settings.author_ids)
        self._app_id = 0
        self._asked_who = False
        self._turns = itertools.count(1)
        self._last_turn: dict[tuple[int, str], int] = {}
        self._lock = threading.Lock()

    def learn_app(self, app_id: int) -> None:
        """Which App our token belongs to, as the answer to a check run told."""
        self._app_id = app_id

    def upsert(self, number: int, key: str, body: str) -> Ref:
        """Create or edit the comment with this key; nothing is sent when nothing changed. Raises: ForgeError."""
        turn = next(self._turns)
        marker = f"{MARKER}{quote(key, safe='')} -->"
        text = f"{marker}\n{fit(self._redact(body), COMMENT_LIMIT - utf16_units(marker) - 1)}"
        with self._lock:
            known = self._posted.get((number, key)) or self._find(number, marker)
            overtaken = self._last_turn.get((number, key), 0) > turn  # an older text may not replace a newer one
            if known and (overtaken or known[2] == text):
                return Ref(known[0], known[1])
            found = self._edit(known[0], text) if known else None
            if found is None:
                found = self._create(number, marker, text)
            self._last_turn[number, key] = turn
            self._posted[number, key] = (found["id"], found["html_url"], text)
        return Ref(found["id"], found["html_url"])

    def _create(self, number: int, marker: str, text: str) -> Mapping[str, Any]:
        def find() -> Mapping[str, Any] | None:
            known = self._find(number, marker)
            return {"id": known[0], "html_url": known[1]} if known else None

        found = self._rest.create(
            f"/issues/{number}/comments", {"body": text}, "post the comment", permission=_WRITE, find=find
        )
        author = found.get("user") or {}
        if "id" in author:
            self._author_ids.add(author["id"])
        return found

    def _edit(self, comment_id: int, text: str) -> Mapping[str, Any] | None:
        """None where the comment was deleted."""
        try:
            found: Mapping[str, Any] = self._rest.patch(
                f"/issues/comments/{comment_id}", {"body": text}, "edit the comment", permission=_WRITE
            )
        except ForgeError as error:
            if error.status == 404:
                return None
            raise
        return found

    def _find(self, number: int, marker: str) -> tuple[int, str, str] | None:
        """Our comment by marker and author: anybody can write the marker."""
        self._learn_who()
        path, what = f"/issues/{number}/comments", "look for the earlier comment"
        for comment in self._rest.pages(path, what, most=_PAGES):
            body = comment.get("body") or ""
            if body.startswith(marker) and self._is_ours(comment):
                return comment["id"], comment["html_url"], body.replace("\r\n", "\n")
        return None

    def _is_ours(self, comment: Mapping[str, Any]) -> bool:
        author = (comment.get("user") or {}).get("id")
        app = (comment.get("performed_via_github_app") or {}).get("id")
        return author in self._author_ids or (app is not None and app == self._app_id)

    def _learn_who(self) -> None:
        """Tokens of people belong to an account that can be asked for; installations' tokens do not."""
        if not self._asked_who and self._settings.token.startswith(_PERSONAL_TOKENS):
            self._author_ids.add(self._rest.get_user()["id"])
        self._asked_who = True
