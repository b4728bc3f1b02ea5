"""`perstack detect`: the signals that fit a repository, as TOML."""

from __future__ import annotations

from pathlib import Path

import anyio
import click

from perstack import api
from perstack.core.errors import ExitCode
from perstack.core.json import compact
from perstack.interface.options import format_option, host, repo_option


@click.command(name="detect", epilog="Example:  perstack detect >> perstack.toml")
@repo_option
@click.option("--base", "rev", default="HEAD", show_default=True, help="The commit to look at.")
@format_option
def command(repo: Path, rev: str, output: str) -> int:
    """Find signals in a repository's own files and say why; prints TOML for perstack.toml."""

    async def work() -> api.Detection:
        with host() as machine:
            checkout = await api.Checkout.open(repo, machine.scratch)
            return await api.detect_signals(checkout.repository, await checkout.repository.resolve(rev))

    detection = anyio.run(work)
    if output == "json":
        signals = [
            {"name": s.name, "kind": s.kind.value, "run": list(s.run), "framework": s.framework, "priority": s.priority}
            for s in detection.signals
        ]
        click.echo(compact({"signals": signals, "explanations": list(detection.explanations)}))
    else:
        click.echo(api.render_toml(detection))
    return ExitCode.OK if detection.signals else ExitCode.INCONCLUSIVE
