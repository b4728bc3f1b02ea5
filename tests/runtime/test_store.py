"""Where jobs are kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from perstack.core.errors import InfrastructureError, UserError
from perstack.core.events import Event
from perstack.core.storage import JobRecord, Store
from perstack.core.usage import Usage
from perstack.runtime.store import JobStore
from perstack.testing import MemoryStore


def on_disk(root: Path) -> JobStore:
    return JobStore(root, lambda text: text.replace("secret", "***"))


def event(number: int, kind: str = "progress", message: str = "") -> Event:
    return Event(kind, f"e{number}", 1000 + number, "j1", payload={"message": message})


@pytest.fixture(params=["disk", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Both stores: what holds for the contract holds for each."""
    return on_disk(tmp_path) if request.param == "disk" else MemoryStore()


def test_a_job_is_laid_out_as_published(tmp_path: Path) -> None:
    store = on_disk(tmp_path)
    store.create(JobRecord("j1", "app", 5, extra={"task": "fix it", "id": "other"}))
    assert store.folder("j1") == tmp_path / "jobs" / "j1"
    data = json.loads((tmp_path / "jobs" / "j1" / "job.json").read_text())
    assert (data["id"], data["coordinatorExpertKey"], data["task"]) == ("j1", "app", "fix it")


def test_a_record_survives_saving_and_loading(store: Store) -> None:
    store.create(JobRecord("j1", "app", 5))
    ended = JobRecord("j1", "app", 5, "completed", 7, 100, Usage(1, 2, 0, 1), 9, {"task": "fix it"})
    store.save(ended)
    assert store.load("j1") == ended


def test_a_log_is_read_back_and_gone_on_with(store: Store) -> None:
    store.create(JobRecord("j1", "app", 5))
    assert store.read("j1").events == ()
    for number in (1, 2):
        log = store.open_log("j1")
        log(event(number))
        log(event(9, "streamReasoning"))
        log.close()
    found = store.read("j1")
    assert [item.id for item in found.events] == ["e1", "e2"]
    assert (found.head, found.problem) == (log.head, "")


def test_a_log_has_one_writer_at_a_time(store: Store) -> None:
    store.create(JobRecord("j1", "app", 5))
    first = store.open_log("j1")
    with pytest.raises(UserError, match="working on"):
        store.open_log("j1")
    first.close()
    store.open_log("j1").close()


def test_a_file_of_the_job_finds_a_place(store: Store) -> None:
    store.create(JobRecord("j1", "app", 5))
    (store.folder("j1") / "evidence.json").write_text("{}")
    assert (store.folder("j1") / "evidence.json").read_text() == "{}"


def test_secrets_never_reach_the_disk(tmp_path: Path) -> None:
    store = on_disk(tmp_path)
    store.create(JobRecord("j1", "app", 5, extra={"task": {"text": "a secret"}}))
    log = store.open_log("j1")
    log(event(1, message="a secret"))
    log.close()
    assert store.load("j1").extra == {"task": {"text": "a ***"}}
    assert store.read("j1").events[0].payload["message"] == "a ***"
    assert "secret" not in (store.folder("j1") / "events.jsonl").read_text()


def test_jobs_are_listed_newest_first(store: Store) -> None:
    for name, started in (("old", 1), ("new", 3), ("mid", 2)):
        store.create(JobRecord(name, "app", started))
    assert [record.id for record in store.jobs()] == ["new", "mid", "old"]


def test_a_damaged_record_hides_only_its_own_job(tmp_path: Path) -> None:
    store = on_disk(tmp_path)
    for name in ("good", "bad"):
        store.create(JobRecord(name, "app", 1))
    (store.folder("bad") / "job.json").write_text("{")
    assert [record.id for record in store.jobs()] == ["good"]
    with pytest.raises(UserError, match=r"bad/job\.json: not a readable job record"):
        store.load("bad")


def test_no_storage_means_no_jobs(tmp_path: Path) -> None:
    assert on_disk(tmp_path / "nowhere").jobs() == ()


@pytest.mark.parametrize("job_id", ["../x", "a/b", "", ".hidden", "a" * 129, "a\n"])
def test_an_id_that_could_leave_the_store_is_refused(tmp_path: Path, job_id: str) -> None:
    with pytest.raises(UserError, match="not usable"):
        on_disk(tmp_path).folder(job_id)


def test_a_job_id_is_used_once(store: Store) -> None:
    store.create(JobRecord("j1", "app", 1))
    with pytest.raises(UserError, match="already exists"):
        store.create(JobRecord("j1", "app", 1))


def test_a_missing_job_is_said(store: Store) -> None:
    for look in (store.load, store.read, store.open_log):
        with pytest.raises(UserError, match="job j9 not found"):
            look("j9")


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "perstack").write_text("a file")
    with pytest.raises(InfrastructureError, match="cannot be written"):
        on_disk(tmp_path / "perstack").create(JobRecord("j1", "app", 1))
