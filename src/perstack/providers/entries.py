"""The table of providers: what each needs, and which model a tier means there. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

TIERS = ("low", "middle", "high")
_CHAT = ("perstack.providers.openai_chat", "OpenAIChatProvider")


@dataclass(frozen=True, slots=True)
class Value:
    """One more thing a provider is told, by the name its class knows it under; a setting wins over the variable.

    `instead` is True where the provider's key makes it needless.
    """

    name: str
    env: str
    setting: str = ""
    default: str = ""
    required: bool = False
    instead: bool = False
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """One provider.

    `headers_env` maps an HTTP header to the variable and the setting it comes from. `url` may name `values` in braces;
    where one of those is missing, a base URL has to be given. `extra` is what `pip` installs for it: perstack[extra].
    `prices` is the provider's name in the price data, where that is another.
    """

    name: str
    module: str
    class_name: str
    key_env: str = ""
    key_required: bool = True
    url_env: str = ""
    url: str = ""
    url_required: bool = False
    url_suffix: str = ""
    headers_env: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    tiers: Mapping[str, str] = field(default_factory=dict)
    reasoning_field: str = ""
    values: tuple[Value, ...] = ()
    extra: str = ""
    prices: str = ""


_ENTRIES = (
    Entry(
        "anthropic",
        "perstack.providers.anthropic",
        "AnthropicProvider",
        key_env="ANTHROPIC_API_KEY",
        url_env="ANTHROPIC_BASE_URL",
        tiers={"low": "claude-haiku-4-5", "middle": "claude-sonnet-4-6", "high": "claude-opus-4-6"},
    ),
    Entry(
        "openai",
        "perstack.providers.openai",
        "OpenAIProvider",
        key_env="OPENAI_API_KEY",
        url_env="OPENAI_BASE_URL",
        headers_env={
            "OpenAI-Organization": ("OPENAI_ORGANIZATION", "organization"),
            "OpenAI-Project": ("OPENAI_PROJECT", "project"),
        },
        tiers={"low": "gpt-5-nano", "middle": "gpt-5-mini", "high": "gpt-5"},
    ),
    Entry(
        "openai-compatible",
        *_CHAT,
        key_env="OPENAI_COMPATIBLE_API_KEY",
        key_required=False,
        url_env="OPENAI_COMPATIBLE_BASE_URL",
        url_required=True,
    ),
    Entry(
        "ollama",
        *_CHAT,
        key_env="OLLAMA_API_KEY",
        key_required=False,
        url_env="OLLAMA_BASE_URL",
        url="http://localhost:11434",
        url_suffix="/v1",
        tiers={"low": "gemma3:12b", "middle": "gpt-oss:20b", "high": "gpt-oss:120b"},
    ),
    Entry(
        "deepseek",
        *_CHAT,
        key_env="DEEPSEEK_API_KEY",
        url_env="DEEPSEEK_BASE_URL",
        url="https://api.deepseek.com",
        tiers={"low": "deepseek-chat", "middle": "deepseek-chat", "high": "deepseek-reasoner"},
        reasoning_field="reasoning_content",
    ),
    Entry(
        "fireworks",
        *_CHAT,
        key_env="FIREWORKS_API_KEY",
        url_env="FIREWORKS_BASE_URL",
        url="https://api.fireworks.ai/inference/v1",
        tiers=dict.fromkeys(TIERS, "accounts/fireworks/models/kimi-k2p5"),
        reasoning_field="reasoning_content",
    ),
    Entry(
        "search",
        "perstack.providers.search",
        "SearchProvider",
        key_required=False,
        tiers=dict.fromkeys(TIERS, "search"),
    ),
    Entry(
        "google",
        "perstack.providers.google",
        "GeminiProvider",
        key_env="GOOGLE_GENERATIVE_AI_API_KEY",
        url_env="GOOGLE_GENERATIVE_AI_BASE_URL",
        url="https://generativelanguage.googleapis.com/v1beta",
        url_suffix="/openai",
        tiers={"low": "gemini-2.5-flash-lite", "middle": "gemini-2.5-flash", "high": "gemini-2.5-pro"},
    ),
    Entry(
        "azure-openai",
        "perstack.providers.azure",
        "AzureProvider",
        key_env="AZURE_API_KEY",
        url_env="AZURE_BASE_URL",
        url="https://{resource}.openai.azure.com/openai",
        values=(
            Value("resource", "AZURE_RESOURCE_NAME", "resourceName"),
            Value("version", "AZURE_API_VERSION", "apiVersion"),
            Value("deployments", "", "useDeploymentBasedUrls"),
        ),
        tiers={"low": "gpt-5-nano", "middle": "gpt-5-mini", "high": "gpt-5"},
        prices="azure",
    ),
    Entry(
        "amazon-bedrock",
        "perstack.providers.bedrock",
        "BedrockProvider",
        key_env="AWS_BEARER_TOKEN_BEDROCK",
        key_required=False,
        url_env="AWS_ENDPOINT_URL_BEDROCK_RUNTIME",
        url="https://bedrock-runtime.{region}.amazonaws.com",
        values=(
            Value("access_key", "AWS_ACCESS_KEY_ID", required=True, instead=True, secret=True),
            Value("secret_key", "AWS_SECRET_ACCESS_KEY", required=True, instead=True, secret=True),
            Value("session_token", "AWS_SESSION_TOKEN", secret=True),
            Value("region", "AWS_REGION", "region", required=True),
        ),
        tiers={
            "low": "global.anthropic.claude-haiku-4-5-20251001-v1:0",
            "middle": "global.anthropic.claude-sonnet-4-6",
            "high": "global.anthropic.claude-opus-4-6-v1",
        },
        extra="bedrock",
        prices="aws",
    ),
    Entry(
        "google-vertex",
        "perstack.providers.vertex",
        "VertexProvider",
        key_required=False,
        url_env="GOOGLE_VERTEX_BASE_URL",
        values=(
            Value("project", "GOOGLE_VERTEX_PROJECT", "project"),
            Value("location", "GOOGLE_VERTEX_LOCATION", "location", default="global"),
            Value("account", "GOOGLE_APPLICATION_CREDENTIALS"),
            Value("home", "HOME"),
        ),
        tiers={"low": "gemini-2.5-flash-lite", "middle": "gemini-2.5-flash", "high": "gemini-2.5-pro"},
        extra="vertex",
        prices="google",
    ),
)
ENTRIES: Mapping[str, Entry] = MappingProxyType({entry.name: entry for entry in _ENTRIES})
