"""The tables `[provider]` and `[context]` of `perstack.toml`: providers, facts about models, their windows."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from perstack.core.grammar import is_url
from perstack.definition.tables import Table, written


def _https(value: str) -> str:
    if not is_url(value, schemes=("https",)):
        raise ValueError("URL must use HTTPS")
    return value


def _http(value: str) -> str:
    if not is_url(value, schemes=("http", "https")):
        raise ValueError("expected a URL that starts with http:// or https://")
    return value


HttpsUrl = Annotated[str, AfterValidator(_https), written("https://.+")]
Headers = dict[str, str]


class Setting(Table):
    """Settings most providers share."""

    base_url: HttpsUrl | None = Field(default=None, description="Address of the API.")
    headers: Headers | None = Field(default=None, description="Extra HTTP headers.")


class OpenAiSetting(Setting):
    """Settings of `openai`."""

    organization: str | None = None
    project: str | None = None
    name: str | None = None


class OllamaSetting(Table):
    """Settings of servers that are often local: plain HTTP is allowed."""

    base_url: Annotated[str, AfterValidator(_http), written("https?://.+")] | None = None
    headers: Headers | None = None


class AzureSetting(Setting):
    """Settings of `azure-openai`."""

    resource_name: str | None = None
    api_version: str | None = None
    use_deployment_based_urls: bool | None = None


class BedrockSetting(Table):
    """Settings of `amazon-bedrock`."""

    region: str | None = None


class VertexSetting(Setting):
    """Settings of `google-vertex`."""

    project: str | None = None
    location: str | None = None


class EmptySetting(Table):
    """Settings of providers that take none."""


Fallback = list[Annotated[str, Field(min_length=1)]]
_FALLBACK = "Models of the same provider that are asked, in order, where one does not answer."
Tokens = Annotated[int, Field(gt=0, le=100_000_000)]
Dollars = Annotated[float, Field(ge=0, le=1_000_000)]
Share = Annotated[float, Field(ge=0.05, le=0.98)]
Patience = Annotated[float, Field(gt=0, le=86_400)]


class Model(Table):
    """What is true of a model where the harness does not know it, or knows it wrongly."""

    context_window: Tokens | None = Field(default=None, description="Tokens it can read.")
    max_output_tokens: Tokens | None = Field(default=None, description="Tokens it can write in one reply.")
    images: bool | None = Field(default=None, description="Whether it sees images.")
    pdf: bool | None = Field(default=None, description="Whether it reads PDF.")
    reasoning: Literal["none", "budget", "adaptive", "effort", "level", "switch", "always"] | None = Field(
        default=None, description="How it is told how much to think."
    )
    input_price: Dollars | None = Field(default=None, description="US dollars for a million tokens it reads.")
    output_price: Dollars | None = Field(default=None, description="US dollars for a million tokens it writes.")
    cached_price: Dollars | None = Field(default=None, description="US dollars for a million it reads from a cache.")


class Waits(Table):
    """How long a model's server is waited for, in seconds."""

    connect: Patience | None = Field(default=None, description="For a connection. Default: 10.")
    first_token: Patience | None = Field(default=None, description="For the first piece of a reply.")
    idle: Patience | None = Field(default=None, description="For the next piece of a reply.")


class Context(Table):
    """When an expert's context is near its end: shares of what its model can read beside a reply."""

    warn_at: Share = Field(default=0.7, description="From here on, a warning.")
    compact_at: Share = Field(default=0.8, description="From here on, old outputs and turns are compacted to half.")
    summary: Literal["model", "facts"] = Field(
        default="model",
        description="What stands for old turns: the model's own words and the facts, or the facts alone.",
    )


class AnyProvider(Table):
    """What every provider with a server may say."""

    fallback: Fallback = Field(default_factory=list, description=_FALLBACK)
    models: dict[str, Model] = Field(default_factory=dict, description="Facts about models, by name.")
    timeouts: Waits | None = None


class SharedProvider(AnyProvider):
    """Providers with `baseUrl` and `headers`."""

    provider_name: Literal["anthropic", "google", "deepseek", "fireworks"]
    setting: Setting | None = None


class OpenAiProvider(AnyProvider):
    """OpenAI and servers that speak its protocol."""

    provider_name: Literal["openai"]
    setting: OpenAiSetting | None = None


class OllamaProvider(AnyProvider):
    """Ollama, and any gateway that speaks OpenAI's protocol."""

    provider_name: Literal["ollama", "openai-compatible"]
    setting: OllamaSetting | None = None


class AzureProvider(AnyProvider):
    """Azure OpenAI."""

    provider_name: Literal["azure-openai"]
    setting: AzureSetting | None = None


class BedrockProvider(AnyProvider):
    """Amazon Bedrock."""

    provider_name: Literal["amazon-bedrock"]
    setting: BedrockSetting | None = None


class VertexProvider(AnyProvider):
    """Google Vertex AI."""

    provider_name: Literal["google-vertex"]
    setting: VertexSetting | None = None


class LocalProvider(Table):
    """Builders of this harness that need no model server."""

    provider_name: Literal["search", "scripted"]
    setting: EmptySetting | None = None


Provider = Annotated[
    SharedProvider | OpenAiProvider | OllamaProvider | AzureProvider | BedrockProvider | VertexProvider | LocalProvider,
    Field(discriminator="provider_name"),
]
