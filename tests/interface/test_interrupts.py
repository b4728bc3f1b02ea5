"""Signals at any moment: one line, exit code 130, no traceback. The moment is the import of the n-th module."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

# A finder that finds nothing, and sends this process a signal when it is asked for the module.
PROGRAM = """
import os, sys
number, moment, *words = sys.argv[1:]
class Sender:
    asked = 0
    def find_spec(self, name, path=None, target=None):
        Sender.asked += 1
        if moment in {name, str(Sender.asked)}:
            os.kill(os.getpid(), int(number))
from perstack.interface.main import main
sys.argv[1:] = words
if number == "0":
    before = set(sys.modules)
    try:
        main()
    finally:
        os.write(2, str(len(set(sys.modules) - before)).encode())
sys.meta_path.insert(0, Sender())
main()
"""


def interrupted(number: int, moment: str, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROGRAM, str(number), moment, *words]
    env = {"PATH": os.defpath, "HOME": str(cwd), "TMPDIR": str(cwd)}
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize(
    ("number", "moment"),
    [
        (signal.SIGINT, "click"),  # before there is a command line
        (signal.SIGTERM, "perstack.interface.commands.replay"),  # while the command is found
        (signal.SIGHUP, "perstack.api.history"),  # at work
    ],
)
def test_a_signal_while_modules_load_ends_with_one_line_and_one_document(
    number: int, moment: str, tmp_path: Path
) -> None:
    done = interrupted(number, moment, "replay", "--format", "json", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (130, "perstack: interrupted\n")
    assert json.loads(done.stdout) == {"error": "interrupted", "hint": "", "exitCode": 130}


@pytest.mark.nightly
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    "words", [("--help",), ("models",), ("verify", "--sandbox", "host"), ("log", "--jobs")], ids=" ".join
)
def test_a_signal_at_any_moment_ends_with_one_line(number: int, words: tuple[str, ...], tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    modules = int(interrupted(0, "", *words, cwd=tmp_path).stderr.rpartition("\n")[2])
    assert modules > 20, "the count reaches the end of the work"
    for moment in range(1, modules, 40):
        done = interrupted(number, str(moment), *words, cwd=tmp_path)
        told = [line for line in done.stderr.splitlines() if not line.startswith(("perstack: warning: ", "… "))]
        whole = done.returncode == 0 and done.stdout  # there was nothing left to interrupt
        assert (done.returncode, told) == ((0, []) if whole else (130, ["perstack: interrupted"])), moment
