"""Fixtures of the skill tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.skills.kit import Bench, bench


@pytest.fixture
def tools(tmp_path: Path) -> Bench:
    return bench(tmp_path / "work")
