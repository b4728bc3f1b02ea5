"""The documentation's site builds strictly, its links lead somewhere, and it asks no other machine for anything."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def test_every_page_is_in_the_navigation() -> None:
    text = (ROOT / "zensical.toml").read_text("utf-8")
    tomllib.loads(text)
    named = set(re.findall(r'"([\w/-]+\.md)"', text))
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert named == pages | {"index.md", "contributing.md", "security.md"}


@pytest.mark.slow
def test_the_site_builds_strictly_and_stands_alone(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "scripts" / "docs" / "site"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "nothing is loaded from elsewhere" in done.stdout
    assert "What a model" in (tmp_path / "site" / "index.html").read_text("utf-8")
    assert (tmp_path / "site" / "images" / "comment.png").is_file()
