"""act in host mode: workflows run as written, on this machine, with a home and caches that are gone afterwards."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.github_server import Scene

ROOT = Path(__file__).parents[2]
ACT = Path(sys.executable).parent / "act"
LONGEST_S = 420
_RUNNERS = ("GITHUB_", "ACTIONS_", "RUNNER_")  # this test may itself run in a workflow
CHECKOUT = "actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683 # v4.2.2"
# The last step tells the outputs. They pass through the environment: what is in them is never part of a script.
WORKFLOW = f"""
on: [issue_comment, pull_request, issues, workflow_dispatch]
permissions: {{}}
jobs:
  perstack:
    runs-on: ubuntu-latest
    permissions: {{ contents: write, checks: write, pull-requests: write, issues: write }}
    steps:
      - uses: {CHECKOUT}
      - id: perstack
        uses: ./
        with: {{ sandbox: bubblewrap, provider: search }}
      - if: always()
        env:
          OUTPUTS: ${{{{ toJSON(steps.perstack.outputs) }}}}
        run: printf '%s' "$OUTPUTS" > "$PROBE"
"""


@dataclass(frozen=True)
class Job:
    """What one act run left. `lines`: its log, one document a line; `text`: everything it printed."""

    code: int
    text: str
    outputs: dict[str, str]
    lines: list[dict[str, Any]] = field(default_factory=list)

    @property
    def summary(self) -> str:
        """The job summary. act tells it once for the step and once for the composite action around it."""
        return next((line["content"] for line in self.lines if line.get("command") == "summary"), "")

    @property
    def log(self) -> str:
        """What the steps printed."""
        return "".join(line["msg"] for line in self.lines if line.get("raw_output"))


class Act:
    """One session's act: a workspace with this checkout's files, and one tool cache for all runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
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

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """One act command in the workspace."""
        env = {name: value for name, value in os.environ.items() if not name.startswith(_RUNNERS)}
        env |= _pip() | {
            "HOME": str(self.home), "XDG_CONFIG_HOME": str(self.home / ".config"),
            "XDG_CACHE_HOME": str(self.home / ".cache"), "PATH": f"{ACT.parent}:{os.environ['PATH']}",
        }  # fmt: skip
        return subprocess.run(
            [ACT, *arguments], cwd=self.workspace, env=env, capture_output=True, text=True, timeout=LONGEST_S,
            check=False,
        )  # fmt: skip

    def run(self, scene: Scene, event: str, payload: Any, *, token: str, workflow: Path | None = None) -> Job:
        """Run the workflow for one event against a scene's server."""
        here = self.folder / f"run-{len(list(self.folder.glob('run-*')))}"
        here.mkdir()
        (here / "event.json").write_text(json.dumps(payload), encoding="utf-8")
        (here / "workflow.yml").write_text(workflow.read_text("utf-8") if workflow else WORKFLOW, encoding="utf-8")
        server = scene.server.url
        variables = {
            "GITHUB_API_URL": server, "GITHUB_SERVER_URL": server, "GITHUB_REPOSITORY": scene.name,
            "PROBE": str(here / "outputs.json"), "PERSTACK_WRITE_SPACING": "0",
        }  # fmt: skip
        ended = self.command(
            event, "--json", "-W", str(here / "workflow.yml"), "-e", str(here / "event.json"),
            "-P", "ubuntu-latest=-self-hosted", "-s", f"GITHUB_TOKEN={token}",
            "--action-cache-path", str(self.folder / "cache"), "--no-cache-server",
            *(part for name, value in variables.items() for part in ("--env", f"{name}={value}")),
        )  # fmt: skip
        text = ended.stdout + ended.stderr
        probe = here / "outputs.json"
        return Job(
            ended.returncode,
            text,
            json.loads(probe.read_text("utf-8")) if probe.exists() else {},
            [json.loads(line) for line in ended.stdout.splitlines() if line.startswith("{")],
        )

    def leftovers(self) -> set[str]:
        """What is in the home directory although nobody asked for it: not act's own, nor what our cache keeps."""
        files = {p.relative_to(self.home).as_posix() for p in self.home.rglob("*") if p.is_file()}
        return {name for name in files if not re.match(r"\.(config|cache)/act/|\.cache/perstack/|\.rustup/", name)}


def _pip() -> dict[str, str]:
    """What pip would lose with another home: its settings and its downloads."""
    places = (Path.home() / ".config" / "pip" / "pip.conf", Path.home() / ".pip" / "pip.conf")
    found = next((path for path in places if path.exists()), None)
    return ({"PIP_CONFIG_FILE": str(found)} if found else {}) | {
        "PIP_CACHE_DIR": _output(sys.executable, "-m", "pip", "cache", "dir").strip()
    }


def _output(*command: str) -> str:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
