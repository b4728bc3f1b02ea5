"""`perstack audit`, as a process: evidence that holds, evidence that was changed, and a second run that differs."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.interface.scene import FIXED
from tests.interface.test_local_commands import checkout, document, perstack

__all__ = ["checkout"]

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


async def test_evidence_holds_until_a_byte_of_it_changes(checkout: Path) -> None:
    (checkout / "calc.py").write_text(FIXED)
    assert perstack("verify", "--out", "out", cwd=checkout).returncode == 0
    offline = perstack("audit", "out", cwd=checkout)
    again = perstack("audit", "out/evidence.json", "--rerun", cwd=checkout)
    assert (offline.returncode, again.returncode) == (0, 0)
    told = document(again)
    assert (told["holds"], told["verdict"], told["rerun"], told["differences"]) == (True, "pass", True, [])

    result = next((checkout / "out/results").iterdir())
    result.write_bytes(result.read_bytes().replace(b"passed", b"failed"))
    changed = perstack("audit", "out", cwd=checkout)
    assert changed.returncode == 1
    assert document(changed) == {"holds": False, "problem": f"results/{result.name}: the digest does not match"}


async def test_a_second_run_that_gives_something_else_is_told(checkout: Path) -> None:
    (checkout / "calc.py").write_text(FIXED)
    assert perstack("verify", "--out", "out", cwd=checkout).returncode == 0
    # The evidence is sound, but the rules it is judged by again are stricter: the base's own file, as people edit it.
    (checkout / "strict.toml").write_text('[verify]\nprotect = ["calc.py"]\n')
    again = perstack("audit", "out", "--rerun", "--config", "strict.toml", cwd=checkout)
    told = document(again)
    assert (again.returncode, told["holds"]) == (1, False)
    assert told["differences"][0] == "verdict: recorded pass, now fail"
    assert any("protected" in line for line in told["differences"][1:])


async def test_what_is_no_evidence_is_refused_with_its_name(checkout: Path) -> None:
    (checkout / "evidence.json").write_text("{}\n")
    done = perstack("audit", "evidence.json", cwd=checkout)
    assert (done.returncode, json.loads(done.stdout)["holds"]) == (1, False)
    assert "evidence.json: this is not a perstack verification statement" in done.stdout
    missing: subprocess.CompletedProcess[str] = perstack("audit", "nowhere", cwd=checkout)
    assert (missing.returncode, json.loads(missing.stdout)["exitCode"]) == (2, 2)
