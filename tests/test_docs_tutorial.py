"""The tutorial does what it says: its commands run in order, as one person would type them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

TUTORIAL = Path(__file__).parent.parent / "docs" / "tutorial.md"


@pytest.mark.slow
def test_the_commands_of_the_tutorial_lead_to_a_proved_fix_and_a_refused_cheat(tmp_path: Path) -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```$", TUTORIAL.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    script = "\n".join(["set -euo pipefail", *(f"echo '== {i}'\n{block}" for i, block in enumerate(blocks))])
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {"PATH": path, "HOME": str(tmp_path), "LANG": "C.UTF-8", "PYTHONWARNINGS": ""}
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    parts = re.split(r"^== \d+$", done.stdout, flags=re.MULTILINE)
    _, _, detected, fixed, changed, audited, cheated = parts
    assert "[signals.tests]" in detected
    assert "verdict: pass · Fixed, and proved" in fixed
    assert "+    if value >= 50:" in changed
    assert "pass" in audited
    assert "verdict: fail" in cheated
    assert "<!doctype html>" in (tmp_path / "report.html").read_text("utf-8").lower()
