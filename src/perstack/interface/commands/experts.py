"""`perstack experts`: the experts of a definition and who may call whom."""

from __future__ import annotations

from pathlib import Path

import click

from perstack import api
from perstack.core.errors import UserError
from perstack.core.json import compact
from perstack.interface.options import config_option, format_option, read_config


@click.command(
    name="experts",
    epilog="""\b
Examples:
  perstack experts
  perstack experts --config perstack.toml
  perstack experts --builtin --format json | jq .[].key""",
)
@config_option
@click.option("--builtin", is_flag=True, help="Only the experts that ship: they run by name, in any folder.")
@format_option
def command(config: Path | str | None, builtin: bool, output: str) -> None:
    """Show the delegation trees: the experts of the nearest perstack.toml and the ones that ship."""
    if builtin and config:
        raise UserError("--builtin and --config exclude each other", hint="Give one of them.")
    settings = read_config(None if builtin else config or api.find_config(Path.cwd()))
    if output == "json":
        rows = [
            {
                "key": expert.key,
                "description": expert.description,
                "delegates": list(expert.delegates),
                "tier": expert.default_model_tier,
                "skills": list(expert.skills),
            }
            for expert in settings.experts.values()
        ]
        click.echo(compact(rows))
        return
    click.echo("\n".join(api.expert_lines(settings)))
