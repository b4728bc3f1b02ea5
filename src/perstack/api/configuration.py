"""Reading a configuration over the experts that ship. Runs nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Mapping
from pathlib import Path
from typing import TypeVar, cast

from perstack.core.errors import UserError
from perstack.core.experts import Config, Expert
from perstack.definition.builtin import builtin_config, merge
from perstack.definition.load import read_definition, validate_config
from perstack.definition.package_load import Loaded, loading
from perstack.infrastructure.remote import Route, fetch, is_remote

T = TypeVar("T")
CONFIG_NAME = "perstack.toml"


def parse_config(
    text: str | None, path: str = CONFIG_NAME, read: Callable[[str], bytes | None] | None = None
) -> Config:
    """The configuration in `text` over the built-in experts; None where the repository has no file.

    `read` gives the files beside it, by name: the lock, and what it vendors. Raises: UserError with every problem at
    its line, and for dependencies where nothing is beside the text.
    """
    builtin = builtin_config()
    return builtin if text is None else merge(_loaded(text, path, read).config(), builtin)


def read_config(source: Path | str | None, route: Route | None = None) -> Config:
    """The configuration over the built-in experts: a file, an https address, or None for the built-in ones alone.

    Raises: UserError for one that cannot be read, may not be fetched, or is wrong.
    """
    if source is None:
        return builtin_config()
    if isinstance(source, str) and is_remote(source):
        return parse_config(fetch(source, route), source)
    return parse_config(read_definition(Path(source)), str(source), beside(Path(source)))


async def committed_config(read: Callable[[str], Awaitable[bytes | None]]) -> Config:
    """The configuration of a commit, over the built-in experts: `read` gives its files, and no other file counts.

    Raises: UserError with every problem at its line.
    """
    data = await read(CONFIG_NAME)
    if data is None:
        return builtin_config()
    steps = loading(data.decode("utf-8", errors="replace"), CONFIG_NAME, builtin_config().experts)
    try:
        wanted = next(steps)
        while True:
            wanted = steps.send(await read(wanted))
    except StopIteration as end:
        return merge(cast("Loaded", end.value).config(), builtin_config())


def brought_experts(path: Path) -> Mapping[str, Expert]:
    """The experts that a file's dependencies bring. Raises: UserError where one is not as it was pinned."""
    return _loaded(read_definition(path), str(path), beside(path)).brought


def validate(path: Path) -> Config:
    """Check a definition as a whole, delegates included. Raises: UserError with every problem at its line."""
    text = read_definition(path)
    loaded = _loaded(text, str(path), beside(path))
    return validate_config(text, str(path), known={*builtin_config().experts, *loaded.brought})


def beside(path: Path) -> Callable[[str], bytes | None]:
    """Reads files beside a definition; None for one that is not there.

    Raises: UserError where it is there and cannot be read.
    """

    def read(name: str) -> bytes | None:
        try:
            return (path.parent / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UserError(f"{path.parent / name}: cannot be read: {error.strerror}", hint="Restore it.") from error

    return read


def _loaded(text: str, path: str, read: Callable[[str], bytes | None] | None) -> Loaded:
    return finished(loading(text, path, builtin_config().experts), read, path)


def finished(steps: Generator[str, bytes | None, T], read: Callable[[str], bytes | None] | None, path: str) -> T:
    """Run a generator that asks for files to its end. Raises: UserError where it asks and nobody can answer."""
    try:
        wanted = next(steps)
        while read is not None:
            wanted = steps.send(read(wanted))
    except StopIteration as end:
        return cast("T", end.value)
    raise UserError(
        f"{path}: its [dependencies] are pinned in a {wanted} beside it, which cannot be read from here",
        hint="Use a perstack.toml of this machine or of a commit, or take the experts over into it.",
    )
