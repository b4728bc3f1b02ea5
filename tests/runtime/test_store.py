"""Where jobs are kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from perstack.core.errors import InfrastructureError, UserError
from perstack.core.usage import Usage
from perstack.runtime.store import JobRecord, JobStore


def test_a_job_is_laid_out_as_published(tmp_path: Path) -> None:
    paths = JobStore(tmp_path).create(JobRecord("j1", "app", 5, extra={"task": "fix it"}))
    assert paths.record == tmp_path / "jobs" / "j1" / "job.json"
    assert json.loads(paths.record.read_text())["coordinatorExpertKey"] == "app"


def test_a_record_survives_saving_and_loading(tmp_path: Path) -> None:
    store = JobStore(tmp_path)
    store.create(JobRecord("j1", "app", 5))
    ended = JobRecord("j1", "app", 5, "completed", 7, 100, Usage(1, 2, 0, 1), 9, {"task": "fix it"})
    store.save(ended)
    assert store.load("j1") == ended


def test_jobs_are_listed_newest_first_and_damaged_records_left_out(tmp_path: Path) -> None:
    store = JobStore(tmp_path)
    for name, started in (("old", 1), ("new", 3), ("mid", 2)):
        store.create(JobRecord(name, "app", started))
    store.create(JobRecord("bad", "app", 9)).record.write_text("{")
    assert [record.id for record in store.jobs()] == ["new", "mid", "old"]


def test_no_storage_means_no_jobs(tmp_path: Path) -> None:
    assert JobStore(tmp_path / "nowhere").jobs() == ()


@pytest.mark.parametrize("job_id", ["../x", "a/b", "", ".hidden", "a" * 129, "a\n"])
def test_an_id_that_could_leave_the_store_is_refused(tmp_path: Path, job_id: str) -> None:
    with pytest.raises(UserError, match="not usable"):
        JobStore(tmp_path).paths(job_id)


def test_a_job_id_is_used_once(tmp_path: Path) -> None:
    JobStore(tmp_path).create(JobRecord("j1", "app", 1))
    with pytest.raises(UserError, match="already exists"):
        JobStore(tmp_path).create(JobRecord("j1", "app", 1))


def test_a_missing_job_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="job j9 not found"):
        JobStore(tmp_path).load("j9")


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "perstack").write_text("a file")
    with pytest.raises(InfrastructureError, match="cannot be written"):
        JobStore(tmp_path / "perstack").create(JobRecord("j1", "app", 1))
