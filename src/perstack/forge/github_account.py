"""Whose words are ours on GitHub. A marker can be copied by anybody; an author id cannot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perstack.core.errors import ForgeError
from perstack.forge.github_rest import GithubSettings, Rest

_PERSONAL_TOKENS = ("ghp_", "github_pat_", "gho_")
_VIEWER = "query { viewer { login databaseId } }"


class Account:
    """The account that the token acts as. Asked for once, when it is first needed."""

    def __init__(self, rest: Rest, settings: GithubSettings) -> None:
        self._rest = rest
        self._is_personal = settings.token.startswith(_PERSONAL_TOKENS)
        self._ids = set(settings.author_ids)
        self._app_id = 0
        self._own_id = 0
        self._asked = False

    def learn_app(self, app_id: int) -> None:
        """Which App the token belongs to, as the answer to a check run told."""
        self._app_id = app_id

    def learn_author(self, document: Mapping[str, Any]) -> None:
        """Who we are, as the answer to something we wrote told."""
        author = (document.get("user") or {}).get("id")
        if author:
            self._ids.add(author)
            self._own_id = self._own_id or author

    def wrote(self, document: Mapping[str, Any]) -> bool:
        """Whether a comment or review is ours. Raises: ForgeError."""
        self._ask()
        author = (document.get("user") or {}).get("id")
        app = (document.get("performed_via_github_app") or {}).get("id")
        return author in self._ids or (app is not None and app == self._app_id)

    def id(self) -> int:
        """The account's id, 0 where it cannot be told. Raises: ForgeError."""
        self._ask()
        return self._own_id or (next(iter(self._ids)) if len(self._ids) == 1 else 0)

    def _ask(self) -> None:
        if self._asked or self._own_id:
            return
        self._asked = True
        what = "ask who the token belongs to"
        try:
            if self._is_personal:
                self._own_id = self._rest.get_global("/user", what)["id"]
            else:
                told = self._rest.graphql(_VIEWER, {}, what, write=False, permission="")
                self._own_id = ((told.get("data") or {}).get("viewer") or {}).get("databaseId") or 0
        except ForgeError as error:
            if error.status in {None, 401, 429} or error.status >= 500:
                self._asked = False
                raise
            return  # an installation that may not ask: the configured ids hold
        if self._own_id:
            self._ids.add(self._own_id)
