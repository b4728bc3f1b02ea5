"""Running `perstack` as a process against a scripted model: what the command-line tests of jobs share."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.interface.model import Model, Turn

# Experts by the word that their script goes by: a coordinator that may ask, two delegates.
TOML = """\
[experts."app"]
instruction = "APP works."
delegates = ["@app/check", "@app/plan"]
[experts."app".skills."@perstack/base"]
type = "mcpStdioSkill"
command = "npx"
packageName = "@perstack/base"
[experts."app".skills."ask"]
type = "interactiveSkill"
[experts."app".skills."ask".tools."askUser"]
description = "Ask a person."
inputJsonSchema = '{"type": "object", "properties": {"question": {"type": "string"}}}'
[experts."@app/check"]
instruction = "CHECK works."
description = "Checks."
[experts."@app/plan"]
instruction = "PLAN works."
description = "Plans."
[experts."other"]
instruction = "OTHER works."
"""
READ: Turn = [("readTextFile", {"path": "perstack.toml"})]


class Desk:
    """A folder with a definition, and the command in it."""

    def __init__(self, folder: Path, model: Model) -> None:
        self.folder = folder
        self.model = model
        (folder / "perstack.toml").write_text(TOML)

    def command(self, name: str, *arguments: str) -> list[str]:
        """The whole command line; what runs experts gets the model and a sandbox."""
        line = [sys.executable, "-m", "perstack", name, *arguments]
        if name in {"run", "resume"}:
            line += ["--provider", "openai-compatible", "--model", "test-1", "--sandbox", "bubblewrap"]
        return line

    def env(self, **more: str) -> dict[str, str]:
        """A clean environment with the model in it."""
        path = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
        return {"PATH": path, "HOME": str(self.folder), "LC_ALL": "C.UTF-8", "TZ": "UTC", **self.model.env(), **more}

    def __call__(self, name: str, *arguments: str, cwd: Path | None = None, **env: str) -> Done:
        done = subprocess.run(
            self.command(name, *arguments),
            cwd=cwd or self.folder,
            env=self.env(**env),
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Done(done.returncode, done.stdout, done.stderr)

    def start(self, name: str, *arguments: str) -> subprocess.Popen[str]:
        """The command under way, in a process group of its own."""
        return subprocess.Popen(
            self.command(name, *arguments),
            cwd=self.folder,
            env=self.env(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def jobs(self) -> list[str]:
        """The ids of all jobs."""
        return sorted(path.name for path in (self.folder / "perstack" / "jobs").iterdir())

    def record(self, job: str) -> dict[str, Any]:
        """What `job.json` says."""
        found: dict[str, Any] = json.loads((self.folder / "perstack" / "jobs" / job / "job.json").read_text())
        return found


class Done:
    """How a command ended."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err

    @property
    def events(self) -> list[dict[str, Any]]:
        """Every line of stdout, each of which must be an event."""
        return [json.loads(line) for line in self.out.splitlines()]

    def types(self, *only: str) -> list[str]:
        """Event types in order."""
        return [event["type"] for event in self.events if not only or event["type"] in only]

    def first(self, kind: str) -> dict[str, Any]:
        """The first event of a type."""
        return next(event for event in self.events if event["type"] == kind)

    @property
    def document(self) -> Any:
        """Stdout as one JSON document."""
        return json.loads(self.out)


def says(*turns: Turn) -> Sequence[Turn]:
    """A script, readably."""
    return turns
