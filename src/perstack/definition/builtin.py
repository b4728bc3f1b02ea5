"""The experts that ship with Perstack, and how a user's definition goes over them. Reads packaged files only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Protocol

from perstack.core.errors import InvariantBroken
from perstack.core.experts import Config
from perstack.definition.load import load_config


class _File(Protocol):
    @property
    def name(self) -> str: ...

    def read_text(self, encoding: str | None = None) -> str: ...


@cache
def builtin_config() -> Config:
    """All experts that ship, read once. In a wheel they are `perstack/experts/`, in a checkout `experts/`.

    Raises: InvariantBroken where the installation has none.
    """
    config: Config | None = None
    for file in sorted(_files(), key=lambda file: file.name):
        found = load_config(file.read_text(encoding="utf-8"), f"experts/{file.name}")
        config = found if config is None else replace(config, experts={**config.experts, **found.experts})
    if config is None:
        raise InvariantBroken("the experts that ship are missing", hint="Install perstack again.")
    return replace(config, path="")


def merge(user: Config, builtin: Config) -> Config:
    """The user's definition over the built-in experts: expert keys add up, the user's expert wins as a whole.

    Everything that is not an expert comes from the user's definition alone.
    """
    return replace(user, experts={**builtin.experts, **user.experts})


def _files() -> Iterator[_File]:
    packaged = resources.files("perstack") / "experts"
    if packaged.is_dir():
        yield from (entry for entry in packaged.iterdir() if entry.name.endswith(".toml"))
        return
    # A source checkout (or an editable install of it): src/perstack/definition/builtin.py → experts/.
    yield from (Path(__file__).parents[3] / "experts").glob("*.toml")
