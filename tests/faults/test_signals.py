"""Signals to the harness at any point: interrupted, told, nothing left, and the next run works."""

from __future__ import annotations

import signal
import subprocess
import time

import pytest

from tests.faults.bench import Bench, signalled_at_line, until_gone

pytestmark = pytest.mark.slow
POINTS = ["startJob", "prepare", "verify"]


@pytest.mark.threat("F6")
@pytest.mark.parametrize(
    ("which", "word"),
    [
        (signal.SIGTERM, '"verify"'),
        (signal.SIGHUP, '"prepare"'),
        *(
            pytest.param(which, f'"{word}"', marks=pytest.mark.nightly)
            for which in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
            for word in POINTS
        ),
    ],
)
def test_a_signal_ends_a_verification_cleanly_with_a_word(bench: Bench, which: signal.Signals, word: str) -> None:
    done = signalled_at_line(bench, which, word, "verify")
    assert (done.code, done.err.strip().splitlines()[-1]) == (130, "perstack: interrupted"), done.err
    assert "verdict: " not in done.out
    assert bench.left() == []
    assert until_gone(str(bench.temporary)) == []


@pytest.mark.threat("I11", "F6")
def test_what_a_killed_harness_left_is_gone_with_the_next_run(bench: Bench) -> None:
    done = signalled_at_line(bench, signal.SIGKILL, '"verify"', "verify")
    assert done.code == -9
    assert until_gone(str(bench.temporary)) == []
    assert bench.works()
    assert bench.left() == []


@pytest.mark.nightly
@pytest.mark.parametrize("command", [("verify",), ("fix", "median is wrong", "--provider", "search")])
@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_signal_at_any_moment_is_survived(bench: Bench, command: tuple[str, ...], which: signal.Signals) -> None:
    for tenths in range(1, 40, 3):
        child = bench.start(*command)
        try:
            child.wait(tenths / 10)
        except subprocess.TimeoutExpired:
            sent = time.monotonic()
            child.send_signal(which)
            _, err = child.communicate(timeout=30)
            started = tenths > 3  # before that Python itself is starting
            assert not started or child.returncode in {-9 if which == signal.SIGKILL else 130, 0}, (tenths, err)
            assert "Traceback" not in err or not started, (tenths, err)
            assert time.monotonic() - sent < 8
            assert which == signal.SIGKILL or not started or bench.left() == [], tenths
        else:
            child.communicate()
            break
    assert until_gone(str(bench.temporary)) == []
    assert bench.works()
    assert bench.left() == []


@pytest.mark.threat("F11")
def test_a_reader_of_the_output_that_goes_away_ends_nothing_halfway(bench: Bench) -> None:
    child = bench.start("verify", "--format", "json")
    assert child.stdout is not None
    child.stdout.close()
    _, err = child.communicate()
    assert child.returncode == 0, err
    assert "Traceback" not in err
    assert len(list(bench.checkout.glob("perstack/jobs/*/evidence.json"))) == 1
    assert bench.left() == []
