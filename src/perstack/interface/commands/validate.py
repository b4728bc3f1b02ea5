"""`perstack validate`: check a `perstack.toml`."""

from __future__ import annotations

from pathlib import Path

import click

from perstack import api


@click.command(name="validate", epilog="\b\nExamples:\n  perstack validate\n  perstack validate experts/perstack.toml")
@click.argument("path", type=click.Path(dir_okay=False, path_type=Path), default=Path("perstack.toml"))
def command(path: Path) -> None:
    """Check a perstack.toml: every problem with its line, unknown keys as warnings."""
    config = api.validate(path)
    for warning in config.warnings:
        click.echo(f"perstack: warning: {warning}", err=True)
    click.echo("Valid")
