"""`perstack action` as a process of its own, with the environment that a runner gives to a step."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.github_server import WRITE_ALL, Scene

LONGEST_S = 120


@dataclass(frozen=True)
class Ended:
    """What a step left behind. `log`: stdout and stderr as the job log shows them."""

    code: int
    log: str
    summary: str
    outputs: Mapping[str, str]
    started: float
    seconds: float

    @property
    def errors(self) -> list[str]:
        return [line for line in self.log.splitlines() if line.startswith("::error")]


class Step:
    """One step of a job on a scene's server: `perstack action`, or what comes after it in the same job.

    A context manager: its process does not outlive it.
    """

    def __init__(
        self, folder: Path, scene: Scene, event: str, payload: Any, *, token: str = "", command: str = "action",
        **more: str,
    ) -> None:  # fmt: skip
        self.folder = folder
        self.token = token or scene.server.token(WRITE_ALL)
        # Short, because sockets below it have a length limit; of its own, to see what is left in it.
        self.left: list[str] = []
        self.temporary = Path(tempfile.mkdtemp(prefix="ps-"))
        for name in ("home", "runner"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        event_file = folder / "event.json"
        event_file.write_bytes(payload if isinstance(payload, bytes) else json.dumps(payload).encode())
        server = scene.server.url
        self.env = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(folder / "home"),
            "LANG": "C.UTF-8", "TMPDIR": str(self.temporary), "RUNNER_TEMP": str(folder / "runner"),
            "GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": event, "GITHUB_EVENT_PATH": str(event_file),
            "GITHUB_REPOSITORY": scene.name, "GITHUB_API_URL": server, "GITHUB_SERVER_URL": server,
            "GITHUB_RUN_ID": "99", "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
            "GITHUB_OUTPUT": str(folder / "output"), "PERSTACK_GITHUB_TOKEN": self.token,
            "PERSTACK_SANDBOX": "bubblewrap", "PERSTACK_PROVIDER": "search", "PERSTACK_WRITE_SPACING": "0",
        } | more  # fmt: skip
        self._log = folder / f"{command}.log"
        self.started = time.monotonic()
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-m", "perstack", command],
                cwd=folder / "runner", env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip

    def __enter__(self) -> Step:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait(timeout=10)
        self.left = sorted(path.name for path in self.temporary.iterdir())
        shutil.rmtree(self.temporary, ignore_errors=True)

    @property
    def log(self) -> str:
        """The job log so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def wait(self, seconds: float = LONGEST_S) -> Ended:
        """Until it ended."""
        code = self.process.wait(timeout=seconds)
        ended = time.monotonic() - self.started
        summary, output = self.folder / "summary.md", self.folder / "output"
        return Ended(
            code,
            self.log,
            summary.read_text(encoding="utf-8") if summary.exists() else "",
            read_outputs(output.read_text(encoding="utf-8")) if output.exists() else {},
            self.started,
            ended,
        )


def run(folder: Path, scene: Scene, event: str, payload: Any, **more: str) -> Ended:
    """One step from start to end; whatever it was, it leaves no token, and no file but in our own cache."""
    with Step(folder, scene, event, payload, **more) as step:
        ended = step.wait()
    assert step.token not in ended.log + ended.summary
    assert step.left == []
    home = folder / "home"
    assert {path.relative_to(home).parts[:2] for path in home.rglob("*") if path.is_file()} <= {(".cache", "perstack")}
    return ended


def read_outputs(text: str) -> dict[str, str]:
    """An output file as the runner reads it."""
    form = r"^([\w-]+)<<(\S+)\n(.*?)\n\2\n"
    found = {name: value for name, _, value in re.findall(form, text, re.MULTILINE | re.DOTALL)}
    assert re.sub(form, "", text, flags=re.MULTILINE | re.DOTALL) == "", "nothing but outputs is in the file"
    return found


def descendants(pid: int) -> set[int]:
    """All processes below one, from /proc."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(path.parent.name)] = int(fields[1])
    found: set[int] = set()
    fresh = {pid}
    while fresh:
        fresh = {child for child, parent in parents.items() if parent in fresh}
        found |= fresh
    return found


def alive(pid: int) -> bool:
    """Whether a process still runs; one that ended and only waits to be collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2][1] != "Z"
    except OSError:
        return False
