"""Work that was found by measuring and must not come back. Held by what happens, not by a clock."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from perstack.core.sandbox import Snapshot
from perstack.core.verdict import Verdict
from perstack.infrastructure import process
from perstack.infrastructure.sandbox.bubblewrap import Bubblewrap
from tests.signals.project import CALC, FIXED, Project

# Hypothesis imports itself there, rewritten by pytest and uncached: a second for every run of a suite.
_SLOW_SUMMARY = "def pytest_terminal_summary():\n    raise SystemExit('nobody reads a summary')\n"


@pytest.mark.anyio
async def test_plugins_write_no_terminal_summary_for_the_verifier(tmp_path: Path) -> None:
    project = Project.make(tmp_path, {**CALC, "conftest.py": _SLOW_SUMMARY})
    report = await project.verify({"calc.py": FIXED})
    assert report.verdict is Verdict.PASS, report.reasons


@pytest.mark.anyio
async def test_bubblewrap_is_asked_for_its_features_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []
    run = process.run

    async def counted(argv: list[str], **options: object) -> object:
        started.append(" ".join(argv[:2]))
        return await run(argv, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(process, "run", counted)
    sandbox = Bubblewrap()
    for _ in range(2):
        async with sandbox.open(Snapshot("", ""), tmp_path) as session:
            assert (await session.run(["true"])).exit_code == 0
    assert started.count("bwrap --help") == 1


def test_starting_up_loads_neither_an_sdk_nor_the_verifier() -> None:
    modules = "import sys, perstack.interface.commands.run, perstack.api.engine; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", modules], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not loaded & {"anthropic", "openai", "docker", "github", "perstack.signals.protocol", "rich"}
