"""`perstack fix`: plan, build and verify on a local checkout."""

from __future__ import annotations

from pathlib import Path

import anyio
import click
from rich.console import Console

from perstack import api
from perstack.core.json import compact
from perstack.core.outcome import Ending, FixOutcome
from perstack.interface.local import Checkout
from perstack.interface.options import config_option, engine_options, format_option, host, out_option, repo_option
from perstack.interface.render.terminal import LiveView, outcome_report


@click.command(
    name="fix",
    epilog='Examples:  perstack fix "median is wrong for even lists"   |   perstack fix --provider search --apply',
)
@click.argument("task", default="")
@repo_option
@click.option("--base", "base_rev", default="HEAD", show_default=True, help="The commit to fix.")
@click.option("--target", "targets", multiple=True, help="A test that must turn green; repeatable.  [default: all red]")
@click.option("--apply", "apply_it", is_flag=True, help="Write a proved fix into the working tree.")
@config_option
@engine_options
@out_option
@format_option
def command(
    task: str,
    repo: Path,
    base_rev: str,
    targets: tuple[str, ...],
    apply_it: bool,
    config: Path | None,
    sandbox: str,
    provider: str,
    model: str,
    out: Path | None,
    output: str,
) -> int:
    """Fix what is red at a commit: plan, build and verify until it is proved or the budget ends.

    Works on the commit, never in your working tree. The proved patch is printed; --apply writes it.
    """

    async def work() -> FixOutcome:
        with (
            host(sandbox=sandbox, provider=provider, model=model, storage=out) as machine,
            LiveView(Console(stderr=True)) as view,
        ):
            checkout = await Checkout.open(repo, machine.scratch)
            base = await checkout.repository.resolve(base_rev)
            settings = await checkout.config(base, config)
            async with api.Engine(machine).job("fix", view) as job:
                title, _, text = task.partition("\n")
                outcome = await job.fix(
                    api.Fix(checkout.repository, base, settings, title=title, text=text, targets=targets)
                )
            if apply_it and outcome.ending is Ending.FIXED and outcome.candidate is not None:
                await api.apply_tree(checkout.repository, base, outcome.candidate.tree, checkout.root)
            return outcome

    outcome = anyio.run(work)
    if output == "json":
        click.echo(compact(outcome.to_json()))
    else:
        Console().print(outcome_report(outcome))
    return outcome.verdict.exit_code
