"""A small repository on a local forge, and jobs on it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio
from anyio import from_thread

from perstack import api
from perstack.core.events import EventSink
from perstack.core.messages import ModelReply, ModelRequest, ToolMessage
from perstack.forge.contract import Action, Actor, PullRequest, Trigger
from perstack.forge.local import REPOSITORY_ID, LocalForge
from perstack.infrastructure.git import Repository
from perstack.interface.jobs.desk import Desk, JobResult, Process, utc_now
from perstack.interface.jobs.life import ForgeJob
from perstack.interface.jobs.record import timestamp
from perstack.providers.scripted import ScriptedProvider
from perstack.testing import ProjectBuilder, done, reply

BUGGY = """def median(xs):
    xs = sorted(xs)
    n = len(xs)
    if n % 2 == 1:
        return xs[n // 2]
    return (xs[n // 2 + 1] + xs[n // 2]) / 2
"""
FIXED = BUGGY.replace("n // 2 + 1", "n // 2 - 1")
TESTS = (
    "from calc import median\n\ndef test_odd():\n    assert median([3, 1, 2]) == 2\n\n"
    "def test_even():\n    assert median([4, 1, 2, 3]) == 2.5\n"
)
TOML = '[signals.tests]\nkind = "test"\nrun = "python3 -m pytest -q"\nrepeat = 1\n'
FILES = {"calc.py": BUGGY, "tests/test_calc.py": TESTS, "perstack.toml": TOML}
_PROCESS = Process("https://github.com/ada/calc/actions/runs/900", 900, 1)
ADA = Actor("ada", 1)
MALLORY = Actor("mallory", 2)


def _mend(request: ModelRequest) -> ModelReply:
    """Who may write mends the median at once; everybody else has only words."""
    tools = {tool.name for tool in request.tools}
    answered = any(isinstance(message, ToolMessage) for message in request.messages)
    if answered or "writeTextFile" not in tools or "runSignals" in tools:
        return done("The median of an even list takes one middle value.")
    return reply(calls=[("writeTextFile", {"path": "calc.py", "text": FIXED})])


def mender() -> dict[str, Any]:
    """Settings of a host whose model knows the fix: for what comes after it, without the time of a search."""
    return {"model_provider": ScriptedProvider(_mend)}


class Scene:
    """`main` is green, pull request #7 (branch `tidy`) breaks it, issue #3 complains."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.project = ProjectBuilder(root / "project")
        self.forge: LocalForge
        self.repository: Repository
        self.main = ""
        self.head = ""

    @classmethod
    async def make(
        cls, root: Path, *, files: Mapping[str, str] | None = None, main: Mapping[str, str] | None = None
    ) -> Scene:
        scene = cls(root)
        files = FILES if files is None else files
        scene.main = await scene.project.commit("Start", main or {**files, "calc.py": FIXED})
        await scene.project.git("checkout", "--quiet", "-b", "tidy")
        scene.head = await scene.project.commit("Tidy up", files)
        scene.repository = await Repository.create(root / "forge.git")
        await scene.project.git("push", "--quiet", str(scene.repository.path), "main", "tidy")
        scene.forge = LocalForge(
            root / "records",
            "ada/calc",
            git=scene.repository.path,
            remote=api.GitRemote(str(scene.repository.path)),
            read_file=lambda path, sha: from_thread.run(scene.repository.read_file, sha, path),
        )
        scene.forge.set_role(ADA, "write")
        scene.forge.add_issue(3, "median is wrong", "for even lists")
        scene.forge.add_pull_request(scene.pull())
        return scene

    def pull(self, **fields: Any) -> PullRequest:
        pull = PullRequest(
            number=7, state="open", head_sha=self.head, head_ref="tidy", head_repository_id=REPOSITORY_ID,
            base_sha=self.main, base_ref="main", title="Tidy up", body="No change in behaviour.",
        )  # fmt: skip
        return replace(pull, **fields)

    async def run(
        self,
        action: Action = Action.FIX,
        *,
        actor: Actor = ADA,
        number: int = 7,
        host: Mapping[str, Any] | None = None,
        watch: EventSink | None = None,
        process: Process = _PROCESS,
        **fields: Any,
    ) -> JobResult:
        trigger = Trigger(
            event="issue_comment", action=action, repository="ada/calc", repository_id=REPOSITORY_ID, actor=actor,
            number=number, is_pull_request=number == 7, comment_id=55, title="median is wrong", text="for even lists",
            url="https://github.com/ada/calc/issues/3#issuecomment-55",
        )  # fmt: skip
        scratch = self.root / "scratch"
        scratch.mkdir(exist_ok=True)
        settings: dict[str, Any] = {"sandbox": "bubblewrap", "provider": "search", **(host or {})}
        path = (Path(sys.executable).parent, Path("/usr/local/bin"), Path("/usr/bin"), Path("/bin"))
        engine = api.Engine(api.Host(env={}, path=path, scratch=scratch, storage=self.root / "storage", **settings))
        with anyio.fail_after(240):
            desk = Desk(self.forge, engine, scratch, process, watch, folder=self.root / "runner")
            return await ForgeJob(desk, replace(trigger, **fields)).run()

    def now(self) -> str:
        """The time as records have it."""
        return timestamp(utc_now())

    def record(self, name: str) -> Any:
        path = self.root / "records" / f"{name}.json"
        return json.loads(path.read_text("utf-8")) if path.exists() else []

    def comment(self) -> str:
        comments = self.record("comments")
        assert len(comments) == 1, "one comment, edited in place"
        return str(comments[0]["body"])

    def summary(self) -> str:
        return (self.root / "records" / "summary.md").read_text("utf-8")

    def branch(self, name: str) -> str:
        return self.forge.branch_sha(name)


make_scene = partial(Scene.make)
