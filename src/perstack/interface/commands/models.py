"""`perstack models`: which providers and models can be used here. Shows no key, and runs no expert."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from perstack import api
from perstack.core.errors import ExitCode
from perstack.core.experts import Config
from perstack.core.json import compact
from perstack.interface.options import config_option, format_option, host, read_config
from perstack.interface.render.live import waiting
from perstack.interface.working import carry_through

_LISTED = 20


@click.command(
    name="models",
    epilog="""\b
Examples:
  perstack models
  perstack models --check                          ask each provider
  perstack models --provider openai --format json

Exit codes: 0 done; 2 the chosen provider lacks something; 4 the chosen provider did not answer (--check).""",
)
@config_option
@click.option("--provider", default="", help="Treat this provider as the chosen one.")
@click.option("--check", is_flag=True, help="Ask every configured provider for its models; nothing is generated.")
@format_option
def command(config: Path | str | None, provider: str, check: bool, output: str) -> int:
    """Show providers with what they need, the model of each tier, context windows and prices (US dollars)."""
    settings = read_config(config or api.find_config(Path.cwd()))
    with host(provider=provider) as here:
        with waiting(Console(stderr=True), "ask the providers" if check else "look for providers"):
            found = carry_through(_survey, here, settings, check)
        redact = api.DeferredEngine(here).redact
    if output == "json":
        click.echo(redact(compact([facts.to_json() for facts in found])))
    else:
        click.echo(redact("\n".join(line for facts in found for line in _lines(facts))))
    chosen = next(facts for facts in found if facts.chosen)
    if chosen.missing:
        return ExitCode.USAGE
    return ExitCode.INFRASTRUCTURE if chosen.reached is False else ExitCode.OK


async def _survey(here: api.Host, settings: Config, check: bool) -> tuple[api.ProviderFacts, ...]:
    return await api.survey(here, settings, check=check)


def _lines(facts: api.ProviderFacts) -> list[str]:
    state = facts.missing or {None: "configured", True: "reached", False: f"not reached: {facts.error}"}[facts.reached]
    lines = [f"{'*' if facts.chosen else ' '} {facts.name}: {state}"]
    lines += [f"    key: {facts.key_from}"] if facts.key_from else []
    lines += [f"    {_model(model)}" for model in facts.models]
    if facts.listed:
        rest = len(facts.listed) - _LISTED
        more = f" and {rest} more" if rest > 0 else ""
        lines.append(f"    has {', '.join(facts.listed[:_LISTED])}{more}")
    return lines


def _model(model: api.ModelFacts) -> str:
    traits = model.traits
    window = f"reads {traits.window:,} tokens" if traits.window else "window unknown"
    written = f"writes {traits.output:,}" if traits.output else "reply limit unknown"
    price = "price unknown"
    if model.input_usd is not None and model.output_usd is not None:
        price = f"${model.input_usd:g} in, ${model.output_usd:g} out a million tokens"
    seen = f"{_sees('images', traits.images)}, {_sees('PDF', traits.pdf)}"
    return (
        f"{model.tier:<7} {model.id} ({window}, {written}; {seen}; reasoning {traits.reasoning or 'unknown'}; {price})"
    )


def _sees(what: str, can: bool | None) -> str:
    return {None: f"{what} unknown", True: what, False: f"no {what}"}[can]
