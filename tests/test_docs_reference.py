"""Reference pages say what the code says."""

from __future__ import annotations

from pathlib import Path

import pytest

from perstack.interface.reference.pages import pages

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "reference"
MADE = pages(ROOT)


def test_there_is_no_reference_page_that_nobody_makes() -> None:
    assert {page.name for page in FOLDER.iterdir()} == set(MADE)


@pytest.mark.parametrize("name", MADE)
def test_a_reference_page_is_fresh(name: str) -> None:
    committed = (FOLDER / name).read_text("utf-8")
    assert committed == MADE[name], "run: python -m perstack.interface.reference"
