"""First feedback on GitHub: a real event, the whole `perstack action` process, the test server. Prints JSON.

Clock: from the start of the process to the reaction, and to the tracking comment, being on the server.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.github_server.scene import WRITE_ALL, Scene
from tests.github_server.server import GithubServer

from bench.processes import PERSTACK, Broken, environment

_LIMIT_S = 60.0
_TICK_S = 0.004


def once(folder: Path) -> dict[str, float]:
    """Seconds to the reaction and to the comment, and processor seconds until then."""
    with GithubServer(folder / "git") as server:
        scene = Scene(server)
        comment, payload = scene.comment("/perstack fix")
        event = folder / "event.json"
        event.write_text(json.dumps(payload), encoding="utf-8")
        env = environment(
            GITHUB_ACTIONS="true",
            GITHUB_EVENT_NAME="issue_comment",
            GITHUB_EVENT_PATH=str(event),
            GITHUB_REPOSITORY=scene.name,
            GITHUB_API_URL=server.url,
            GITHUB_SERVER_URL=server.url,
            GITHUB_RUN_ID="1",
            GITHUB_STEP_SUMMARY=str(folder / "summary.md"),
            GITHUB_OUTPUT=str(folder / "output"),
            RUNNER_TEMP=str(folder),
            PERSTACK_GITHUB_TOKEN=server.token(WRITE_ALL),
            PERSTACK_PROVIDER="search",
            PERSTACK_SANDBOX="bubblewrap",
        )
        started = time.perf_counter()
        with subprocess.Popen(
            [PERSTACK, "action"], env=env, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True, text=True,
        ) as job:  # fmt: skip
            try:
                reaction = _wait(job, started, lambda: bool(comment.reactions))
                answer = _wait(job, started, lambda: len(scene.pull.comments) > 1)
                cpu = _cpu_s(job.pid)
            finally:
                _end(job)
        if server.state.violations:
            raise Broken(f"the test server refused: {server.state.violations[0]}")
        return {"reaction_s": reaction, "comment_s": answer, "cpu_s": cpu}


def _wait(job: subprocess.Popen[str], started: float, there: Callable[[], bool]) -> float:
    while not there():
        if job.poll() is not None and not there():
            assert job.stdout is not None
            raise Broken(f"perstack action ended with {job.returncode}: {job.stdout.read()[-400:]}")
        if time.perf_counter() - started > _LIMIT_S:
            raise Broken(f"no feedback within {_LIMIT_S:.0f} s")
        time.sleep(_TICK_S)
    return time.perf_counter() - started


def _cpu_s(pid: int) -> float:
    """Processor seconds of a living process so far, without its children."""
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _end(job: subprocess.Popen[str]) -> None:
    """It has said what was waited for; what it goes on to do is not measured here."""
    if job.poll() is None:
        os.killpg(job.pid, signal.SIGTERM)
    try:
        job.wait(timeout=20)
    except subprocess.TimeoutExpired:
        os.killpg(job.pid, signal.SIGKILL)


def main() -> None:
    """`python -m bench.feedback REPETITIONS`."""
    found = []
    for _ in range(int(sys.argv[1])):
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            found.append(once(Path(folder)))
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
