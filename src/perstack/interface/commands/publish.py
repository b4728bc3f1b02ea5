"""`perstack publish`: whether experts are fit for others, and how a git tag publishes them."""

from __future__ import annotations

import json
from pathlib import Path

import click

from perstack import api
from perstack.core.errors import ExitCode, UserError
from perstack.core.json import JsonObject, compact
from perstack.interface.options import format_option
from perstack.interface.render.facts import visible
from perstack.interface.working import carry_through


@click.command(
    name="publish",
    epilog="""\b
Examples:
  perstack publish --dry-run
  perstack publish review --dry-run --format json

There is no registry: a git tag is the publication, and `perstack add` takes it. So without --dry-run the commands that
make and push the tag are printed, and exit code 2 says that nothing was published here.

Exit codes: 0 fit (--dry-run); 1 not fit; 2 usage, a wrong definition, or without --dry-run.""",
)
@click.argument("expert", required=False, default="")
@click.option("--dry-run", is_flag=True, help="Check, and print what would be published.")
@click.option(
    "--config", type=click.Path(dir_okay=False, path_type=Path), help="The definition.  [default: the nearest one]"
)
@format_option
def command(expert: str, dry_run: bool, config: Path | None, output: str) -> int:
    """Check a definition as those who would take it: whole, described, versioned, without secrets, with least tools."""
    path = config or api.find_config(Path.cwd())
    if path is None:
        raise UserError("perstack.toml not found. Create one or specify --config path.")
    with api.owned_folder("publish") as scratch:
        found = carry_through(api.examine, path, expert, scratch)
    if output == "json":
        click.echo(compact(_document(found)))
    else:
        _tell(found, dry_run=dry_run)
    if found.errors:
        return ExitCode.FAIL
    return ExitCode.OK if dry_run else ExitCode.USAGE


def _document(found: api.Publication) -> JsonObject:
    return {
        "version": found.version,
        "digest": found.digest,
        "experts": list(found.experts),
        "errors": list(found.errors),
        "warnings": list(found.warnings),
        "tag": found.tag,
        "source": found.source,
        "commands": list(found.commands),
    }


def _tell(found: api.Publication, *, dry_run: bool) -> None:
    for kind, lines in (("error", found.errors), ("warning", found.warnings)):
        for line in lines:
            click.echo(f"perstack: {kind}: {visible(line)}", err=True)
    if found.errors:
        click.echo("perstack: not fit to be published", err=True)
        return
    if dry_run:
        click.echo("Dry run - would publish:")
        click.echo(json.dumps(list(found.experts), indent=2, ensure_ascii=True))
        click.echo(f"Digest: {found.digest}")
        click.echo("Published by:")
    else:
        click.echo("perstack: nothing was published: there is no registry, a git tag is the publication", err=True)
        click.echo("  → it is fit; run these:", err=True)
    for line in found.commands:
        click.echo(f"  {line}")
    if found.source:
        click.echo(f"Others take it with:\n  perstack add {found.source}")
