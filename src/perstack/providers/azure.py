"""Azure OpenAI: the Responses API at `…/openai/v1`, or Chat Completions at addresses that name a deployment.

The model's id is the name of the deployment.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

import openai

from perstack.providers.catalogue import Credentials
from perstack.providers.connection import http_client
from perstack.providers.exchange import Timeouts, tuning_of
from perstack.providers.openai import OpenAIProvider
from perstack.providers.openai_chat import OpenAIChatProvider

_TIMEOUTS = Timeouts(idle_s=240.0)
_VERSION = "v1"
_DEPLOYMENTS_VERSION = "2024-10-21"


class AzureProvider(OpenAIProvider):
    """The Responses API of an Azure resource."""


class AzureDeploymentProvider(OpenAIChatProvider):
    """Chat Completions of an Azure resource, by the address of each deployment."""

    def path(self, model: str) -> str:
        """The deployment's own."""
        return f"/deployments/{quote(model, safe='')}/chat/completions"


def create(credentials: Credentials, say: Callable[[str], None]) -> AzureProvider | AzureDeploymentProvider:
    """The provider for these credentials; `say` hears of retries."""
    by_deployment = bool(credentials.values["deployments"])
    client = openai.AsyncAzureOpenAI(
        api_key=credentials.api_key,
        api_version=credentials.values["version"] or (_DEPLOYMENTS_VERSION if by_deployment else _VERSION),
        base_url=credentials.base_url if by_deployment else f"{credentials.base_url}/v1",
        default_headers=credentials.headers,
        max_retries=0,
        webhook_secret="",
        http_client=http_client(credentials.base_url, credentials.network),
    )
    made = AzureDeploymentProvider if by_deployment else AzureProvider
    return made(
        api_key=credentials.api_key,
        base_url=credentials.base_url,
        headers=credentials.headers,
        tuning=tuning_of(credentials, say, _TIMEOUTS),
        client=client,
    )
