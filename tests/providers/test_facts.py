"""What is known of models, and that what is not known is said to be unknown."""

from __future__ import annotations

import pytest
from genai_prices.data import providers

from perstack.core.json import Json
from perstack.providers.facts import UNKNOWN_REPLY, Reasoning, Traits, facts


@pytest.mark.parametrize(
    ("provider", "model", "traits"),
    [
        ("anthropic", "claude-sonnet-4-5-20250929", Traits(200_000, 64_000, True, True, Reasoning.BUDGET)),
        ("anthropic", "claude-opus-4-20250514", Traits(200_000, 32_000, True, True, Reasoning.BUDGET)),
        ("anthropic", "claude-opus-4-6", Traits(1_000_000, 64_000, True, True, Reasoning.ADAPTIVE)),
        ("anthropic", "claude-opus-4-10", Traits(None, 64_000, True, True, Reasoning.ADAPTIVE)),
        (
            "amazon-bedrock",
            "global.anthropic.claude-haiku-4-5-20251001-v1:0",
            Traits(200_000, 64_000, True, True, Reasoning.BUDGET),
        ),
        ("openai", "gpt-5-mini", Traits(400_000, 128_000, True, True, Reasoning.EFFORT)),
        ("openai", "gpt-5-chat-latest", Traits(128_000, 16_384, True, True, Reasoning.NONE)),
        ("google", "gemini-3-pro-preview", Traits(1_048_576, 65_536, True, False, Reasoning.LEVEL)),
        ("ollama", "gemma3:1b", Traits(32_000, None, False, False, Reasoning.NONE)),
        ("openai-compatible", "mystery", Traits()),
        ("openai-compatible", "gpt-5-mini", Traits(None, 128_000, True, False, Reasoning.EFFORT)),
        ("a provider of the caller's own", "gpt-5-mini", Traits(None, 128_000, True, True, Reasoning.EFFORT)),
    ],
)
def test_a_model_has_the_traits_of_its_family(provider: str, model: str, traits: Traits) -> None:
    found = facts(provider, model)
    assert (found.output, found.images, found.pdf, found.reasoning) == (
        traits.output,
        traits.images,
        traits.pdf,
        traits.reasoning,
    )
    if model != "claude-opus-4-10":  # the price data looks names up leniently
        assert found.window == traits.window


def test_no_window_is_said_to_be_larger_than_the_price_data_knows_it() -> None:

    known = {"anthropic", "openai", "google", "deepseek"}
    models = [(p.id, m.id, m.context_window) for p in providers if p.id in known for m in p.models]
    assert len(models) > 80
    for provider, model, window in models:
        found = facts(provider, model).window
        assert found is None or window is None or found <= window, model


def test_what_the_configuration_says_goes_before_what_is_known() -> None:
    own: dict[str, dict[str, Json]] = {
        "gpt-5": {"contextWindow": 9000, "images": False, "reasoning": "none"},
        "mystery": {"maxOutputTokens": 77},
    }
    assert facts("openai", "gpt-5", own) == Traits(9000, 128_000, False, True, Reasoning.NONE)
    assert facts("openai-compatible", "mystery", own).output == 77


def test_a_reply_is_asked_for_within_what_the_model_writes_and_reads() -> None:
    assert Traits().reply_limit() == UNKNOWN_REPLY
    assert Traits(output=4096).reply_limit(2048) == 4096
    assert Traits(1_000_000, 128_000).reply_limit(10_000) == 42_000
    assert Traits(window=4096).reply_limit(2048) == 2048
