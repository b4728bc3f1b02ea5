"""Records of jobs that lie in the workspace are out of reach of what runs in a sandbox."""

from __future__ import annotations

from pathlib import Path

import pytest

from perstack.api.choice import working_sandbox
from perstack.api.cover import cover
from perstack.core.sandbox import SandboxSpec
from perstack.infrastructure.sandbox.ownership import given_back

SHELL = ["/usr/local/bin", "/usr/bin", "/bin"]


def test_only_what_lies_in_the_workspace_is_covered(tmp_path: Path) -> None:
    work, scratch = tmp_path / "work", tmp_path / "scratch"
    (work / "deep" / "perstack" / "jobs").mkdir(parents=True)
    (tmp_path / "perstack" / "jobs").mkdir(parents=True)
    assert cover([tmp_path / "perstack" / "jobs", work, tmp_path], work, scratch) == ()
    jobs, cache = work / "deep" / "perstack" / "jobs", work / "deep" / "cache"
    covers = cover([jobs], work, scratch)
    assert [(one.target, one.writable) for one in covers] == [
        ("/workspace/deep", True), ("/workspace/deep/perstack", True), ("/workspace/deep/perstack/jobs", False),
    ]  # fmt: skip
    assert list(covers[-1].source.iterdir()) == []
    (tmp_path / "link").symlink_to(work / "deep" / "perstack")
    assert cover([tmp_path / "link" / "jobs"], work, scratch) == covers
    both = [one.target for one in cover([jobs, cache], work, scratch)]
    assert both == [one.target for one in covers] + ["/workspace/deep/cache"]
    assert cache.is_dir(), "nobody inside may be the first to make it"


@pytest.mark.slow
@pytest.mark.anyio
@pytest.mark.parametrize("name", ["bubblewrap", "docker"])
async def test_a_command_in_the_sandbox_can_neither_read_change_nor_replace_a_record(name: str, tmp_path: Path) -> None:
    work, scratch = tmp_path / "work", tmp_path / "scratch"
    log = work / "perstack" / "jobs" / "j" / "events.jsonl"
    log.parent.mkdir(parents=True)
    log.write_text("the record\n")
    sandbox = await working_sandbox(name, tuple(map(Path, SHELL)))
    snapshot = await sandbox.prepare(SandboxSpec(), work, lambda _: None)
    attack = (
        "cat perstack/jobs/j/events.jsonl; echo x >> perstack/jobs/j/events.jsonl; mkdir -p perstack/jobs/j; "
        "mv perstack/jobs perstack/old; mv perstack away; rm -rf perstack; mkdir -p perstack/jobs/forged; "
        "umount perstack/jobs; touch seen; ls -R perstack"
    )
    with given_back(work):
        async with sandbox.open(snapshot, work, mounts=cover([work / "perstack" / "jobs"], work, scratch)) as session:
            done = await session.run(["sh", "-c", attack], timeout_s=60)
    assert "the record" not in done.text()
    assert (work / "seen").exists(), done.text()
    assert [path.relative_to(work).as_posix() for path in sorted(work.rglob("*")) if path.is_file()] == [
        "perstack/jobs/j/events.jsonl", "seen",
    ]  # fmt: skip
    assert log.read_text() == "the record\n"
    assert not (work / "perstack" / "jobs" / "forged").exists()
