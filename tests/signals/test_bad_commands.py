"""Commands that behave badly: each ends with a reason, what it took is given back, and the next signal is unharmed."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from perstack.core.sandbox import Limits
from perstack.core.signals import SignalKind, SignalRun, SignalSpec, SignalStatus
from tests.signals.project import CALC, PYTEST, Project

pytestmark = [pytest.mark.slow, pytest.mark.anyio]

MARK = "98765.4321"  # seconds to sleep that nobody else on this machine sleeps
PORT = 38417
FORKS = "import os, time\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        time.sleep(60)\n"
SERVES = f"import socket, time\ns = socket.create_server(('127.0.0.1', {PORT}))\ntime.sleep({MARK})\n"
POURS = "i=0; while :; do i=$((i+1)); head -c 4000000 /dev/urandom > big$i; done"
BAD = {
    "flood": ("sh", "-c", "yes"),
    "never": ("sleep", MARK),
    "forks": ("python3", "-c", FORKS),
    "fills": ("sh", "-c", "head -c 200000000 /dev/zero > big"),
    "pours": ("sh", "-c", POURS),
    "hogs": ("sh", "-c", "head -c 900000000 /dev/zero | tail"),
    "kills": ("sh", "-c", f"kill -9 $PPID; sleep {MARK}"),
}
REPORTS = {
    "fifo": "mkfifo report.xml",
    "link": "ln -s /etc/passwd report.xml",
    "device": "ln -s /dev/zero report.xml",
    "folder": "mkdir report.xml",
    "holes": "truncate -s 16M report.xml",
}
LEAVES = {
    "serves": ("sh", "-c", f'python3 -c "{SERVES}" & sleep 1'),
    "leaves": ("sh", "-c", f"(setsid sleep {MARK} &) ; exit 0"),
}


def spec(name: str, run: tuple[str, ...]) -> SignalSpec:
    return SignalSpec(name, SignalKind.COMMAND, run, repeat=1, timeout_s=6.0)


def left_over() -> list[str]:
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = place.read_bytes().decode(errors="replace")
        except OSError:
            continue  # ended meanwhile
        if MARK in words or "os.fork()" in words:
            found.append(words)
    return found


@pytest.fixture(scope="module")
async def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, SignalRun]:
    """All of them side by side with a good one, and the good one again afterwards."""
    project = Project.make(tmp_path_factory.mktemp("bad"), CALC)
    limits = Limits(memory_mb=512, processes=64, file_mb=16, tmp_mb=32, disk_mb=40)
    snapshot = replace(await project.snapshot(), limits=limits)
    specs = [spec(name, run) for name, run in {**BAD, **LEAVES}.items()]
    for name, script in REPORTS.items():
        reported = replace(spec(name, ("sh", "-c", script)), kind=SignalKind.TEST, expect={"report": "report.xml"})
        specs.append(reported)
    verifier, repository = project.verifier(), await project.repository()
    found = dict((await verifier.baseline(repository, project.base, [*specs, PYTEST], snapshot)).measurements)
    after = await project.verifier().baseline(repository, project.base, [replace(PYTEST, name="after")], snapshot)
    return {name: measurement.runs[0] for name, measurement in {**found, **after.measurements}.items()}


async def test_each_ends_with_a_reason_and_none_is_green(runs: dict[str, SignalRun]) -> None:
    assert all(runs[name].status in {SignalStatus.ERROR, SignalStatus.FAIL} for name in BAD), runs
    assert runs["flood"].problem_code in {"output-limit", "timed-out"}
    assert runs["never"].problem_code == "timed-out"
    assert runs["forks"].problem_code == "timed-out"
    assert runs["fills"].exit_code not in {0, None}
    assert all(runs[name].problem or runs[name].exit_code for name in BAD)


async def test_nothing_is_left_of_any_of_them(runs: dict[str, SignalRun]) -> None:
    assert runs["serves"].status is SignalStatus.PASS
    assert left_over() == []
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", PORT)) != 0


async def test_the_signals_beside_and_after_them_are_unharmed(runs: dict[str, SignalRun]) -> None:
    for name in ("tests", "after"):
        assert not runs[name].problem, runs[name].problem
        assert len(runs[name].tests) == 4


@pytest.mark.parametrize("name", REPORTS)
async def test_a_report_that_is_no_file_proves_nothing_and_holds_nobody_up(
    name: str, runs: dict[str, SignalRun]
) -> None:
    run = runs[name]
    assert run.status is SignalStatus.ERROR
    assert run.problem_code in {"report-missing", "report-invalid"}
    assert "root:" not in run.output + (run.problem or "")


async def test_what_fills_the_disk_is_stopped_and_the_limit_named(runs: dict[str, SignalRun]) -> None:
    assert runs["pours"].problem_code == "disk-limit"
    assert "40 MiB" in (runs["pours"].problem or "")


async def test_what_takes_all_memory_is_red_and_the_limit_named(runs: dict[str, SignalRun]) -> None:
    assert (runs["hogs"].status, runs["hogs"].problem_code) == (SignalStatus.FAIL, "memory-limit")
    assert "512 MiB" in (runs["hogs"].problem or "")
