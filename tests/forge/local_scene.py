"""A local forge over a real bare repository, and looks at what it recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from perstack.forge.contract import PullRequest
from perstack.forge.local import LocalForge
from tests.forge.git import GitRemote
from tests.github_server.git_data import bare_repository, commit_files, git, set_branch


class Scene:
    """A bare repository with two branches, a pull request, and the forge over them."""

    def __init__(self, folder: Path) -> None:
        self.git = bare_repository(folder / "repository.git")
        self.base = commit_files(self.git, {"a.py": "1\n", "perstack.toml": "x = 1\n"})
        self.head = commit_files(self.git, {"a.py": "2\n"}, self.base)
        set_branch(self.git, "main", self.base)
        set_branch(self.git, "topic", self.head)
        self.root = folder / "forge"
        self.forge = LocalForge(
            self.root, "o/r", git=self.git, remote=GitRemote(str(self.git)), read_file=self._read_file
        )
        self.forge.add_pull_request(
            PullRequest(5, "open", self.head, "topic", 1, self.base, "main", title="A change", body="Its text")
        )

    def _read_file(self, path: str, commit: str) -> bytes | None:
        text = git("show", f"{commit}:{path}", cwd=self.git, check=False)
        return text.encode() if text else None

    def json(self, name: str) -> Any:
        return json.loads((self.root / name).read_text(encoding="utf-8"))

    def page(self, name: str = "index.md") -> str:
        return (self.root / name).read_text(encoding="utf-8")
