"""A GithubForge wired to a test server, and what it wrote to the log."""

from __future__ import annotations

import base64
import json
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from perstack.forge.contract import Trigger
from perstack.forge.github import GithubForge
from perstack.forge.github_pace import Waits
from perstack.forge.github_rest import GithubSettings
from perstack.forge.trigger import read_event
from tests.forge.git import GitRemote
from tests.github_server import WRITE_ALL, Scene
from tests.github_server.state import GITHUB_ACTIONS, App, CheckRun, Comment, User

SECRET = "s3cr3t-model-key"


def until(fact: Callable[[], object]) -> None:
    """Wait for something that another thread brings about, ten seconds at most."""
    ends = time.monotonic() + 10
    while not fact():
        assert time.monotonic() < ends, "it did not happen within ten seconds"
        time.sleep(0.005)


class Bench:
    """One scene, forges on it, and shortcuts to the server's state."""

    def __init__(self, scene: Scene, folder: Path) -> None:
        self.scene = scene
        self.folder = folder
        self.log: list[str] = []
        self.summary = folder / "summary.md"
        self.outputs = folder / "outputs.txt"
        self.token = ""
        self.forge = self.make()

    def make(
        self,
        permissions: dict[str, str] | None = None,
        *,
        app: App | None = GITHUB_ACTIONS,
        user: User | None = None,
        redact: Callable[[str], str] | None = None,
        **settings: Any,
    ) -> GithubForge:
        """A new forge, as a new process would have it, with a new token."""
        self.token = self.scene.server.token(WRITE_ALL if permissions is None else permissions, app=app, user=user)
        credentials = base64.b64encode(f"x-access-token:{self.token}".encode()).decode()
        wanted: dict[str, Any] = {
            "repository": self.scene.name, "token": self.token, "api_url": self.scene.server.url,
            "summary_path": self.summary, "output_path": self.outputs, "seconds_between_writes": 0.0,
            "waits": Waits(retry=0.01, limit=0.01),
        }  # fmt: skip
        return GithubForge(
            GithubSettings(**{**wanted, **settings}),
            remote=GitRemote(self.scene.clone_url, f"Authorization: Basic {credentials}"),
            write=self.log.append,
            redact=redact or (lambda text: text.replace(SECRET, "***")),
        )

    def trigger(self, body: str = "/perstack fix") -> Trigger:
        """A real comment on the server and the trigger its event becomes."""
        _, payload = self.scene.comment(body)
        triggers = read_event("issue_comment", payload)
        assert isinstance(triggers, tuple)
        return triggers[0]

    @property
    def comments(self) -> list[Comment]:
        return self.scene.pull.comments

    @property
    def checks(self) -> list[CheckRun]:
        return list(self.scene.repository.checks.values())

    def requests(self, method: str, ending: str = "") -> list[dict[str, Any]]:
        """REST requests so far; GraphQL's are `queries`."""
        found = [r for r in self.scene.server.state.requests if r["path"] != "/graphql"]
        return [r for r in found if r["method"] == method and r["path"].endswith(ending)]

    def queries(self, word: str = "") -> list[dict[str, Any]]:
        """GraphQL documents so far that hold a word."""
        found = [r for r in self.scene.server.state.requests if r["path"] == "/graphql"]
        return [r for r in found if word in r["body"]["query"]]

    def state(self) -> Any:
        """The state as other processes see it."""
        with urllib.request.urlopen(f"{self.scene.server.url}/_state", timeout=10) as answer:
            return json.load(answer)
