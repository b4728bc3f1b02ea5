"""Logs and storages that are damaged, full, read-only or newer: a clear error, and what is intact stays usable."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perstack.core.contracts import Skill
from perstack.core.errors import InfrastructureError, InvariantBroken, UserError
from perstack.core.events import Event
from perstack.core.experts import Expert
from perstack.core.storage import JobRecord
from perstack.runtime.driver import Runner, RunRequest
from perstack.runtime.fold import fold
from perstack.runtime.log import EventLog, LogDamaged, chained, load_log
from perstack.runtime.store import JobStore
from perstack.testing import FunctionSkill, counting_ids, done, expert, reply, scripted, ticking_clock

NOBODY = 65534


def event(number: int, words: str = "") -> Event:
    return Event("progress", f"e{number}", 1000 + number, "job", payload={"message": words or "x" * number})


def written(path: Path, count: int) -> bytes:
    log = EventLog(path, str)
    for number in range(1, count + 1):
        log(event(number))
    log.close()
    return path.read_bytes()


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """What a full disk is to one process."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def without_rights() -> Iterator[None]:
    """As a user who may read the directory and not write it; the superuser may always."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.mark.threat("F7")
@pytest.mark.slow
@settings(max_examples=50, deadline=None)
@given(st.data())
def test_a_log_cut_anywhere_keeps_what_is_before_and_goes_on(data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "e.jsonl"
        whole = written(path, 4)
        at = data.draw(st.integers(0, len(whole)))
        path.write_bytes(whole[:at])
        found = load_log(path)
        count = max(whole[:at].count(b"\n") - 1, 0)
        assert [e.id for e in found.events] == [f"e{number}" for number in range(1, count + 1)]
        assert found.truncated == bool(found.problem) == (at > 0 and whole[at - 1] != ord("\n"))
        log = EventLog(path, str)
        for number in range(count + 1, 5):
            log(event(number))
        log.close()
        assert path.read_bytes() == whole


@pytest.mark.threat("F7")
@pytest.mark.slow
@settings(max_examples=50, deadline=None)
@given(st.data())
def test_a_byte_changed_anywhere_is_found_with_its_line_and_what_is_before_is_kept(data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "e.jsonl"
        whole = written(path, 4)
        at = data.draw(st.integers(0, len(whole) - 2))
        changed = bytearray(whole)
        changed[at] ^= data.draw(st.integers(1, 255))
        path.write_bytes(changed)
        found = load_log(path)
        line = whole[:at].count(b"\n") + 1
        assert found.line == line
        assert found.problem.startswith(f"{path}:{line}: ")
        assert [e.id for e in found.events] == [f"e{number}" for number in range(1, line - 1)]
        with pytest.raises(LogDamaged, match=f":{line}: "):
            EventLog(path, str)
        assert path.read_bytes() == changed


def test_an_event_of_a_newer_version_ends_what_is_read_and_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    written(path, 2)
    body = b'{"type":"dreamOfSheep","id":"n1","timestamp":9,"jobId":"job"}'
    path.write_bytes(path.read_bytes() + body[:-1] + f',"chain":"{chained(load_log(path).head, body)}"}}\n'.encode())
    whole = path.read_bytes()
    found = load_log(path)
    assert [e.id for e in found.events] == ["e1", "e2"]
    assert found.problem == (
        f"{path}:4: unknown event 'dreamOfSheep': a newer perstack wrote this job, use that one to go on with it"
    )
    with pytest.raises(LogDamaged, match="unknown event 'dreamOfSheep'"):
        EventLog(path, str)
    assert path.read_bytes() == whole


def test_an_event_that_could_not_be_read_back_is_not_written(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "e.jsonl", str)
    with pytest.raises(InvariantBroken, match="dreamOfSheep"):
        log(Event("dreamOfSheep", "e1", 1, "job"))
    log(event(1))
    log.close()
    assert [e.id for e in load_log(tmp_path / "e.jsonl").events] == ["e1"]


def test_a_disk_that_is_full_for_a_while_leaves_no_half_line(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    log = EventLog(path, str)
    log(event(1))
    with file_size_limit(path.stat().st_size + 100):
        for _ in range(2):
            with pytest.raises(InfrastructureError, match=r"e\.jsonl: the event log cannot be written: File too large"):
                log(event(2, "y" * 500))
    log(event(3))
    log.close()
    found = load_log(path)
    assert [e.id for e in found.events] == ["e1", "e3"]
    assert found.problem == ""


@pytest.mark.anyio
async def test_a_run_that_the_disk_stops_says_so_and_is_resumed_when_there_is_room(tmp_path: Path) -> None:
    store = JobStore(tmp_path, str)
    store.create(JobRecord("job", "tester", 1))
    script = [reply(calls=[("look", {})]) for _ in range(5)]

    async def skills_for(_: Expert) -> tuple[Skill, ...]:
        return (FunctionSkill({"look": lambda _: "x" * 2000}, read_only=("look",)),)

    async def work(prefix: str, left: int) -> str:
        log = store.open_log("job")
        provider = scripted(*script[:left], done("ready"))
        around = {"new_id": counting_ids(prefix), "now_ms": ticking_clock(), "skills_for": skills_for}
        runner = Runner(provider, log, **around)  # type: ignore[arg-type]
        request = RunRequest(expert(), "Go.", "m", "job")
        try:
            state = fold(store.read("job").events)
            outcome = await (runner.resume(request, state) if state.runs else runner.run(request))
        finally:
            log.close()
        return outcome.text

    with file_size_limit(12_000), pytest.raises(InfrastructureError, match="File too large"):
        await work("a", 5)
    found = store.read("job")
    assert found.problem == ""
    run = fold(found.events).latest_run()
    assert run is not None
    asked = sum(event.type == "callTools" for event in found.events)
    assert 0 < asked < 5
    assert await work("b", 5 - asked) == "ready"
    ended = fold(store.read("job").events).latest_run()
    assert ended is not None
    assert ended.text == "ready"


def test_a_directory_that_may_only_be_read_is_read_and_said(tmp_path: Path) -> None:
    with TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o755)
        store = JobStore(root, str)
        store.create(JobRecord("job", "app", 1))
        log = store.open_log("job")
        log(event(1))
        log.close()
        for path in (root / "jobs", root / "jobs" / "job", *(root / "jobs" / "job").iterdir()):
            path.chmod(0o555 if path.is_dir() else 0o444)
        with without_rights():
            assert [record.id for record in store.jobs()] == ["job"]
            assert [e.id for e in store.read("job").events] == ["e1"]
            with pytest.raises(InfrastructureError, match=r"events\.jsonl: .* cannot be written: Permission denied"):
                store.open_log("job")
            with pytest.raises(InfrastructureError, match=r"job\.json\S* cannot be written: Permission denied"):
                store.save(JobRecord("job", "app", 1, status="completed"))
            with pytest.raises(InfrastructureError, match="other: cannot be written: Permission denied"):
                store.create(JobRecord("other", "app", 1))
        for path in (root / "jobs", root / "jobs" / "job"):
            path.chmod(0o755)


def test_a_log_that_may_not_even_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "jobs" / "job" / "events.jsonl").mkdir(parents=True)
    with pytest.raises(InfrastructureError, match=r"events\.jsonl: cannot be read: Is a directory"):
        JobStore(tmp_path, str).read("job")
    with pytest.raises(InfrastructureError, match=r"events\.jsonl: the event log cannot be written: Is a directory"):
        JobStore(tmp_path, str).open_log("job")


def test_a_missing_storage_holds_no_jobs_and_says_where_it_looked(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "gone", str)
    assert store.jobs() == ()
    for look in (store.load, store.read, store.open_log):
        with pytest.raises(UserError, match=r"job j1 not found in .*/gone/jobs"):
            look("j1")


@pytest.mark.threat("F8")
def test_two_processes_cannot_write_one_log(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    code = (
        "import sys; from pathlib import Path; from perstack.runtime.log import EventLog; "
        f"log = EventLog(Path({str(path)!r}), str); print('open', flush=True); sys.stdin.read(); log.close()"
    )
    argv = [sys.executable, "-c", code]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        with pytest.raises(UserError, match=r"e\.jsonl: another process is working on this job"):
            EventLog(path, str)
        other.kill()
        other.wait(30)
        assert written(path, 2).count(b"\n") == 3, "a process that was killed keeps nobody out"
