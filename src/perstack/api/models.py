"""Which providers and models can be used here: what is configured and, where that is asked for, what answers.

Never says a key. Nothing is sent unless `check` is set, and then only to what is configured.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import anyio

from perstack.api.choice import choose_provider, make_provider
from perstack.api.host import Host
from perstack.api.stamps import now_ms
from perstack.core.errors import PerstackError, ProviderError, UserError
from perstack.core.experts import Config, ProviderSpec
from perstack.core.json import JsonObject
from perstack.providers import catalogue
from perstack.providers.entries import ENTRIES
from perstack.providers.facts import Traits, facts
from perstack.providers.listing import Listing
from perstack.providers.prices import per_million, pricing

_PATIENCE_S = 20.0


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """A model by the tier it stands for. Prices are US dollars a million tokens; None where not known."""

    tier: str
    id: str
    traits: Traits
    input_usd: float | None
    output_usd: float | None

    @property
    def window(self) -> int | None:
        """Tokens it can read."""
        return self.traits.window

    def to_json(self) -> JsonObject:
        return {
            "tier": self.tier,
            "id": self.id,
            "contextWindow": self.traits.window,
            "maxOutputTokens": self.traits.output,
            "images": self.traits.images,
            "pdf": self.traits.pdf,
            "reasoning": self.traits.reasoning,
            "inputUsdPerMillion": self.input_usd,
            "outputUsdPerMillion": self.output_usd,
        }


@dataclass(frozen=True, slots=True)
class ProviderFacts:
    """A provider here. `missing` says what it needs; `reached` is None where it was not asked.

    `chosen` is the one a job would use; `listed` are the models its server says it has; `key_from` says where its key
    came from, never what it is.
    """

    name: str
    chosen: bool
    missing: str
    models: tuple[ModelFacts, ...]
    reached: bool | None = None
    error: str = ""
    listed: tuple[str, ...] = ()
    key_from: str = ""

    def to_json(self) -> JsonObject:
        return {
            "provider": self.name,
            "chosen": self.chosen,
            "configured": not self.missing,
            "missing": self.missing,
            "models": [model.to_json() for model in self.models],
            "reached": self.reached,
            "error": self.error,
            "listed": list(self.listed),
            "keyFrom": self.key_from,
        }


async def survey(host: Host, config: Config, *, check: bool) -> tuple[ProviderFacts, ...]:
    """Every provider, by name; with `check`, those that are configured are asked for their models, all at once.

    Raises: UserError where the chosen provider does not exist.
    """
    chosen = choose_provider(host, config)
    catalogue.entry(chosen.name)
    specs = {name: chosen if name == chosen.name else ProviderSpec(name) for name in sorted(ENTRIES)}
    wanted = host.model or config.model
    found = {name: _configured(host, spec, spec is chosen, wanted) for name, spec in specs.items()}

    async def ask(name: str) -> None:
        found[name] = await _asked(host, specs[name], found[name])

    if check:
        async with anyio.create_task_group() as tasks:
            for name, facts in found.items():
                if not facts.missing:
                    tasks.start_soon(ask, name)
    return tuple(found.values())


def _configured(host: Host, spec: ProviderSpec, chosen: bool, wanted: str) -> ProviderFacts:
    missing = ""
    try:
        catalogue.credentials(spec.name, host.env, spec.setting)
    except UserError as error:
        missing = error.message
    tiers = dict(ENTRIES[spec.name].tiers)
    if chosen and wanted:
        tiers = {"model": wanted, **tiers}
    models = tuple(_model(spec, *pair) for pair in tiers.items())
    origin = host.key_origins.get(ENTRIES[spec.name].key_env, "")
    return ProviderFacts(spec.name, chosen, missing, models, key_from=origin)


def _model(spec: ProviderSpec, tier: str, model: str) -> ModelFacts:
    price = per_million(pricing(spec.name, now_ms, spec.models), model)
    read, written = (float(price[0]), float(price[1])) if price else (None, None)
    return ModelFacts(tier, model, facts(spec.name, model, spec.models), read, written)


async def _asked(host: Host, spec: ProviderSpec, facts: ProviderFacts) -> ProviderFacts:
    """The same facts and how it answered. A platform that lists no models with these credentials is left unasked."""
    try:
        provider = make_provider(replace(spec, fallback=()), host.env, lambda _: None)
    except UserError as error:
        return replace(facts, missing=error.message)
    if not isinstance(provider, Listing):
        await provider.close()
        return facts
    try:
        with anyio.fail_after(_PATIENCE_S):
            return replace(facts, reached=True, listed=await provider.models())
    except TimeoutError:
        return replace(facts, reached=False, error=f"{spec.name} did not answer within {_PATIENCE_S:g} s")
    except PerstackError as error:
        hint = f". {error.hint}" if isinstance(error, ProviderError) and error.hint else ""
        return replace(facts, reached=False, error=error.message + hint)
    finally:
        await provider.close()
