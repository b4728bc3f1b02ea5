"""`perstack resume`: jobs that were interrupted, killed or damaged go on, and nothing is done twice."""

from __future__ import annotations

import os
import select
import shlex
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.interface.model import Turn, model
from tests.interface.scripts import READ, Desk

pytestmark = pytest.mark.slow
Open = Callable[..., Desk]
# Leaves a mark, says so through the pipe, and then takes its time.
LONG: Turn = [("exec", {"command": "sh", "args": ["-c", "echo once >> marks; echo on > pipe; sleep 60"]})]
MARK: Turn = [("exec", {"command": "sh", "args": ["-c", "echo once >> marks"]})]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Open]:
    """Opens a desk over a script."""
    with ExitStack() as stack:
        yield lambda **scripts: Desk(tmp_path, stack.enter_context(model(scripts)))


class Pipe:
    """A named pipe through which a tool says how far it is."""

    def __init__(self, folder: Path) -> None:
        os.mkfifo(folder / "pipe")
        (folder / "pipe").chmod(0o666)
        self._file = os.open(folder / "pipe", os.O_RDONLY | os.O_NONBLOCK)

    def wait(self) -> None:
        """Until something was said."""
        ready, _, _ = select.select([self._file], [], [], 60)
        assert ready
        os.close(self._file)


def ended(process: subprocess.Popen[str], number: signal.Signals) -> tuple[int, str, str]:
    """Send a signal to a command and wait for its end."""
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def test_an_interrupted_job_says_how_to_go_on_and_makes_no_call_twice(desk: Open) -> None:
    run = desk(APP=[READ, LONG, "All done."])
    pipe = Pipe(run.folder)
    process = run.start("run", "app", "Do it.", "--job-id", "j")
    pipe.wait()
    returned, out, err = ended(process, signal.SIGTERM)
    assert returned == 143, err
    assert "Traceback" not in err
    assert '"type":"stopRun' not in out
    assert run.record("j")["status"] == "running"
    assert "j    " in run("log", "--jobs").out
    assert "interrupted" in run("log", "--jobs").out
    line = shlex.split(err.partition("go on with: ")[2])
    assert line[:3] == ["perstack", "resume", "j"]
    assert "--sandbox" in line

    resumed = run("resume", *line[2:3])
    assert resumed.code == 0, resumed.err
    assert "job j of expert `app` goes on at step 2" in resumed.err
    assert "the result of a call is lost: [exec]" in resumed.err
    assert resumed.first("completeRun")["text"] == "All done."
    assert (run.folder / "marks").read_text() == "once\n"
    assert "may or may not have taken effect" in str(run.model.requests[-1]["messages"][-1])
    assert run.record("j")["status"] == "completed"
    assert run("replay", "j").code == 0
    again = run("resume", "j")
    assert (again.code, again.out) == (2, "")


def test_a_killed_job_goes_on_inside_its_delegate(desk: Open) -> None:
    gate = threading.Event()

    def hesitates(_: dict[str, Any]) -> Turn:
        gate.wait(60)
        return "The plan is made."

    run = desk(APP=[[*READ, ("plan", {"query": "Plan."})], "Done."], PLAN=[MARK, hesitates])  # type: ignore[misc]
    process = run.start("run", "app", "Do it.")
    run.model.wait_for(3)
    process.kill()
    process.communicate(timeout=60)
    gate.set()
    (job,) = run.jobs()
    assert "Next: perstack resume" in run("log").out
    resumed = run("resume")
    assert resumed.code == 0, resumed.err
    assert "lost" not in resumed.err
    assert resumed.first("completeRun")["text"] == "The plan is made."
    assert resumed.events[-1]["jobId"] == job
    assert (run.folder / "marks").read_text() == "once\n"
    log = run("log", "--json").document
    assert [(one["expertKey"], one["status"]) for one in log["runs"]] == [
        ("app", "completed"),
        ("@app/plan", "completed"),
    ]
    assert run("replay").code == 0


def test_a_damaged_job_goes_on_after_its_intact_part_and_keeps_the_damaged_log(desk: Open) -> None:
    run = desk(APP=[READ, "One.", "Two."])
    assert run("run", "app", "Do it.", "--job-id", "j").code == 0
    log = run.folder / "perstack" / "jobs" / "j" / "events.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    broken = next(n for n, line in enumerate(lines) if b'"type":"continueToNextStep"' in line) + 1
    lines[broken] = b"{}\n"
    log.write_bytes(b"".join(lines))
    refused = run("resume", "j")
    assert (refused.code, refused.out) == (4, "")
    assert f"events.jsonl:{broken + 1}:" in refused.err
    resumed = run("resume", "j", "--drop-damaged")
    assert resumed.code == 0, resumed.err
    assert resumed.first("completeRun")["text"] == "One."
    assert (log.parent / "events.jsonl.damaged-1").read_bytes() == b"".join(lines)
    assert log.stat().st_mode & 0o077 == 0
    assert run("replay", "j").code == 0


def test_a_job_goes_on_only_where_it_worked(desk: Open, tmp_path: Path) -> None:
    run = desk(APP=[LONG, "Done."])
    pipe = Pipe(run.folder)
    process = run.start("run", "app", "Do it.", "--job-id", "j")
    pipe.wait()
    returned, _, err = ended(process, signal.SIGINT)
    assert (returned, "Traceback" in err) == (130, False), err
    assert "go on with: perstack resume j" in err
    place = tmp_path / "elsewhere"
    place.mkdir()
    refused = run("resume", "j", "--workspace", str(place))
    assert (refused.code, refused.out) == (2, "")
    assert f"was started with --workspace {run.folder}, not {place}" in refused.err
