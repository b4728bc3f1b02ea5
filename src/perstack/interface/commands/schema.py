"""`perstack schema`: the reference and the JSON Schema of `perstack.toml`."""

from __future__ import annotations

import click

from perstack import api


@click.command(
    name="schema", epilog="\b\nExamples:\n  perstack schema\n  perstack schema --format json > perstack.schema.json"
)
@click.option(
    "--format",
    "output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="json: the JSON Schema, for editors.",
)
def command(output: str) -> None:
    """Print every key of perstack.toml with its type, default and limits."""
    click.echo(api.json_schema_text().rstrip("\n") if output == "json" else api.reference())
