"""`perstack validate`: check a `perstack.toml`."""

from __future__ import annotations

from pathlib import Path

import click

from perstack import api
from perstack.core.json import JsonObject, compact
from perstack.interface.options import format_option, warn


@click.command(
    name="validate",
    epilog="""\b
Examples:
  perstack validate
  perstack validate experts/perstack.toml
  perstack validate --format json | jq .warnings

Exit codes: 0 valid, also with warnings; 2 not valid, or not there.""",
)
@click.argument("path", type=click.Path(dir_okay=False, path_type=Path), required=False)
@click.option("--config", type=click.Path(dir_okay=False, path_type=Path), help="The same as PATH.")
@format_option
def command(path: Path | None, config: Path | None, output: str) -> None:
    """Check a perstack.toml: every problem with its line, unknown keys as warnings.

    Without PATH it is the nearest one, from the current directory upwards.
    """
    place = path or config or api.find_config(Path.cwd()) or Path(api.CONFIG_NAME)
    checked = api.validate(place)
    for warning in checked.warnings:
        warn(warning)
    document: JsonObject = {"valid": True, "path": str(place), "warnings": list(checked.warnings)}
    click.echo(compact(document) if output == "json" else "Valid")
