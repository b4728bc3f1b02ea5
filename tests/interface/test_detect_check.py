"""`perstack detect --check`: what is found is shown to be able to be red, in TOML and in JSON."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from perstack.testing import ProjectBuilder

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

FILES = {
    "calc.py": "def one():\n    return 1\n",
    "tests/test_calc.py": "def test_nothing():\n    assert True\n",
    "ruff.toml": "line-length = 100\n",
}


def detect(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin", "HOME": str(folder)}
    return subprocess.run(
        [sys.executable, "-m", "perstack", "detect", "--check", "--sandbox", "bubblewrap", *words],
        cwd=folder, env=env, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip


async def test_a_suite_that_does_not_touch_the_product_is_told_and_gives_exit_code_3(tmp_path: Path) -> None:
    project = ProjectBuilder(tmp_path / "calc")
    await project.commit("Start", FILES)
    done = detect(project.path)
    assert done.returncode == 3, done.stderr
    assert "# tests: cannot be red, so it proves nothing: it stays green where" in done.stdout
    assert "# lint: can be red" in done.stdout
    assert list(tomllib.loads(done.stdout)["signals"]) == ["tests", "lint"]
    test = "import calc\n\n\ndef test_one():\n    assert calc.one() == 1\n"
    await project.commit("Look", {"tests/test_calc.py": test})
    done = detect(project.path, "--format", "json")
    assert done.returncode == 0, done.stderr
    assert [row["canFail"] for row in json.loads(done.stdout)["signals"]] == [True, True]
