"""Anthropic's models on Amazon Bedrock: signed requests, and event streams in Amazon's binary form.

Needs botocore, for the signature and the frames: perstack[bedrock].
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import anthropic
import httpx2
from botocore.auth import SigV4Auth  # type: ignore[import-untyped]
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]
from botocore.credentials import Credentials as AwsCredentials  # type: ignore[import-untyped]
from botocore.eventstream import EventStreamBuffer, ParserError  # type: ignore[import-untyped]

from perstack.core.errors import UserError
from perstack.providers.anthropic import MessagesProvider
from perstack.providers.catalogue import Credentials
from perstack.providers.connection import http_client
from perstack.providers.exchange import Timeouts, tuning_of
from perstack.providers.failures import Endpoint
from perstack.providers.platforms import PlatformBody
from perstack.providers.stream import ServerEvent

_SERVICE = "bedrock"


class _Signed(anthropic.AsyncAnthropicBedrock):
    """Signs with the keys it is given and looks for none: the SDK would also read profiles and the environment."""

    async def _prepare_request(self, request: httpx2.Request) -> None:
        if self.api_key:
            request.headers["Authorization"] = f"Bearer {self.api_key}"
            return
        keys = AwsCredentials(self.aws_access_key, self.aws_secret_key, self.aws_session_token or None)
        headers = {name: value for name, value in request.headers.items() if name.lower() != "connection"}
        plain = AWSRequest(method=request.method, url=str(request.url), headers=headers, data=request.read())
        SigV4Auth(keys, _SERVICE, self.aws_region).add_auth(plain)
        request.headers.update(dict(plain.headers.items()))


class BedrockProvider(MessagesProvider):
    """The Messages API by way of InvokeModelWithResponseStream."""


class FrameDecoder:
    """Frames of Amazon's event stream as events. botocore checks their sums."""

    def __init__(self) -> None:
        self._buffer = EventStreamBuffer()

    def feed(self, chunk: bytes) -> Iterator[ServerEvent]:
        """The events that `chunk` completes.

        Raises: ValueError for a frame that is broken or holds no event.
        """
        self._buffer.add_data(chunk)
        try:
            for frame in self._buffer:
                yield _event(frame.headers, frame.payload)
        except ParserError as error:
            raise ValueError(f"a frame of the event stream is broken ({error})") from error

    def finish(self) -> Iterator[ServerEvent]:
        """Nothing: half a frame is no event."""
        return iter(())


def _event(headers: Mapping[str, Any], payload: bytes) -> ServerEvent:
    """Raises: ValueError."""
    data = json.loads(payload or b"{}")
    if headers.get(":message-type") == "event":
        return ServerEvent("", base64.b64decode(data.get("bytes", ""), validate=True).decode())
    kind = headers.get(":exception-type") or headers.get(":error-code") or "error"
    said = data.get("message") or headers.get(":error-message") or ""
    return ServerEvent("error", json.dumps({"type": "error", "error": {"type": kind, "message": said}}))


def create(credentials: Credentials, say: Callable[[str], None]) -> BedrockProvider:
    """The provider for these credentials; `say` hears of retries.

    Raises: UserError where a session token stands alone.
    """
    values = credentials.values
    if values["session_token"] and not values["access_key"] and not credentials.api_key:
        raise UserError("AWS_ACCESS_KEY_ID is not set", hint="A session token belongs to a pair of keys.")
    client = _Signed(
        api_key=credentials.api_key,
        aws_region=values["region"],
        base_url=credentials.base_url,
        default_headers=dict(credentials.headers),
        max_retries=0,
        open_telemetry=False,
        http_client=http_client(credentials.base_url, credentials.network),
    )
    client.aws_access_key, client.aws_secret_key = values["access_key"], values["secret_key"]
    client.aws_session_token = values["session_token"]
    secrets = (credentials.api_key, values["secret_key"], values["session_token"], *credentials.headers.values())
    endpoint = Endpoint(credentials.provider, credentials.key_name, secrets=secrets)
    tuning = tuning_of(credentials, say, Timeouts())
    return BedrockProvider(client, endpoint, tuning, 4, write=PlatformBody(), decoder=FrameDecoder, rewritten=True)
