"""Options that several commands share, and the Host made from them: here the environment is read, once."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import ParamSpec, TypeVar

import click

from perstack import api
from perstack.core.events import KNOWN_EVENTS
from perstack.core.experts import Config
from perstack.forge.workflow import workflow_command
from perstack.interface.completion import providers

P = ParamSpec("P")
T = TypeVar("T")


class DefinitionSource(click.Path):
    """A file, or the https address of one."""

    def convert(
        self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> str | bytes | os.PathLike[str]:
        """An address stays a text; a path that is no directory becomes a Path."""
        return value if isinstance(value, str) and api.is_remote(value) else super().convert(value, param, ctx)


def read_config(source: Path | str | None) -> Config:
    """`api.read_config`, by way of the proxy that the environment names.

    Raises: UserError for one that cannot be read, may not be fetched, or is wrong.
    """
    proxy = os.environ.get("HTTPS_PROXY") or os.environ.get("https_proxy") or ""
    return api.read_config(source, api.Route(proxy))


repo_option = click.option(
    "--repo",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path(),
    show_default="the current directory",
    help="The checkout to work on.",
)
config_option = click.option(
    "--config",
    type=DefinitionSource(dir_okay=False, path_type=Path),
    help="Use this perstack.toml, a file or an https address, instead of the base commit's own.",
)
format_option = click.option(
    "--format",
    "output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="json: one document on stdout; progress stays on stderr.",
)
out_option = click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="Where evidence and results are written."
)


def engine_options(function: Callable[P, T]) -> Callable[P, T]:
    """`--sandbox`, `--provider` and `--model`."""
    for option in (
        click.option("--model", default="", help="Model id; default: by the expert's tier."),
        click.option(
            "--provider",
            default="",
            shell_complete=providers,
            help="anthropic, openai, openai-compatible, search (model-free), …",
        ),
        sandbox_option,
    ):
        function = option(function)
    return function


sandbox_option = click.option(
    "--sandbox",
    type=click.Choice(["auto", "docker", "bubblewrap", "host"]),
    default="auto",
    show_default=True,
    help="host: no isolation at all, for code you trust.",
)

storage_option = click.option(
    "--storage",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where jobs are kept.  [default: $PERSTACK_STORAGE_PATH, else ./perstack]",
)


def storage_root(given: Path | None) -> Path:
    """Where jobs are kept: as asked, else as the environment says, else `perstack` here."""
    return (given or Path(os.environ.get("PERSTACK_STORAGE_PATH") or "perstack")).absolute()


def environment() -> dict[str, str]:
    """The environment of this process."""
    return dict(os.environ)


@contextmanager
def host(
    sandbox: str = "auto",
    provider: str = "",
    model: str = "",
    *,
    storage: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Iterator[api.Host]:
    """The Host of this process with a private scratch directory that is gone afterwards; `env` where it has more."""
    if sandbox == "host":
        click.echo("perstack: warning: sandbox `host` gives NO isolation: the checkout's code runs as you", err=True)
    known, root = env if env is not None else environment(), storage_root(storage)
    with api.surroundings(known, sandbox=sandbox, provider=provider, model=model, storage=root) as machine:
        if known.get("GITHUB_ACTIONS"):
            mask(machine.masks)
        for warning in machine.warnings:
            warn(warning)
        yield machine


def mask(values: Iterable[str]) -> None:
    """Have the runner take these values out of every log from here on, whoever writes it. It shows no such line."""
    for value in values:
        for line in filter(None, value.splitlines()):
            click.echo(workflow_command("add-mask", line), err=True)


def warn(warning: str) -> None:
    """Tell something about a configuration that has no effect or will be refused elsewhere."""
    click.echo(f"perstack: warning: {warning}", err=True)


def event_types(texts: Iterable[str]) -> frozenset[str]:
    """Event types, several of them separated by commas. One that no event has is warned about: it matches nothing."""
    names = frozenset(name.strip() for text in texts for name in text.split(",") if name.strip())
    for name in sorted(names - KNOWN_EVENTS):
        near = difflib.get_close_matches(name, KNOWN_EVENTS, n=1)
        warn(f"no event has the type `{name}`" + (f"; there is `{near[0]}`" if near else ""))
    return names
