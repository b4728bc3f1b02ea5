"""The whole protocol over every back end: the channel, the report file and the clean-up must work in each."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from perstack.core.verdict import Verdict
from perstack.infrastructure.sandbox.docker import Docker, probe_docker
from perstack.infrastructure.sandbox.host import Host
from tests.signals.project import CALC, FIXED, Project, codes


@pytest.mark.slow
@pytest.mark.anyio
async def test_an_honest_fix_passes_in_containers(tmp_path: Path) -> None:
    if problem := await probe_docker():
        pytest.skip(problem)
    project = Project.make(tmp_path, CALC)
    project.sandbox = Docker(cache=tmp_path / "cache")
    report = await project.verify({"calc.py": FIXED})
    assert (report.verdict, codes(report)) == (Verdict.PASS, set())


@pytest.mark.anyio
async def test_an_honest_fix_passes_on_the_host_and_runs_leave_nothing(tmp_path: Path) -> None:
    project = Project.make(tmp_path, CALC)
    project.sandbox = Host((Path(sys.executable).parent,))
    report = await project.verify({"calc.py": FIXED})
    assert (report.verdict, codes(report)) == (Verdict.PASS, set())
    assert not [path for path in project.scratch.rglob("*") if path.name.startswith("run-")]
