"""A user's checkout as commands see it: which commit is the base, what the change is, which configuration counts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from perstack import api
from perstack.core.errors import UserError
from perstack.core.experts import Config

MAIN_BRANCHES = ("origin/HEAD", "origin/main", "origin/master", "main", "master")


@dataclass(frozen=True, slots=True)
class Checkout:
    """A checkout and the harness's own copy of its objects."""

    root: Path
    repository: api.Repository

    @classmethod
    async def open(cls, path: Path, scratch: Path) -> Checkout:
        """Raises: UserError when `path` is not in a git repository."""
        root = api.locate(path).root
        return cls(root, await api.Repository.from_checkout(root, scratch / "repository.git"))

    async def base(self, rev: str | None) -> str:
        """The base commit: the asked one, else where HEAD left the main branch."""
        if rev:
            return await self.repository.resolve(rev)
        head = await self.repository.resolve("HEAD")
        for name in MAIN_BRANCHES:
            try:
                main = await self.repository.resolve(name)
            except UserError:
                continue
            return await self.repository.merge_base(head, main)
        return head

    async def config(self, base: str, given: Path | None) -> Config:
        """The configuration of the base commit, or the file that was asked for by name."""
        if given is not None:
            return api.read_config(given)
        data = await self.repository.read_file(base, api.CONFIG_NAME)
        return api.parse_config(None if data is None else data.decode("utf-8", errors="replace"))
