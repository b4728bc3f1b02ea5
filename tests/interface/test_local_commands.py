"""`perstack verify` and `perstack fix` on a local checkout, as processes: verdicts, JSON, exit codes, `--apply`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from anyio import to_thread

from perstack.interface.main import run
from perstack.testing import ProjectBuilder
from tests.interface.scene import FILES, FIXED

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


def perstack(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    env = {"PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin", "HOME": str(cwd.parent / "home")}
    return subprocess.run(
        [sys.executable, "-m", "perstack", *arguments, "--sandbox", "bubblewrap", "--format", "json"],
        cwd=cwd, env=env, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip


@pytest.fixture
async def checkout(tmp_path: Path) -> Path:
    project = ProjectBuilder(tmp_path / "calc")
    await project.commit("Start", FILES)
    return project.path


def document(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.stdout.count("\n") == 1, "one JSON document and nothing else"
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


async def test_verify_judges_the_working_tree_and_keeps_to_the_published_json(checkout: Path) -> None:
    unchanged = perstack("verify", cwd=checkout)
    assert unchanged.returncode == 1
    assert [r["code"] for r in document(unchanged)["reasons"]] == ["empty-patch"]
    (checkout / "calc.py").write_text(FIXED)
    right = perstack("verify", cwd=checkout)
    report = document(right)
    assert (right.returncode, report["verdict"]) == (0, "pass")
    (signal,) = report["signals"]
    assert {
        "name",
        "kind",
        "priority",
        "status",
        "baseline",
        "runs",
        "seconds",
        "tests",
        "diagnostics",
    } <= signal.keys()
    assert signal["tests"]["fail_to_pass"] == ["tests/test_calc.py::test_even"]
    assert signal["tests"]["pass_to_pass"] == 1
    assert {"fail_to_pass", "pass_to_pass", "broken", "vanished", "flaky"} <= signal["tests"].keys()
    assert report["necessity"] == [{"path": "calc.py", "hunk": 1, "verified": True}]
    assert (checkout / report["evidence"]).is_file()


async def test_verify_reads_signals_from_the_base_and_not_from_the_change(checkout: Path) -> None:
    (checkout / "perstack.toml").write_text('[signals.tests]\nkind = "command"\nrun = "true"\n')
    done = perstack("verify", cwd=checkout)
    assert done.returncode == 1
    report = document(done)
    assert report["verdict"] == "fail"
    assert "protected-path" in {reason["code"] for reason in report["reasons"]}


async def test_verify_takes_a_patch_file_and_says_where_it_does_not_apply(checkout: Path) -> None:
    (checkout / "fix.diff").write_text("--- a/nowhere.py\n+++ b/nowhere.py\n@@ -1 +1 @@\n-a\n+b\n")
    done = perstack("verify", "--patch", "fix.diff", cwd=checkout)
    assert done.returncode in {1, 2}
    assert "nowhere.py" in done.stdout + done.stderr


async def test_fix_finds_a_proved_fix_leaves_the_tree_alone_and_applies_it_when_asked(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done = perstack("fix", "median is wrong for even lists", "--provider", "search", cwd=checkout)
    outcome = document(done)
    assert (done.returncode, outcome["verdict"], outcome["ending"]) == (0, "pass", "fixed"), done.stderr
    assert outcome["files"] == ["calc.py"]
    assert (checkout / "calc.py").read_text() == FILES["calc.py"]
    # what is on record: steps are counted as the runs have them, and the pipeline's experts ship
    monkeypatch.chdir(checkout)
    assert run(["log", "--json", "--take", "0"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["job"]["totalSteps"] == max(event.get("stepNumber", 0) for event in record["events"]) > 0
    assert await to_thread.run_sync(run, ["replay", "--rerun"]) == 0
    assert "all came out as recorded" in capsys.readouterr().out
    assert perstack("fix", "--provider", "search", "--apply", cwd=checkout).returncode == 0
    assert (checkout / "calc.py").read_text() == FIXED


@pytest.mark.nightly
async def test_apply_never_writes_over_uncommitted_work(checkout: Path) -> None:
    mine = FILES["calc.py"] + "\n# my own note\n"
    (checkout / "calc.py").write_text(mine)
    done = perstack("fix", "--provider", "search", "--apply", cwd=checkout)
    assert done.returncode == 2
    assert "not as in" in done.stderr
    assert (checkout / "calc.py").read_text() == mine


async def test_fix_of_a_green_commit_has_nothing_to_do(checkout: Path) -> None:
    project = ProjectBuilder(checkout)
    await project.commit("Fix", {"calc.py": FIXED})
    done = perstack("fix", "--provider", "search", cwd=checkout)
    assert done.returncode == 3
    assert document(done)["ending"] == "nothing-to-fix"
