"""`perstack detect`: the signals that fit a repository, as TOML, and whether each can be red."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import click
from rich.console import Console

from perstack import api
from perstack.core.errors import ExitCode
from perstack.core.json import Json, JsonObject, compact
from perstack.core.signals import SignalSpec
from perstack.interface.options import format_option, host, repo_option, sandbox_option
from perstack.interface.render.live import LiveView
from perstack.interface.working import carry_through


@click.command(
    name="detect",
    epilog="""\b
Examples:
  perstack detect >> perstack.toml
  perstack detect --check          run each, and break the product to see it turn red
  perstack detect --format json | jq .signals[].name""",
)
@repo_option
@click.option("--base", "rev", default="HEAD", show_default=True, help="The commit to look at.")
@click.option("--check", is_flag=True, help="Run each signal, and show that it is red where the product is broken.")
@sandbox_option
@format_option
def command(repo: Path, rev: str, check: bool, sandbox: str, output: str) -> int:
    """Find signals in a repository's own files and say why; prints TOML for perstack.toml.

    Exit code 3: nothing was found, or (with --check) a signal that gates was not seen to turn red.
    """
    detection, senses = carry_through(_found, repo, rev, check, sandbox)
    if output == "json":
        signals: list[Json] = [_described(spec, senses.get(spec.name), check=check) for spec in detection.signals]
        click.echo(compact({"signals": signals, "explanations": list(detection.explanations)}))
    else:
        click.echo(api.render_toml(detection, {name: one.sentence for name, one in senses.items()}))
    # With --check unknown is not shown to be red: a signal that could not run gates no better than a blind one.
    blind = check and any(
        s.name not in senses or not senses[s.name].can_fail for s in detection.signals if api.gates(s)
    )
    return ExitCode.OK if detection.signals and not blind else ExitCode.INCONCLUSIVE


async def _found(
    repo: Path, rev: str, check: bool, sandbox: str
) -> tuple[api.Detection, Mapping[str, api.Sensitivity]]:
    with host(sandbox=sandbox) as machine:
        checkout = await api.Checkout.open(repo, machine.scratch)
        commit = await checkout.repository.resolve(rev)
        detection = await api.detect_signals(checkout.repository, commit)
        if not check or not detection.signals:
            return detection, {}
        config = replace(await checkout.config(commit), signals=detection.signals)
        with LiveView(Console(stderr=True)) as view:
            async with api.Engine(machine).job("detect", view) as job:
                senses = await job.sense(checkout.repository, commit, config)
    return detection, {sense.signal: sense for sense in senses}


def _described(spec: SignalSpec, sense: api.Sensitivity | None, *, check: bool) -> JsonObject:
    known: JsonObject = {
        "name": spec.name,
        "kind": spec.kind.value,
        "run": list(spec.run),
        "framework": spec.framework,
        "priority": spec.priority,
    }
    if not check:
        return known
    return {**known, "canFail": sense.can_fail if sense else None, "why": sense.why if sense else "not tried"}
