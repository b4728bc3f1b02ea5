"""What models cost and how much they read, from the data of the package genai-prices. Asks no server.

The package is loaded when it is first asked, for half a second; its updater, which would use the network, is not.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from perstack.core.json import Json
from perstack.core.usage import Usage
from perstack.providers.entries import ENTRIES

LOCAL = frozenset({"ollama", "openai-compatible"})
"""Providers whose servers name their own models: a known name there is no known price."""
_FREE = "search"
_CLAUDE = "claude-"


def cost_of(provider: str, model: str, usage: Usage, at: datetime) -> Decimal | None:
    """US dollars for `usage` at a point in time; None where the price is not known, never 0 instead.

    Reasoning is part of the output tokens, cached tokens are part of the input tokens.
    """
    if provider == _FREE:
        return Decimal(0)
    found = _find(provider, model)
    if found is None:
        return None
    prices = importlib.import_module("genai_prices")
    counted = prices.Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cached_input_tokens,
        cache_write_tokens=usage.cache_written_tokens,
    )
    home, known = found
    try:
        price = known.calc_price(counted, home, genai_request_timestamp=at).total_price
    except (LookupError, ValueError):
        return None
    return price if isinstance(price, Decimal) else Decimal(str(price))


def pricing(
    provider: str, now_ms: Callable[[], int], own: Mapping[str, Mapping[str, Json]] | None = None
) -> Callable[[str, Usage], Decimal | None]:
    """What a model of this provider costs at the time of asking; `now_ms` is milliseconds since 1970.

    `own` is `[provider.models]`: prices a configuration gives go first.
    """

    def price(model: str, usage: Usage) -> Decimal | None:
        told = _own_price((own or {}).get(model, {}), usage)
        return (
            told if told is not None else cost_of(provider, model, usage, datetime.fromtimestamp(now_ms() / 1000, UTC))
        )

    return price


def _own_price(own: Mapping[str, Json], usage: Usage) -> Decimal | None:
    read, written = own.get("inputPrice"), own.get("outputPrice")
    if not isinstance(read, int | float) or not isinstance(written, int | float):
        return None
    cached = own.get("cachedPrice")
    cheap = cached if isinstance(cached, int | float) else read
    fresh = usage.input_tokens - usage.cached_input_tokens
    parts = ((fresh, read), (usage.cached_input_tokens, cheap), (usage.output_tokens, written))
    return sum((Decimal(str(price)) * tokens for tokens, price in parts), Decimal(0)) / 1_000_000


def per_million(cost: Callable[[str, Usage], Decimal | None], model: str) -> tuple[Decimal, Decimal] | None:
    """US dollars for a million tokens of input and of output, in small requests; None where they are not known.

    `cost` is what `pricing` gives.
    """
    thousand = (Usage(input_tokens=1000), Usage(output_tokens=1000))
    read, written = (cost(model, usage) for usage in thousand)
    return None if read is None or written is None else (read * 1000, written * 1000)


def known_window(provider: str, model: str) -> int | None:
    """How many tokens a model can read, as the data says it; None where it does not."""
    found = _find(provider, model)
    window = found[1].context_window if found else None
    return window if isinstance(window, int) else None


def _find(provider: str, model: str) -> tuple[Any, Any] | None:
    """The data's provider and model. The data matches leniently, so a name that only looks similar may be found."""
    entry = ENTRIES.get(provider)
    if entry is None or provider in LOCAL or provider == _FREE:
        return None
    try:
        snapshot = importlib.import_module("genai_prices.data_snapshot").get_snapshot()
    except ImportError:  # a job is worth more than its price
        return None
    names = [entry.prices or provider]
    if provider == "google-vertex" and model.startswith(_CLAUDE):
        names.append("anthropic")
    for name in names:
        try:
            found: tuple[Any, Any] = snapshot.find_provider_model(model, None, name, None)
        except LookupError:
            continue
        return found
    return None
