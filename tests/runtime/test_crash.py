"""kill -9 after every stored event of a job with delegates: resumed, nothing is lost and nothing done twice."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from perstack.core.events import RUN_EVENTS, Event
from perstack.core.messages import ToolMessage, ToolResult
from perstack.core.storage import LogContents
from perstack.runtime.continuation import LOST
from perstack.runtime.fold import fold
from perstack.runtime.replay_record import Lineage
from perstack.runtime.store import JobStore
from perstack.runtime.wire import message_json
from tests.runtime.crash_story import EFFECTS, JOB

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow


class Processes:
    """Makes processes that run the job."""

    def __init__(self, child: subprocess.Popen[str]) -> None:
        self._child = child

    def run(self, folder: Path, **asked: Any) -> int:
        """Run a process to its end; its exit code, negative for a signal."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(json.dumps({"folder": str(folder), **asked}) + "\n")
        self._child.stdin.flush()
        answer = self._child.stdout.readline()
        assert answer, "the process that makes processes has ended"
        return int(answer)


@pytest.fixture(scope="module")
def processes() -> Iterator[Processes]:
    argv = [sys.executable, "-m", "tests.runtime.crash_story"]
    with subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        yield Processes(child)
        assert child.stdin is not None
        child.stdin.close()


@dataclass(frozen=True, slots=True)
class End:
    """How a job has ended: its runs without ids, the results its tools gave, and their effects outside."""

    runs: dict[Any, Any]
    results: list[ToolResult]
    effects: Counter[str]
    events: tuple[Event, ...]


def contents_of(folder: Path) -> LogContents:
    return JobStore(folder, str).read(JOB)


def ending(folder: Path, what: str) -> End:
    contents = contents_of(folder)
    assert contents.problem == "", what
    lineage = Lineage()
    paths = {event.run_id: lineage.path(event) for event in contents.events if event.type in RUN_EVENTS}
    state = fold(contents.events)
    runs: dict[Any, Any] = {"usage": state.usage, "steps": state.steps}
    results: list[ToolResult] = []
    for origin, run in state.runs.items():
        messages = run.history.messages()
        runs[paths[origin]] = (run.status, run.text, run.usage, run.step, [_plain(message_json(m)) for m in messages])
        results += [result for message in messages if isinstance(message, ToolMessage) for result in message.results]
    effects = folder / EFFECTS
    return End(runs, results, Counter(effects.read_text().split() if effects.exists() else ()), contents.events)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if key != "id"}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def told_as_made(end: Any, made: Any) -> Any:
    """`end` with the result of every lost call in place of what was told of it."""
    if isinstance(end, dict) and isinstance(made, dict):
        if end.get("contents") == [{"type": "textPart", "text": LOST}]:
            return made
        return {key: told_as_made(item, made.get(key)) for key, item in end.items()}
    if isinstance(end, list | tuple) and isinstance(made, list | tuple) and len(end) == len(made):
        return type(end)(told_as_made(one, other) for one, other in zip(end, made, strict=True))
    return end


def resumed_as_if_nothing_had_happened(processes: Processes, folder: Path, whole: End, what: str) -> int:
    """Resume, compare with the job that ran through; how many calls were told to be lost."""
    assert processes.run(folder, resume=True) == 0, what
    end = ending(folder, what)
    assert told_as_made(end.runs, whole.runs) == whole.runs, what
    lost = [result.tool_name for result in end.results if result.text == LOST]
    assert set(lost) <= {"write"}, what
    assert max(end.effects.values(), default=0) <= 1, f"{what}: a call was made twice"
    assert sum((whole.effects - end.effects).values()) <= len(lost) <= 1, f"{what}: a call was lost in silence"
    return len(lost)


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """In memory where there is such a place: nothing here is about what a power failure leaves."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def whole(processes: Processes, place: Path) -> End:
    """The job that nothing has happened to."""
    folder = place / "whole"
    folder.mkdir()
    assert processes.run(folder) == 0
    return ending(folder, "the whole job")


def test_the_story_is_long_and_delegates_alone_side_by_side_and_in_each_other(whole: End) -> None:
    assert whole.runs["steps"] >= 30
    paths = [path for path in whole.runs if isinstance(path, tuple)]
    assert len(paths) >= 10
    assert max(map(len, paths)) == 3
    assert set(whole.effects.values()) == {1}


def a_sample(events: tuple[Event, ...]) -> list[int]:
    """Every fourth event, and the first of every type: counted from one, without the last event of all."""
    types = [event.type for event in events[:-1]]
    return sorted({*range(1, len(events), 4), *(types.index(each) + 1 for each in set(types))})


@pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.nightly)])
def test_a_kill_after_any_event_loses_nothing_and_repeats_nothing(
    processes: Processes, whole: End, place: Path, every: bool
) -> None:
    for count in range(1, len(whole.events)) if every else a_sample(whole.events):
        folder = place / str(count)
        folder.mkdir()
        last = whole.events[count - 1].type
        what = f"killed after event {count} ({last})"
        assert processes.run(folder, kill_after=count) == -9, what
        assert (folder / "jobs" / JOB / "events.jsonl").read_bytes().count(b"\n") == count + 1, what
        if count % 5 == 0:
            cut_in_the_last_line(folder, place / "cut", processes, whole)
        told = resumed_as_if_nothing_had_happened(processes, folder, whole, what)
        assert told == (last == "startToolCall"), what
        shutil.rmtree(folder)


def cut_in_the_last_line(folder: Path, copy: Path, processes: Processes, whole: End) -> None:
    """The process was killed while the kernel had half of the line."""
    shutil.copytree(folder, copy)
    log = copy / "jobs" / JOB / "events.jsonl"
    data = log.read_bytes()
    start = data.rindex(b"\n", 0, len(data) - 1) + 1
    log.write_bytes(data[: start + (len(data) - start) // 2])
    cut = contents_of(copy)
    assert cut.truncated
    resumed_as_if_nothing_had_happened(processes, copy, whole, f"killed within line {cut.line}")
    shutil.rmtree(copy)


def test_a_kill_within_any_call_repeats_none(processes: Processes, whole: End, place: Path) -> None:
    for count in range(1, sum(whole.effects.values()) + 1):
        folder = place / f"call-{count}"
        folder.mkdir()
        what = f"killed in call {count}"
        assert processes.run(folder, in_call=count) == -9, what
        assert resumed_as_if_nothing_had_happened(processes, folder, whole, what) == 1
        assert ending(folder, what).effects == whole.effects, what
        shutil.rmtree(folder)
