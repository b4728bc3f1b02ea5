"""`perstack fix`: plan, build and verify on a local checkout."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from perstack import api
from perstack.core.json import compact
from perstack.core.outcome import FixOutcome
from perstack.interface.failing import tell_error
from perstack.interface.options import (
    config_option,
    engine_options,
    format_option,
    host,
    out_option,
    read_config,
    repo_option,
    warn,
)
from perstack.interface.readers import reader_may_leave
from perstack.interface.render.terminal import LiveView, outcome_report
from perstack.interface.working import carry_through


@click.command(
    name="fix",
    epilog="""\b
Examples:
  perstack fix "median is wrong for even lists"
  perstack fix --provider search --apply           without a model, into the working tree
  perstack fix --target tests/test_x.py::test_y    only this test
  perstack fix "issue 12" --format json > fix.json

Exit codes: 0 fixed and proved; 1 not fixed; 2 usage or configuration; 3 inconclusive, or nothing is red;
4 infrastructure; 130 interrupted (the same line starts again).""",
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
    config: Path | str | None,
    sandbox: str,
    provider: str,
    model: str,
    out: Path | None,
    output: str,
) -> int:
    """Fix what is red at a commit: plan, build and verify until it is proved or the budget ends.

    Works on the commit, never in your working tree. The proved patch is printed; --apply writes it.
    """

    settings = None if config is None else read_config(config)
    asked = api.FixCheckout(repo, task, base=base_rev, targets=targets, config=settings, apply=apply_it)

    async def work() -> FixOutcome:
        with (
            host(sandbox=sandbox, provider=provider, model=model, storage=out) as machine,
            LiveView(Console(stderr=True)) as view,
        ):
            return await api.fix_checkout(machine, asked, view, warn)

    try:
        outcome = carry_through(work)
    except api.NotApplied as refused:  # the outcome is the document: the refusal is told in words alone
        _tell(refused.outcome, output)
        tell_error(refused)
        return refused.exit_code
    _tell(outcome, output)
    return outcome.verdict.exit_code


def _tell(outcome: FixOutcome, output: str) -> None:
    with reader_may_leave():
        if output == "json":
            click.echo(compact(outcome.to_json()))
        else:
            Console().print(outcome_report(outcome))
