"""One small repository a test."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from perstack.testing import ProjectBuilder
from tests.faults.bench import Bench
from tests.interface.scene import FILES, FIXED


@pytest.fixture(scope="session")
def _checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = ProjectBuilder(tmp_path_factory.mktemp("calc") / "calc")

    async def make() -> None:
        await project.commit("Start", FILES)

    anyio.run(make)
    (project.path / "calc.py").write_text(FIXED)
    return project.path


@pytest.fixture
def bench(_checkout: Path, tmp_path: Path) -> Iterator[Bench]:
    shutil.copytree(_checkout, tmp_path / "calc")
    temporary = Path(tempfile.mkdtemp(prefix="pf-"))  # short: sockets below it have a length limit
    yield Bench(tmp_path / "calc", temporary)
    shutil.rmtree(temporary, ignore_errors=True)
