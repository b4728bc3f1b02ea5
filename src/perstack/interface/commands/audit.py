"""`perstack audit`: check evidence offline, or run its signals again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click
from rich.console import Console

from perstack import api
from perstack.core.errors import ExitCode, UserError
from perstack.core.json import compact
from perstack.interface.options import config_option, format_option, host, read_config, repo_option, sandbox_option
from perstack.interface.render.live import LiveView
from perstack.interface.working import carry_through


@click.command(
    name="audit",
    epilog="""\b
Examples:
  perstack audit out/evidence.json
  perstack audit out --rerun --repo checkout       also run the signals again, and compare

Exit codes: 0 the evidence holds, whatever its verdict; 1 it does not; 2 usage; 4 infrastructure.""",
)
@click.argument("evidence", type=click.Path(exists=True, path_type=Path))
@click.option("--rerun", is_flag=True, help="Also run the signals again on --repo, in a fresh sandbox, and compare.")
@repo_option
@config_option
@sandbox_option
@format_option
def command(evidence: Path, rerun: bool, repo: Path, config: Path | str | None, sandbox: str, output: str) -> int:
    """Check an evidence.json: every byte of it, and that its verdict follows from what was measured."""
    try:
        found = api.audited(evidence)
    except api.EvidenceRefused as error:
        if output == "json":
            click.echo(compact({"holds": False, "problem": error.message}))
        else:
            click.echo(f"perstack: the evidence does not hold: {error.message}", err=True)
        return ExitCode.FAIL
    if rerun and found.withheld:
        raise UserError(
            "the candidate held a secret, which evidence does not keep: its signals cannot be run again from this",
            hint="Judge the change anew: `perstack verify`. Without --rerun the evidence itself is checked.",
        )
    changes = carry_through(_again, found, repo, config, sandbox) if rerun else ()
    facts = {
        "holds": not changes,
        "verdict": found.verdict.value,
        "reasons": [reason.to_json() for reason in found.reasons],
        "base": found.base,
        "files": found.files,
        "rerun": rerun,
        "differences": list(changes),
    }
    click.echo(compact(facts) if output == "json" else _told(found, changes, rerun=rerun))
    return ExitCode.FAIL if changes else ExitCode.OK


async def _again(found: api.Audit, repo: Path, config: Path | str | None, sandbox: str) -> tuple[str, ...]:
    with host(sandbox=sandbox) as machine, LiveView(Console(stderr=True)) as view:
        checkout = await api.Checkout.open(repo, machine.scratch)
        base = await checkout.repository.resolve(found.base)
        own = await checkout.config(base) if config is None else read_config(config)
        # whoever asks again wants it run again
        settings = replace(own, signals=found.specs, verify=replace(own.verify, cache="off"))
        async with api.Engine(machine).job("audit", view) as job:
            request = api.Verify(
                checkout.repository,
                base,
                found.patch,
                settings,
                found.targets,
                needs_red=found.needs_red,
                everything=True,
                checks=found.checks,
            )
            return api.differences(found, await job.verify(request))


def _told(found: api.Audit, changes: tuple[str, ...], *, rerun: bool) -> str:
    lines = [
        f"the evidence holds: {found.files} files, every digest matches",
        f"verdict: {found.verdict.value}, as it follows from what was measured on {found.base[:12]}",
        *(f"  {reason.code.value}: {reason.detail}" for reason in found.reasons),
    ]
    if changes:
        lines += ["a second run of the signals differs:", *(f"  {change}" for change in changes)]
    elif rerun:
        lines.append("a second run of the signals, in a fresh sandbox, gives the same")
    return "\n".join(lines)
