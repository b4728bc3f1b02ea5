"""What models cost: from maintained data, with unknown prices said as unknown, and no request anywhere."""

from __future__ import annotations

import socket
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from perstack.core.json import Json
from perstack.core.usage import Usage
from perstack.providers.prices import cost_of, known_window, per_million, pricing

AT = datetime(2026, 11, 1, 12, tzinfo=UTC)


def _now() -> int:
    return int(AT.timestamp() * 1000)


def test_each_kind_of_token_has_its_price() -> None:
    usage = Usage(1_000_000, 100_000, 50_000, cached_input_tokens=500_000, cache_written_tokens=200_000)
    # 0.3 M read at $1, 0.5 M from the cache at $0.10, 0.2 M into it at $1.25, 0.1 M written at $5
    assert cost_of("anthropic", "claude-haiku-4-5", usage, AT) == Decimal("1.10")
    assert per_million(pricing("anthropic", _now), "claude-haiku-4-5") == (Decimal(1), Decimal(5))


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("amazon-bedrock", "global.anthropic.claude-sonnet-4-6"),
        ("google-vertex", "claude-sonnet-4-6"),
        ("google-vertex", "gemini-2.5-pro"),
        ("google", "gemini-2.5-flash-lite"),
        ("azure-openai", "gpt-5"),
        ("fireworks", "accounts/fireworks/models/kimi-k2p5"),
        ("deepseek", "deepseek-chat"),
    ],
)
def test_every_platform_is_priced(provider: str, model: str) -> None:
    cost = cost_of(provider, model, Usage(1000, 1000), AT)
    assert cost is not None
    assert cost > 0


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("anthropic", "mystery"),
        ("openai-compatible", "gpt-5"),
        ("ollama", "gpt-oss:20b"),
        ("", "gpt-5"),
        ("nobody", "x"),
    ],
)
def test_an_unknown_price_is_none_and_never_zero(provider: str, model: str) -> None:
    assert cost_of(provider, model, Usage(1000, 1000), AT) is None
    assert per_million(pricing(provider, _now), model) is None
    assert known_window(provider, model) is None


def test_the_program_that_searches_costs_nothing() -> None:
    assert cost_of("search", "search", Usage(5, 5), AT) == 0


def test_prices_are_looked_up_without_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a connection was made")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert cost_of("openai", "gpt-5-mini", Usage(1000, 0), AT) == Decimal("0.00025")
    assert known_window("openai", "gpt-5-mini") == 400_000


def test_a_price_that_the_configuration_gives_goes_first_and_makes_an_unknown_model_priceable() -> None:
    own: dict[str, dict[str, Json]] = {
        "mystery": {"inputPrice": 2, "outputPrice": 8.0, "cachedPrice": 0.5},
        "half": {"inputPrice": 1},
    }
    price = pricing("openai-compatible", _now, own)
    assert price("mystery", Usage(1_000_000, 500_000, cached_input_tokens=400_000)) == Decimal("5.4")
    assert price("half", Usage(1000, 1000)) is None
