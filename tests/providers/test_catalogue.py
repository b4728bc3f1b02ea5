"""Which providers there are, what they need, what a tier means, and that looking costs no SDK import."""

from __future__ import annotations

import subprocess
import sys

import pytest

from perstack.core.errors import ProviderError, UserError
from perstack.core.json import JsonObject
from perstack.core.messages import Delta, ModelReply, StopReason, TextPart, ThinkingPart
from perstack.providers import catalogue
from perstack.providers.entries import ENTRIES
from perstack.providers.scripted import ScriptedProvider
from tests.providers.builders import KEY, ask, collector


@pytest.mark.parametrize(
    ("name", "model", "tier", "found"),
    [
        ("anthropic", "", "", "claude-sonnet-4-6"),
        ("anthropic", "", "high", "claude-opus-4-6"),
        ("anthropic", "", "low", "claude-haiku-4-5"),
        ("openai", "", "", "gpt-5-mini"),
        ("openai", "gpt-5.5", "low", "gpt-5.5"),
        ("openai-compatible", "any", "", "any"),
        ("search", "", "high", "search"),
        ("google", "", "high", "gemini-2.5-pro"),
        ("google-vertex", "", "low", "gemini-2.5-flash-lite"),
    ],
)
def test_a_named_model_goes_before_a_tier_and_a_tier_before_the_middle(
    name: str, model: str, tier: str, found: str
) -> None:
    assert catalogue.resolve(name, model, tier) == found


@pytest.mark.parametrize(
    ("name", "tier", "says"),
    [
        ("openai-compatible", "", "has no default model"),
        ("anthropic", "huge", 'unknown model tier "huge"'),
        ("gemini", "", 'unknown provider "gemini"'),
    ],
)
def test_what_cannot_be_resolved_is_said_with_what_to_do(name: str, tier: str, says: str) -> None:
    with pytest.raises(UserError, match=says) as caught:
        catalogue.resolve(name, "", tier)
    assert caught.value.hint


@pytest.mark.parametrize("name", ["anthropic", "openai", "deepseek", "fireworks"])
def test_a_missing_key_is_named(name: str) -> None:
    variable = f"{name.upper()}_API_KEY"
    with pytest.raises(UserError, match=f"{variable} is not set") as caught:
        catalogue.credentials(name, {variable: "  "}, {})
    assert variable in caught.value.hint


@pytest.mark.parametrize(
    ("name", "env", "says"),
    [
        ("google", {}, "GOOGLE_GENERATIVE_AI_API_KEY is not set"),
        ("azure-openai", {}, "AZURE_API_KEY is not set"),
        ("azure-openai", {"AZURE_API_KEY": KEY}, "AZURE_RESOURCE_NAME or baseUrl is not set"),
        (
            "azure-openai",
            {"AZURE_API_KEY": KEY, "AZURE_RESOURCE_NAME": "evil.example/x?"},
            "cannot be part of an address",
        ),
        ("amazon-bedrock", {}, "AWS_ACCESS_KEY_ID is not set"),
        ("amazon-bedrock", {"AWS_ACCESS_KEY_ID": "AKIA"}, "AWS_SECRET_ACCESS_KEY is not set"),
        ("amazon-bedrock", {"AWS_BEARER_TOKEN_BEDROCK": KEY}, "AWS_REGION is not set"),
        ("google-vertex", {"GOOGLE_VERTEX_LOCATION": "evil.example/"}, "GOOGLE_VERTEX_LOCATION is no location"),
    ],
)
def test_each_platform_says_which_of_its_values_is_missing_or_unusable(
    name: str, env: dict[str, str], says: str
) -> None:
    with pytest.raises(UserError, match=says) as caught:
        catalogue.credentials(name, env, {})
    assert caught.value.hint


def test_a_platform_whose_package_is_missing_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botocore.auth", None)
    monkeypatch.delitem(sys.modules, "perstack.providers.bedrock", raising=False)
    with pytest.raises(UserError, match="amazon-bedrock") as caught:
        catalogue.load(catalogue.entry("amazon-bedrock"))
    assert "perstack[bedrock]" in caught.value.hint


def test_a_setting_wins_over_the_environment_and_the_key_is_never_shown() -> None:
    env = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": "https://env.example/v1", "OPENAI_PROJECT": "p-env"}
    setting: JsonObject = {
        "baseUrl": "https://toml.example/v1/",
        "organization": "o-toml",
        "headers": {"X-Team": "blue"},
    }
    found = catalogue.credentials("openai", env, setting)
    assert found.base_url == "https://toml.example/v1"
    assert found.headers == {"X-Team": "blue", "OpenAI-Organization": "o-toml", "OpenAI-Project": "p-env"}
    assert found.api_key == KEY
    assert KEY not in repr(found)
    assert catalogue.credentials("openai", env, {}).base_url == "https://env.example/v1"


def test_local_servers_need_an_address_but_no_key() -> None:
    assert catalogue.credentials("ollama", {}, {}).base_url == "http://localhost:11434/v1"
    local = {"OPENAI_COMPATIBLE_BASE_URL": "http://127.0.0.1:8080/v1"}
    assert catalogue.credentials("openai-compatible", local, {}).api_key == ""
    with pytest.raises(UserError, match="OPENAI_COMPATIBLE_BASE_URL is not set"):
        catalogue.credentials("openai-compatible", {}, {})


@pytest.mark.parametrize(
    "setting",
    [
        {"baseUrl": "ftp://x"},
        {"baseUrl": "nonsense"},
        {"headers": {"a": 1}},
        {"headers": 3},
        {"headers": {"a": "b\nc"}},
    ],
)
def test_a_setting_that_cannot_be_used_is_refused(setting: JsonObject) -> None:
    with pytest.raises(UserError):
        catalogue.credentials("ollama", {}, setting)


@pytest.mark.parametrize("key", ["two words", "sk-\u2026", "sk-1\nsk-2"])
def test_a_key_that_cannot_be_sent_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(UserError, match="ANTHROPIC_API_KEY is no key") as caught:
        catalogue.credentials("anthropic", {"ANTHROPIC_API_KEY": key}, {})
    assert key not in str(caught.value)


@pytest.mark.parametrize("name", sorted(set(ENTRIES) - {"search"}))
def test_every_built_in_provider_can_be_made_from_its_entry(name: str) -> None:
    entry = catalogue.entry(name)
    env = {entry.key_env: KEY, entry.url_env: "https://example.test/v1", "AWS_REGION": "eu-west-1"}
    made = catalogue.load(entry).create(catalogue.credentials(name, env, {}), lambda message: None)
    assert made.name == name
    assert type(made).__name__ == entry.class_name


def test_looking_into_the_catalogue_imports_no_sdk() -> None:
    code = (
        "import sys, perstack.providers.catalogue, perstack.providers.retry, perstack.providers.scripted, "
        "perstack.providers.failures, perstack.providers.wire\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules} & "
        "{'anthropic', 'openai', 'httpx2', 'pydantic'}))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert ran.stdout.strip() == "[]"


@pytest.mark.anyio
async def test_a_script_gives_its_replies_in_order_and_remembers_the_requests() -> None:
    replies = [ModelReply((ThinkingPart("hm"), TextPart("one")), StopReason.END), ModelReply((), StopReason.END)]
    model = ScriptedProvider(replies)
    deltas, on_delta = collector()
    assert await model.generate(ask("first"), on_delta) is replies[0]
    assert await model.generate(ask("second"), on_delta) is replies[1]
    assert deltas == [Delta("thinking", "hm"), Delta("text", "one")]
    assert [request.messages[0].id for request in model.requests] == ["m1", "m1"]
    with pytest.raises(ProviderError, match="has 2 replies; reply 3"):
        await model.generate(ask("third"), on_delta)
    await model.close()
    assert model.closed


@pytest.mark.anyio
async def test_a_script_may_be_a_function_of_the_request() -> None:
    model = ScriptedProvider(lambda request: ModelReply((TextPart(request.model),), StopReason.END), name="echo")
    reply = await model.generate(ask(model="m-7"), collector()[1])
    assert reply.contents == (TextPart("m-7"),)
    assert model.name == "echo"
