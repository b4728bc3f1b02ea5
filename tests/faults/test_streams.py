"""Streams that are closed, full or that nobody reads: the exit code is that of the work."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.faults.bench import Bench

pytestmark = pytest.mark.slow


def ended(bench: Bench, redirected: str, *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command under a shell's redirection, such as `2>&-`."""
    command = ["sh", "-c", f'"$@" {redirected}', "sh", *bench.argv(*arguments)]
    done = subprocess.run(
        command, cwd=bench.checkout, env=bench.env(), capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.threat("F11")
def test_words_that_nobody_takes_decide_no_exit_code(bench: Bench) -> None:
    wrong = ("verify", "--base", "nope")
    for redirected in ("2>/dev/full", ">&-", "<&- >&- 2>&-"):
        code, _, err = ended(bench, redirected, *wrong)
        assert code == 2, (redirected, err)
        assert "2>" in redirected or err.startswith("perstack: unknown revision"), err


@pytest.mark.nightly
def test_a_verification_does_its_work_with_all_streams_closed(bench: Bench) -> None:
    bench.sandbox = "host"
    out = bench.checkout.parent / "out"
    assert ended(bench, "<&- >&- 2>&-", "verify", "--out", str(out))[0] == 0
    (evidence,) = out.glob("**/evidence.json")
    assert '"pass"' in evidence.read_text(), "and nothing of a stream got into a file"
    json.loads(evidence.read_text())


def test_a_stdout_that_takes_nothing_more_is_named(bench: Bench) -> None:
    command = [*bench.argv()[:3], "schema"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, env=bench.env(), stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    told = [line for line in done.stderr.splitlines() if line.startswith("perstack: ")]
    assert (done.returncode, told) == (4, ["perstack: stdout: No space left on device"]), done.stderr
    assert "TMPDIR" not in done.stderr


def test_a_reader_that_goes_away_makes_no_verdict(bench: Bench) -> None:
    for words in (("schema",), ("--help",)):
        child = subprocess.Popen(
            [*bench.argv()[:3], *words], env=bench.env(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert child.stdout is not None
        child.stdout.close()
        _, err = child.communicate(timeout=60)
        assert child.returncode == 0, (words, err)
        assert b"Traceback" not in err
