"""`perstack verify`: the verification protocol on a local checkout."""

from __future__ import annotations

from pathlib import Path

import anyio
import click
from rich.console import Console

from perstack import api
from perstack.core.errors import UserError
from perstack.core.json import compact
from perstack.core.verdict import Report
from perstack.interface.options import (
    config_option,
    format_option,
    host,
    out_option,
    read_config,
    repo_option,
    sandbox_option,
    warn,
)
from perstack.interface.render.terminal import LiveView, report_table, verdict_line


@click.command(
    name="verify",
    epilog="Examples:  perstack verify   |   perstack verify --base v1.2 --head my-branch   |   "
    "perstack verify --patch fix.diff --format json",
)
@repo_option
@click.option("--base", "base_rev", help="The commit to compare with.  [default: where HEAD left the main branch]")
@click.option("--patch", "patch_file", type=click.Path(dir_okay=False, path_type=Path), help="Judge this diff.")
@click.option("--head", "head_rev", help="Judge this commit.  [default: the working tree]")
@click.option("--target", "targets", multiple=True, help="A test that must turn from red to green; repeatable.")
@click.option("--all", "everything", is_flag=True, help="Run every signal, also once one has decided the verdict.")
@config_option
@sandbox_option
@out_option
@format_option
def command(
    repo: Path,
    base_rev: str | None,
    patch_file: Path | None,
    head_rev: str | None,
    targets: tuple[str, ...],
    everything: bool,
    config: Path | str | None,
    sandbox: str,
    out: Path | None,
    output: str,
) -> int:
    """Judge a change: diff policy, a fresh tree, isolated runs, identity by identity, repeated.

    Signals, protected paths and every other setting come from the base commit.
    """
    if patch_file is not None and head_rev is not None:
        raise UserError("--patch and --head exclude each other", hint="give one of them, or none for the working tree")
    asked = api.VerifyCheckout(
        repo,
        base=base_rev or "",
        head=head_rev or "",
        patch=None if patch_file is None else _read(patch_file),
        targets=targets,
        config=None if config is None else read_config(config),
        out=out,
        everything=everything,
    )

    async def work() -> Report:
        with host(sandbox=sandbox, storage=out) as machine, LiveView(Console(stderr=True)) as view:
            return await api.verify_checkout(machine, asked, view, warn)

    report = anyio.run(work)
    if output == "json":
        click.echo(compact(report.to_json()))
    else:
        console = Console()
        console.print(report_table(report))
        console.print(verdict_line(report.verdict, f"evidence: {report.evidence}" if report.evidence else ""))
    return report.verdict.exit_code


def _read(patch: Path) -> str:
    try:
        return patch.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read the patch {patch}: {error}") from error
