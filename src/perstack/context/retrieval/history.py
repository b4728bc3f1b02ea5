"""The past of a repository as an expert may ask for it: log by words, code or path, blame, commits of some lines.

Runs in the harness, which has git; a workspace has none. Nothing after the base commit is ever told.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from perstack.context.retrieval.contract import MAX_LINE
from perstack.context.retrieval.precedents import MAX_COMMITS as MAX_CHANGES
from perstack.context.retrieval.precedents import Change, Precedents
from perstack.core.errors import InfrastructureError, UserError
from perstack.infrastructure import git_history
from perstack.infrastructure.git import Repository
from perstack.infrastructure.git_command import Git
from perstack.infrastructure.git_history import PastCommit

MAX_COMMITS = 50
MAX_LINES = 200

_MESSAGE_LINES = 8
_PATIENCE_S = 3.0  # so long may it take to read what past commits changed, once a job


class History:
    """Answers as text; each says what it is not (shallow clone, one commit only)."""

    def __init__(self, repository: Repository, base: str) -> None:
        """`base` is a full commit id."""
        self._git = Git(repository.path)
        self._base = base
        self._precedents: Precedents | None = None

    async def precedents(self, query: str) -> dict[str, float]:
        """Paths that past commits changed for the like of a query, with their weight, at most 1; {} where the past
        takes too long to read.
        """
        if self._precedents is None:
            try:
                found = await git_history.changes(self._git, self._base, limit=MAX_CHANGES, seconds=_PATIENCE_S)
            except InfrastructureError:
                found = ()
            self._precedents = Precedents([Change(message, paths) for message, paths in found])
        return self._precedents.of(query)

    async def search(self, *, message: str = "", code: str = "", path: str = "", limit: int = 10) -> str:
        """Commits by words of their message, code that they brought or removed, and path; all of those given."""
        if "\0" in message + code + path:
            return "nothing was searched: a null byte cannot be looked for"
        limit = max(1, min(limit, MAX_COMMITS))
        try:
            found = await git_history.log(
                self._git, self._base, message=message, code=code, path=path.strip("/"), limit=limit
            )
        except InfrastructureError as error:
            return f"{error.message}: narrow the search with a path"
        return await self._told(found, len(found) == limit)

    async def touched(self, path: str, first: int, last: int, *, limit: int = 10) -> str:
        """Commits that changed lines `first` to `last` (1-based, as at the base)."""
        limit = max(1, min(limit, MAX_COMMITS))
        try:
            found = await git_history.log_of_lines(self._git, self._base, path, first, last, limit=limit)
        except UserError as error:
            return error.message
        except InfrastructureError as error:
            return f"{error.message}: ask for fewer lines"
        return await self._told(found, len(found) == limit)

    async def blame(self, path: str, first: int, last: int) -> str:
        """Each line with the commit that made it what it is."""
        try:
            found = await git_history.blame(self._git, self._base, path, first, min(last, first + MAX_LINES - 1))
        except UserError as error:
            return error.message
        except InfrastructureError as error:
            return f"{error.message}: ask for fewer lines"
        lines = [
            f"{path}:{each.line} {each.commit.sha[:10]} {_day(each.commit.time)} ({each.commit.subject[:60]})"
            f" | {each.text[:MAX_LINE]}"
            for each in found
        ]
        return "\n".join((*lines, *await self._limits()))

    async def _told(self, found: Sequence[PastCommit], more: bool) -> str:
        parts = [_commit(each) for each in found] or ["no commit before or at the base fits"]
        if more:
            parts.append("There may be older ones: ask for more with limit.")
        return "\n\n".join((*parts, *await self._limits()))

    async def _limits(self) -> tuple[str, ...]:
        if git_history.is_shallow(self._git):
            return ("The clone is shallow: older commits are not here, and its oldest one seems to have made all.",)
        if len(await git_history.log(self._git, self._base, limit=2)) < 2:
            return ("There is no history: the base is the only commit.",)
        return ()


def _commit(each: PastCommit) -> str:
    lines = each.message.split("\n")[:_MESSAGE_LINES]
    return f"{each.sha[:10]} {_day(each.time)} {each.author}\n" + "\n".join(f"  {line[:MAX_LINE]}" for line in lines)


def _day(seconds: int) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")
    except (OverflowError, ValueError, OSError):
        return "unknown date"
