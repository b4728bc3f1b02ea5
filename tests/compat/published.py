"""Where the published definitions are. They are not part of the repository: elsewhere their tests are not there."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parents[3] / "shared" / "compat"
FILES = sorted(FOLDER.glob("*.toml"))


def text_of(name: str) -> str:
    """The text of one published definition, without its ending in `name`."""
    return (FOLDER / f"{name}.toml").read_text("utf-8")
