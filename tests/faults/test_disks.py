"""Disks that are full, out of inodes or read-only: one error that says so, nothing half written, the next run works."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.faults.bench import Bench, Ended, on_disk

pytestmark = pytest.mark.slow
# Where the harness works: it fails when it copies the repository, makes a sandbox, or starts a run.
SAMPLE = ("nr_inodes=25", pytest.param("size=100k", marks=pytest.mark.nightly))
SWEEP = (*(f"size={k}k" for k in range(4, 260, 8)), *(f"nr_inodes={count}" for count in range(2, 90, 3)))


def is_fault_or_verdict(done: Ended) -> bool:
    """A disk decides nothing about a candidate: its verdict is right, or there is none."""
    return (done.code == 0 and "verdict: pass" in done.out) or (done.is_told(4) and "verdict: " not in done.out)


@pytest.mark.threat("F3")
@pytest.mark.parametrize("options", SAMPLE)
def test_a_full_temporary_disk_is_an_infrastructure_error_that_says_so(bench: Bench, options: str) -> None:
    left = bench.checkout.parent / "left"
    done = bench("verify", before=on_disk(options, bench.temporary, left))
    assert done.is_told(4), done.err
    assert "No space left on device" in done.err or "The disk of" in done.err
    assert "→" in done.err, "what to do is said"
    assert left.read_text() == ""


@pytest.mark.nightly
@pytest.mark.parametrize("options", SWEEP)
def test_a_disk_that_ends_anywhere_decides_no_verdict(bench: Bench, options: str) -> None:
    left = bench.checkout.parent / "left"
    done = bench("verify", before=on_disk(options, bench.temporary, left))
    assert is_fault_or_verdict(done), (done.code, done.out, done.err)
    assert left.read_text() == ""


@pytest.mark.threat("F3")
@pytest.mark.parametrize(
    "options",
    [
        "size=16k",
        *(pytest.param(f"size={k}k", marks=pytest.mark.nightly) for k in range(4, 60, 4)),
        *(pytest.param(f"nr_inodes={count}", marks=pytest.mark.nightly) for count in range(2, 14)),
    ],
)
def test_a_full_place_of_jobs_leaves_no_half_file(bench: Bench, options: str) -> None:
    jobs, kept = bench.checkout.parent / "jobs", bench.checkout.parent / "kept"
    jobs.mkdir()
    keep = ["sh", "-c", f'"$@"; code=$?; cp -r {jobs} {kept}; exit $code', "sh"]
    disk = on_disk(options, jobs, bench.checkout.parent / "left")
    done = bench("verify", "--out", str(jobs / "out"), before=[*disk, *keep])
    assert is_fault_or_verdict(done), (done.code, done.out, done.err)
    for path in kept.rglob("*.json"):
        json.loads(path.read_text())
    assert not list(kept.rglob("*.new"))
    assert bench.left() == []


@pytest.mark.parametrize(("sandbox", "options"), [("bubblewrap", "size=20k"), ("host", "size=300k")])
def test_a_full_disk_of_snapshots_is_told_and_the_next_run_makes_the_whole(
    bench: Bench, sandbox: str, options: str
) -> None:
    bench.sandbox = sandbox
    cache, left, config = (bench.checkout.parent / name for name in (".cache", "left", "set-up.toml"))
    cache.mkdir()
    made = 'setupNetwork = "none"\nsetup = ["head -c 400000 /dev/zero >made.bin"]'
    config.write_text(f"{(bench.checkout / 'perstack.toml').read_text()}[sandbox]\n{made}\n")
    keep = ["sh", "-c", f'"$@"; code=$?; find {cache} -mindepth 2 >{left}; exit $code', "sh"]
    disk = on_disk(options, cache, bench.checkout.parent / "names")
    done = bench("verify", "--config", str(config), before=[*disk, *keep])
    assert (done.code, done.err.count("perstack: no sandbox can be used")) == (4, 1), done.err
    assert "Traceback" not in done.err
    assert "No space left on device" in done.err or "nearly full" in done.err
    assert "ree some space" in done.err, "what to do is said"
    assert not [line for line in left.read_text().split() if "made.bin" in line or "snapshot.json" in line]
    assert bench.left() == []
    assert bench.works("--config", str(config))
    assert len(list(cache.rglob("made.bin"))) == 1


@pytest.mark.threat("F4")
def test_a_place_that_cannot_be_written_is_told(bench: Bench) -> None:
    jobs = bench.checkout.parent / "jobs"
    jobs.mkdir()
    done = bench("verify", "--out", str(jobs), before=on_disk("ro", jobs, Path("/dev/null")))
    assert done.is_told(4), done.err
    assert "Read-only file system" in done.err
    assert str(jobs) in done.err
