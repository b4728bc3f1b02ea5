"""Google Vertex AI: Anthropic's models through their SDK, Google's own through its OpenAI-compatible endpoint.

Application default credentials come from google-auth: perstack[vertex].
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import anthropic
import httpx2
import openai
import requests
from anyio import to_thread
from google.auth import compute_engine, identity_pool
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import Request
from google.oauth2 import credentials as user_account
from google.oauth2 import service_account

from perstack.core.errors import ProviderError, UserError
from perstack.core.messages import Delta, ModelReply, ModelRequest
from perstack.providers.anthropic import MessagesProvider
from perstack.providers.catalogue import Credentials
from perstack.providers.connection import http_client, proxy_for
from perstack.providers.exchange import Timeouts, Tuning, tuning_of
from perstack.providers.failures import Endpoint
from perstack.providers.google import GeminiProvider
from perstack.providers.platforms import PlatformBody

_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_TOKENS = "https://oauth2.googleapis.com"
_WELL_KNOWN = ".config/gcloud/application_default_credentials.json"
_REGIONS = {"global": "aiplatform.googleapis.com"}
_KINDS: dict[str, Callable[..., Any]] = {
    "authorized_user": user_account.Credentials.from_authorized_user_file,
    "service_account": service_account.Credentials.from_service_account_file,
    "external_account": identity_pool.Credentials.from_file,
}
_TIMEOUTS = Timeouts(idle_s=240.0)


class Login(Protocol):
    """Who gives out access tokens, and the project they are for where that is known."""

    async def token(self) -> str:
        """Raises: ProviderError, UserError."""
        ...

    async def project(self) -> str:
        """Raises: ProviderError, UserError."""
        ...


class DefaultLogin:
    """Application default credentials: the named file, else the well-known one, else the machine's own."""

    def __init__(self, account: str, home: str, network: Mapping[str, str] | None = None) -> None:
        """`network` are variables that name a proxy and certificates; the process's own are not read."""
        self._account = account
        self._home = home
        self._network = network or {}
        self._found: Any = None
        self._project = ""

    async def token(self) -> str:
        """A token that is valid now."""
        return await to_thread.run_sync(self._token)

    async def project(self) -> str:
        """The project the credentials belong to; empty where they say none."""
        await to_thread.run_sync(self._token)
        return self._project

    def _token(self) -> str:
        try:
            if self._found is None:
                self._found, self._project = self._load()
            if not self._found.valid:
                with self._session() as session:
                    self._found.refresh(Request(session))
        except (GoogleAuthError, OSError, ValueError) as error:
            raise ProviderError(
                f"no access to Vertex AI: {' '.join(str(error).split())[:200]}",
                hint="Run `gcloud auth application-default login`, or name a key file in "
                "GOOGLE_APPLICATION_CREDENTIALS.",
            ) from error
        return str(self._found.token)

    def _session(self) -> requests.Session:
        """By the proxy for Google's servers; the machine's own metadata server speaks plain HTTP, without one."""
        session = requests.Session()
        session.trust_env = False
        proxy = proxy_for(_TOKENS, self._network)
        if proxy:
            session.proxies = {"https": proxy}
        session.verify = self._network.get("SSL_CERT_FILE") or True
        return session

    def _load(self) -> tuple[Any, str]:
        known = Path(self._home) / _WELL_KNOWN if self._home else None
        file = self._account or (str(known) if known and known.is_file() else "")
        if not file:
            return compute_engine.Credentials(scopes=[_SCOPE]), ""  # type: ignore[no-untyped-call]
        told = json.loads(Path(file).read_text())
        load = _KINDS.get(told.get("type", ""))
        if load is None:
            raise ValueError(f"{file} holds no credentials of a known type")
        return load(file, scopes=[_SCOPE]), told.get("project_id") or told.get("quota_project_id") or ""


class _Claude(anthropic.AsyncAnthropicVertex):
    """Takes its tokens from our login: the SDK would look for credentials in the environment."""

    login: Login

    async def _prepare_request(self, request: httpx2.Request) -> None:
        request.headers["Authorization"] = f"Bearer {await self.login.token()}"


class VertexProvider:
    """A Provider for both families of models, each with its own protocol."""

    def __init__(self, credentials: Credentials, tuning: Tuning, login: Login, *, max_retries: int = 4) -> None:
        self._credentials = credentials
        self._tuning = tuning
        self._login = login
        self._max_retries = max_retries
        self._made: dict[bool, MessagesProvider | GeminiProvider] = {}

    @property
    def name(self) -> str:
        return self._credentials.provider

    async def generate(self, request: ModelRequest, on_delta: Callable[[Delta], None]) -> ModelReply:
        """Ask for one reply.

        Raises: ProviderError when no usable reply can be had; UserError where no project is named.
        """
        claude = request.model.startswith("claude-")
        if claude not in self._made:
            project = self._credentials.values["project"] or await self._login.project()
            if not project:
                raise UserError(
                    "GOOGLE_VERTEX_PROJECT is not set", hint="Set it, or `project` under [provider.setting]."
                )
            self._made[claude] = self._claude(project) if claude else self._gemini(project)
        return await self._made[claude].generate(request, on_delta)

    async def close(self) -> None:
        """Release connections."""
        for made in self._made.values():
            await made.close()

    def _base(self) -> str:
        location = self._credentials.values["location"]
        host = _REGIONS.get(location, f"{location}-aiplatform.googleapis.com")
        return self._credentials.base_url or f"https://{host}/v1"

    def _claude(self, project: str) -> MessagesProvider:
        headers = dict(self._credentials.headers)
        client = _Claude(
            region=self._credentials.values["location"],
            project_id=project,
            base_url=self._base(),
            default_headers=headers,
            max_retries=0,
            open_telemetry=False,
            http_client=http_client(self._base(), self._tuning.network),
        )
        client.login = self._login
        endpoint = Endpoint(self.name, "the application default credentials", secrets=tuple(headers.values()))
        return MessagesProvider(client, endpoint, self._tuning, self._max_retries, write=PlatformBody(), rewritten=True)

    def _gemini(self, project: str) -> GeminiProvider:
        place = f"projects/{project}/locations/{self._credentials.values['location']}/endpoints/openapi"
        base, headers = f"{self._base()}/{place}", dict(self._credentials.headers)
        client = openai.AsyncOpenAI(
            api_key=self._login.token,
            base_url=base,
            default_headers=headers,
            max_retries=0,
            webhook_secret="",
            http_client=http_client(base, self._tuning.network),
        )
        return VertexGemini(
            base_url=base, headers=headers, max_retries=self._max_retries, tuning=self._tuning, client=client
        )


class VertexGemini(GeminiProvider):
    """Gemini at Vertex AI, where a model's name begins with its publisher."""

    def sent_model(self, model: str) -> str:
        """The name with its publisher."""
        return model if "/" in model else f"google/{model}"


def create(credentials: Credentials, say: Callable[[str], None]) -> VertexProvider:
    """The provider for these credentials; `say` hears of retries."""
    login = DefaultLogin(credentials.values["account"], credentials.values["home"], credentials.network)
    return VertexProvider(credentials, tuning_of(credentials, say, _TIMEOUTS), login)
