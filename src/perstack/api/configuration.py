"""Reading a configuration over the experts that ship. Runs nothing."""

from __future__ import annotations

from pathlib import Path

from perstack.core.experts import Config
from perstack.definition.builtin import builtin_config, merge
from perstack.definition.load import load_config, load_file, read_definition, validate_config
from perstack.infrastructure.remote import Route, fetch, is_remote

CONFIG_NAME = "perstack.toml"


def parse_config(text: str | None, path: str = CONFIG_NAME) -> Config:
    """The configuration in `text` over the built-in experts; None where the repository has no file.

    Raises: UserError with every problem at its line.
    """
    builtin = builtin_config()
    return builtin if text is None else merge(load_config(text, path), builtin)


def read_config(source: Path | str | None, route: Route | None = None) -> Config:
    """The configuration over the built-in experts: a file, an https address, or None for the built-in ones alone.

    Raises: UserError for one that cannot be read, may not be fetched, or is wrong.
    """
    if source is None:
        return builtin_config()
    if isinstance(source, str) and is_remote(source):
        return merge(load_config(fetch(source, route), source), builtin_config())
    return merge(load_file(Path(source)), builtin_config())


def validate(path: Path) -> Config:
    """Check a definition as a whole, delegates included. Raises: UserError with every problem at its line."""
    return validate_config(read_definition(path), str(path), known=builtin_config().experts)
