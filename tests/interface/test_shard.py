"""`perstack shard`: several machines measure, one merges, and the verdict is the one that a single machine gives."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.signals.project import BUGGY, FIXED, git

CONFIG = """
[signals.tests]
kind = "test"
run = "python3 -m pytest -q"

[signals.compiles]
kind = "command"
run = "python3 -m compileall -q calc.py"
repeat = 1
"""
pytestmark = pytest.mark.slow
NAMES = ("mean", "odd", "even", "pairs", "single")
CASES = {"mean": "mean([1, 2, 3]) == 2", "odd": "median([3, 1, 2]) == 2", "even": "median([1, 2, 3, 4]) == 2.5",
         "pairs": "median([1, 1]) == 1", "single": "median([7]) == 7"}  # fmt: skip
TARGET = "tests/test_even.py::test_even"


def perstack(*words: str | Path, cwd: Path, fails: bool = False) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "perstack", *map(str, words)]
    environment = {**os.environ, "XDG_CACHE_HOME": str(cwd.parent / "cache"), "PERSTACK_STORAGE_PATH": str(cwd.parent)}
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, env=environment, check=False)
    assert fails or done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("shard") / "repo"
    (root / "tests").mkdir(parents=True)
    (root / "calc.py").write_text(BUGGY)
    (root / "perstack.toml").write_text(CONFIG)
    for name in NAMES:
        text = f"from calc import mean, median\n\n\ndef test_{name}():\n    assert {CASES[name]}\n"
        (root / "tests" / f"test_{name}.py").write_text(text)
    git(root, "init", "-q", "-b", "main")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "Base")
    (root / "calc.py").write_text(FIXED)
    return root


CHANGE = ("--base", "HEAD", "--target", TARGET, "--sandbox", "bubblewrap")


@pytest.fixture(scope="module")
def shares(checkout: Path) -> Path:
    """What four machines left."""
    folder = checkout.parent / "shares"
    planned = json.loads(perstack("shard", "plan", "--shards", "4", *CHANGE, "--format", "json", cwd=checkout).stdout)
    assert [row["shard"] for row in planned["matrix"]["include"]] == ["1/4", "2/4", "3/4", "4/4"]
    for share in [row["shard"] for row in planned["matrix"]["include"]]:
        perstack("shard", "run", share, *CHANGE, "--out", folder / share.replace("/", "-"), cwd=checkout)
    return folder


def merged(checkout: Path, shares: Path, out: Path, *more: str) -> dict[str, Any]:
    done = perstack(
        "shard", "merge", shares, *CHANGE, "--out", out, "--format", "json", *more, cwd=checkout, fails=True
    )
    assert done.stdout, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def told(report: dict[str, Any]) -> dict[str, Any]:
    """What of a report does not depend on time and place."""
    signals = [{k: v for k, v in signal.items() if k != "seconds"} for signal in report["signals"]]
    return {"signals": signals, **{name: report[name] for name in ("verdict", "reasons", "policy", "necessity")}}


def test_four_shards_give_the_verdict_of_one_machine(checkout: Path, shares: Path, tmp_path: Path) -> None:
    together = merged(checkout, shares, tmp_path / "merged")
    alone = json.loads(
        perstack("verify", *CHANGE, "--all", "--out", tmp_path / "alone", "--format", "json", cwd=checkout).stdout
    )
    assert told(together) == told(alone)
    assert together["verdict"] == "pass"
    assert together["signals"][0]["tests"]["fail_to_pass"] == [TARGET]
    events = next((tmp_path / "merged").rglob("events.jsonl")).read_text().splitlines()
    runs = [json.loads(line) for line in events if '"startSignal"' in line]
    assert not [e for e in runs if e["name"] == "tests" and e["tree"] == "candidate"], "measured by the shards"
    audited = perstack("audit", tmp_path / "merged" / "evidence.json", cwd=checkout)
    assert "pass" in audited.stdout


def test_a_shard_that_is_missing_or_was_tampered_with_is_measured_again(
    checkout: Path, shares: Path, tmp_path: Path
) -> None:
    some = tmp_path / "some"
    shutil.copytree(shares, some)
    shutil.rmtree(some / "1-4")
    for unit in (some / "2-4").glob("unit-*.json"):
        unit.write_text(unit.read_text().replace("failed", "passed").replace('"fail"', '"pass"'))
    found = merged(checkout, some, tmp_path / "out")
    assert (found["verdict"], found["signals"][0]["tests"]["fail_to_pass"]) == ("pass", [TARGET])


def test_shares_of_another_change_are_refused(checkout: Path, shares: Path, tmp_path: Path) -> None:
    patch = tmp_path / "other.diff"
    patch.write_text(git(checkout, "diff").replace("/ 2\n", "/ 3\n") + "\n")
    done = perstack("shard", "merge", shares, "--base", "HEAD", "--patch", patch, cwd=checkout, fails=True)
    assert done.returncode == 2
    assert "these results are about another change" in done.stderr


def test_bad_words_get_one_clear_sentence(checkout: Path, shares: Path, tmp_path: Path) -> None:
    for share in ("5/4", "0/4", "2", "a/b", "1/300"):
        done = perstack("shard", "run", share, cwd=checkout, fails=True)
        assert (done.returncode, "names no share" in done.stderr) == (2, True), share
    done = perstack("shard", "run", "1/4", "--out", shares / "1-4", cwd=checkout, fails=True)
    assert (done.returncode, "is not empty" in done.stderr) == (2, True)
    done = perstack("shard", "merge", tmp_path, *CHANGE, cwd=checkout, fails=True)
    assert (done.returncode, "no shard.json below" in done.stderr) == (2, True)
