"""act in host mode: workflows run as written, on this machine, with a home and caches that are gone afterwards."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tests.github_server import Scene

ROOT = Path(__file__).parents[2]
ACT = Path(sys.executable).parent / "act"
LONGEST_S = 420
Variables = Mapping[str, str]
_NOTHING: Variables = MappingProxyType({})
_RUNNERS = ("GITHUB_", "ACTIONS_", "RUNNER_")  # this test may itself run in a workflow
REFERENCE = ROOT / "docs" / "workflows"
STAND_INS = Path(__file__).parent / "stand_in"
_OURS = re.compile(r"^( +)- uses: (perstack/action@\S+).*\n", re.MULTILINE)
_OTHERS = re.compile(r"uses: (actions/([\w-]+)@[0-9a-f]{40})")
# Around the action: when the job came to it, and its outputs. These pass through the environment: what is in them is
# never part of a script.
_BEFORE = "- run: python3 -c 'import time; print(time.monotonic())' > \"$PROBE/started\"\n"
_AFTER = """\
- if: always()
  env:
    OUTPUTS: ${{ toJSON(steps.perstack.outputs) }}
  run: printf '%s' "$OUTPUTS" > "$PROBE/outputs.json"
"""


@dataclass(frozen=True)
class Job:
    """What one act run left. `lines`: its log, one document a line; `text`: everything it printed.

    `started`: when the job came to our action, on this machine's monotonic clock. `artifacts`: name → folder.
    """

    code: int
    text: str
    outputs: dict[str, str]
    started: float = 0.0
    lines: list[dict[str, Any]] = field(default_factory=list)
    artifacts: dict[str, Path] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        """The job summary. act tells it once for the step and once for the composite action around it."""
        return next((line["content"] for line in self.lines if line.get("command") == "summary"), "")

    @property
    def log(self) -> str:
        """What the steps printed."""
        return "".join(line["msg"] for line in self.lines if line.get("raw_output"))


class Act:
    """One session's act: a workspace with this checkout's files, and one tool cache for all runs.

    `cache` is shared with other test processes: the action's packages are installed once, by the action's own script.
    """

    def __init__(self, folder: Path, cache: Path) -> None:
        self.folder = folder
        self.cache = cache
        self.workspace = folder / "workspace"
        self.home = folder / "home"
        self.home.mkdir(parents=True)
        names = _output("git", "ls-files", "-co", "--exclude-standard", "-z", "--", ":!tests").split("\0")
        for name in filter(None, names):
            if (ROOT / name).is_file():
                (self.workspace / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, self.workspace / name)
        identity = ("-c", "user.name=act", "-c", "user.email=act@example.invalid", "-c", "commit.gpgsign=false")
        for command in (["init", "-q", "-b", "main"], ["add", "-A"], [*identity, "commit", "-qm", "Workspace"]):
            subprocess.run(["git", *command], cwd=self.workspace, check=True, capture_output=True)
        self._install()

    def _install(self) -> None:
        self.cache.mkdir(exist_ok=True)
        env = self._environment() | {"RUNNER_TOOL_CACHE": str(self.cache / "tool_cache")}
        with (self.cache / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            script = self.workspace / "scripts" / "action" / "install"
            subprocess.run([script], env=env, check=True, capture_output=True, timeout=LONGEST_S)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """One act command in the workspace."""
        return subprocess.run(
            [ACT, *arguments], cwd=self.workspace, env=self._environment(), capture_output=True, text=True,
            timeout=LONGEST_S, check=False,
        )  # fmt: skip

    def _environment(self) -> dict[str, str]:
        env = {name: value for name, value in os.environ.items() if not name.startswith(_RUNNERS)}
        return env | _pip() | {
            "HOME": str(self.home), "XDG_CONFIG_HOME": str(self.home / ".config"),
            "XDG_CACHE_HOME": str(self.home / ".cache"), "PATH": f"{ACT.parent}:{os.environ['PATH']}",
        }  # fmt: skip

    def run(
        self, scene: Scene, workflow: str, event: str, payload: Any, *, token: str = "", variables: Variables = _NOTHING
    ) -> Job:
        """Run a reference workflow, or a workflow's text, on a scene's server; by default with the token it asks for.

        The isolation is bubblewrap: the engine is hidden, so that every machine takes the same way.
        """
        here = self.folder / f"run-{len(list(self.folder.glob('run-*')))}"
        here.mkdir()
        text = workflow if "\n" in workflow else (REFERENCE / f"{workflow}.yml").read_text("utf-8")
        (here / "event.json").write_text(json.dumps(payload), encoding="utf-8")
        (here / "workflow.yml").write_text(instrumented(text), encoding="utf-8")
        token = token or scene.server.token(permissions_of(text))
        env = {
            "GITHUB_API_URL": scene.server.url, "GITHUB_SERVER_URL": scene.server.url,
            "GITHUB_REPOSITORY": scene.name, "PROBE": str(here), "ARTIFACTS": str(here / "artifacts"),
            "PERSTACK_WRITE_SPACING": "0", "DOCKER_HOST": "unix:///nonexistent", **variables,
        }  # fmt: skip
        ended = self.command(
            event, "--json", "-W", str(here / "workflow.yml"), "-e", str(here / "event.json"),
            "-P", "ubuntu-latest=-self-hosted", "-s", f"GITHUB_TOKEN={token}",
            "--action-cache-path", str(self.cache), "--no-cache-server",
            *(part for pair in self._local(text) for part in ("--local-repository", pair)),
            *(part for name, value in env.items() for part in ("--env", f"{name}={value}")),
        )  # fmt: skip
        assert token not in ended.stdout + ended.stderr
        outputs, started = here / "outputs.json", here / "started"
        return Job(
            ended.returncode,
            ended.stdout + ended.stderr,
            json.loads(outputs.read_text("utf-8")) if outputs.exists() else {},
            float(started.read_text("utf-8")) if started.exists() else 0.0,
            [json.loads(line) for line in ended.stdout.splitlines() if line.startswith("{")],
            {path.name: path for path in sorted((here / "artifacts").glob("*"))},
        )

    def _local(self, workflow: str) -> list[str]:
        """Where act finds what is used: our action in the workspace, stand-ins for what it cannot fetch."""
        found = dict.fromkeys(re.findall(r"uses: (perstack/action@\S+)", workflow), self.workspace)
        used = _OTHERS.findall(workflow + (self.workspace / "action.yml").read_text("utf-8"))
        found |= {name: STAND_INS / short for name, short in used}
        return [f"{name}={path}" for name, path in found.items()]

    def leftovers(self) -> set[str]:
        """What is in the home directory although nobody asked for it: not act's own, nor what our cache keeps."""
        files = {p.relative_to(self.home).as_posix() for p in self.home.rglob("*") if p.is_file()}
        return {name for name in files if not re.match(r"\.(config|cache)/act/|\.cache/perstack/|\.rustup/", name)}


def instrumented(workflow: str) -> str:
    """A workflow of one job that uses our action once, with a step before that and one at the end."""
    indent = _OURS.search(workflow)
    assert indent is not None
    margin = indent[1]
    text = _OURS.sub(lambda m: f"{margin}{_BEFORE}{margin}- id: perstack\n{margin}  uses: {m[2]}\n", workflow)
    return text.rstrip() + "\n" + "".join(f"{margin}{line}\n" for line in _AFTER.splitlines())


def permissions_of(workflow: str) -> dict[str, str]:
    """What the only job of a workflow asks for; nothing where its token may do nothing."""
    blocks = re.findall(r"^    permissions:\n((?:      .*\n)+)", workflow, re.MULTILINE)
    assert len(blocks) == 1 or "    permissions: {}" in workflow
    return dict(re.findall(r"^      ([\w-]+): (read|write)\b", "".join(blocks), re.MULTILINE))


def _pip() -> dict[str, str]:
    """What pip would lose with another home: its settings and its downloads."""
    places = (Path.home() / ".config" / "pip" / "pip.conf", Path.home() / ".pip" / "pip.conf")
    found = next((path for path in places if path.exists()), None)
    return ({"PIP_CONFIG_FILE": str(found)} if found else {}) | {
        "PIP_CACHE_DIR": _output(sys.executable, "-m", "pip", "cache", "dir").strip()
    }


def _output(*command: str) -> str:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
