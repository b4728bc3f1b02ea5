"""Who somebody is on GitHub: roles, teams, authors of commits. Decides nothing; a name alone is never believed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import quote

from perstack.core.errors import ForgeError
from perstack.forge.contract import Actor
from perstack.forge.github_rest import Rest

_TEAM = re.compile(r"[A-Za-z0-9-]{1,100}/[A-Za-z0-9._-]{1,255}")
_MOST_TEAMS = 20
_WEB_FLOW = "web-flow"  # committer of what GitHub itself commits and signs, for whoever is the author


class People:
    """Questions about accounts of one repository."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    def role_of(self, actor: Actor) -> str:
        """The actor's exact role, `none` without one, empty where it may not be asked. Raises: ForgeError."""
        path = f"/collaborators/{quote(actor.login, safe='')}/permission"
        try:
            answer = self._rest.get(path, "ask for the actor's role")
        except ForgeError as error:
            if error.status == 404:
                return "none"
            if error.status == 403:
                return ""
            raise
        # A login can be taken over by another account between event and question.
        if (answer.get("user") or {}).get("id") != actor.id:
            return "none"
        return str(answer.get("role_name") or answer.get("permission") or "")

    def teams_of(self, actor: Actor, teams: Sequence[str]) -> frozenset[str]:
        """Those of `teams` (`org/slug`, at most twenty are asked for) that the actor is in. Raises: ForgeError.

        GITHUB_TOKEN cannot see teams: an App's token with `members: read` can.
        """
        wanted = [team for team in dict.fromkeys(teams) if _TEAM.fullmatch(team)][:_MOST_TEAMS]
        found = frozenset(team for team in wanted if self._is_member(actor, team))
        return found if found and self._is_still(actor) else frozenset()

    def _is_member(self, actor: Actor, team: str) -> bool:
        org, slug = team.split("/")
        path = f"/orgs/{org}/teams/{quote(slug)}/memberships/{quote(actor.login, safe='')}"
        try:
            return bool(self._rest.get_global(path, f"ask for the members of {team}")["state"] == "active")
        except ForgeError as error:
            if error.status in {403, 404}:
                return False
            raise

    def _is_still(self, actor: Actor) -> bool:
        """Whether the login still belongs to the account: memberships are told by login only."""
        path = f"/users/{quote(actor.login, safe='')}"
        try:
            return bool(self._rest.get_global(path, "ask who the actor is")["id"] == actor.id)
        except ForgeError as error:
            if error.status in {403, 404}:
                return False
            raise

    def commit_author(self, sha: str) -> int:
        """Account id of who committed, 0 where unknown. Raises: ForgeError.

        GitHub finds accounts by the address in a commit, which anybody can write: only a signature that it verified
        counts. What was made on its pages or by its API has GitHub as committer and signer; there the author counts.
        """
        path, what = f"/commits/{quote(sha, safe='')}", f"read commit {sha[:12]}"
        found = self._rest.get(path, what, {"per_page": 1}, permission="contents: read")
        if ((found.get("commit") or {}).get("verification") or {}).get("verified") is not True:
            return 0
        committer = found.get("committer") or {}
        if committer.get("login") == _WEB_FLOW:
            committer = found.get("author") or {}
        return int(committer.get("id") or 0)
