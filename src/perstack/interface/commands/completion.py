"""`perstack completion`: the lines that make a shell complete commands, options and their values."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

VARIABLE = "_PERSTACK_COMPLETE"


@click.command(
    name="completion",
    short_help="Print what makes a shell complete perstack.",
    epilog="""\b
Examples:
  perstack completion bash >> ~/.bashrc
  perstack completion zsh >> ~/.zshrc
  perstack completion fish > ~/.config/fish/completions/perstack.fish

Then open a new shell. Experts, jobs, event types and providers complete as well as commands and options.""",
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the lines that make a shell complete perstack."""
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"no completion for {shell}", ctx)
    script = kind(ctx.find_root().command, {}, "perstack", VARIABLE)
    click.echo(script.source_template % script.source_vars())
