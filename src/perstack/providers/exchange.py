"""One question, one streamed answer: deadlines, cancellation and retries around an SDK's low-level `post`.

The SDKs' typed methods walk and validate the whole history at every call. Their `post` takes finished bytes and
gives back the raw response, with the SDK's authentication, headers, connection pool and error classes still at work.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import anyio
import httpx2

from perstack.core.errors import ProviderError
from perstack.core.messages import ModelReply, ModelRequest
from perstack.providers.catalogue import Credentials
from perstack.providers.failures import Endpoint
from perstack.providers.repairs import settled
from perstack.providers.retry import Backoff, OnRetry, retry_after_s, with_retries
from perstack.providers.stream import EventDecoder, ServerEvent

_DRAIN_S = 0.5  # how long to wait for the end of a response whose reply is complete, to keep its connection
_CLOSE_S = 2.0


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. `first_byte_s` runs from the request to the first piece of the reply, `idle_s` between pieces.

    The limit of the whole call, retries included, is `ModelRequest.timeout_s`.
    """

    connect_s: float = 10.0
    first_byte_s: float = 120.0
    idle_s: float = 90.0


@dataclass(frozen=True, slots=True)
class Tuning:
    """What few callers change.

    `key_name` is where the key came from, for messages. `label` names the provider in messages.
    `reasoning_field` is the field in which a Chat Completions server wants earlier reasoning back, empty for none.
    `network` are variables that name a proxy and certificates (`connection.py`).
    """

    timeouts: Timeouts = field(default_factory=Timeouts)
    backoff: Backoff = field(default_factory=Backoff)
    on_retry: OnRetry | None = None
    key_name: str = ""
    label: str = ""
    reasoning_field: str = ""
    network: Mapping[str, str] = field(default_factory=dict, repr=False)


def tuning_of(credentials: Credentials, say: Callable[[str], None], timeouts: Timeouts) -> Tuning:
    """The conduct for these credentials, with every retry told through `say`."""

    def on_retry(attempt: int, reason: str, delay_s: float) -> None:
        say(f"{reason}; attempt {attempt + 1} in {delay_s:.1f} s")

    given = credentials.timeouts
    timeouts = Timeouts(
        given.get("connect", timeouts.connect_s),
        given.get("firstToken", timeouts.first_byte_s),
        given.get("idle", timeouts.idle_s),
    )
    return Tuning(
        timeouts=timeouts,
        network=credentials.network,
        on_retry=on_retry,
        key_name=credentials.key_name,
        label=credentials.provider,
        reasoning_field=credentials.reasoning_field,
    )


@dataclass(frozen=True, slots=True)
class SdkErrors:
    """The error classes of one SDK: an HTTP error status, and no connection."""

    status: type[Exception]
    connection: type[Exception]


class Reader(Protocol):
    """Collects one reply from the events of a stream."""

    def feed(self, event: ServerEvent) -> bool:
        """Take one event; True once the reply is complete.

        Raises: ProviderError for an error event; ValueError, TypeError or KeyError for one that cannot be read.
        """
        ...

    def whole(self, body: bytes) -> None:
        """Take a reply that the server sent in one piece instead of a stream.

        Raises: as `feed`.
        """
        ...

    def reply(self) -> ModelReply:
        """The reply.

        Raises: ProviderError when the stream ended too early.
        """
        ...


class Decoder(Protocol):
    """Cuts the bytes of one response into events. `EventDecoder` is the usual one."""

    def feed(self, chunk: bytes) -> Iterator[ServerEvent]:
        """The events that `chunk` completes.

        Raises: ValueError for bytes that are no events.
        """
        ...

    def finish(self) -> Iterator[ServerEvent]:
        """What was left without its end."""
        ...


Post = Callable[[str, bytes, httpx2.Timeout], Awaitable[httpx2.Response]]
"""Sends a model's id and the body; the id is part of the address at some platforms.

Raises: the SDK's errors; ProviderError where the platform's own credentials cannot be had.
"""


class Exchange:
    """Asks and reads, for one provider."""

    def __init__(
        self,
        *,
        post: Post,
        errors: SdkErrors,
        endpoint: Endpoint,
        tuning: Tuning,
        max_retries: int,
        decoder: Callable[[], Decoder] = EventDecoder,
    ) -> None:
        self._post = post
        self._decoder = decoder
        self._errors = errors
        self._endpoint = endpoint
        self._tuning = tuning
        self._max_retries = max_retries

    async def ask(self, request: ModelRequest, body: Callable[[], bytes], reader: Callable[[], Reader]) -> ModelReply:
        """Send `body()` until a reply can be read; a new `reader()` for every attempt.

        Raises: ProviderError.
        """
        ends_at = anyio.current_time() + request.timeout_s

        async def attempt() -> ModelReply:
            return await self._attempt(request, body(), reader(), ends_at)

        return await with_retries(
            attempt,
            max_retries=self._max_retries,
            backoff=self._tuning.backoff,
            on_retry=self._tuning.on_retry,
            ends_at=ends_at,
        )

    async def _attempt(self, request: ModelRequest, body: bytes, reader: Reader, ends_at: float) -> ModelReply:
        timeouts = self._tuning.timeouts
        progress = _Progress()
        now = anyio.current_time()
        with anyio.CancelScope(deadline=min(now + timeouts.first_byte_s, ends_at)) as scope:
            try:
                response = await self._post(request.model, body, httpx2.Timeout(None, connect=timeouts.connect_s))
                try:
                    await self._read(response, reader, progress, scope, ends_at)
                except (ValueError, KeyError, TypeError) as error:
                    if not progress.complete:
                        raise self._endpoint.malformed(f"{type(error).__name__}: {error}") from error
                finally:
                    with anyio.move_on_after(_CLOSE_S, shield=True):
                        await response.aclose()
            except self._errors.status as error:
                raise self._refused(error, request.model) from error
            except (self._errors.connection, httpx2.HTTPError, httpx2.StreamError, OSError) as error:
                if not progress.complete:
                    late = isinstance(error.__cause__ or error, httpx2.ConnectTimeout)
                    raise self._endpoint.lost(error, timeouts.connect_s if late else 0.0) from error
        if scope.cancelled_caught and not progress.complete:
            raise self._late(progress, request, ends_at)
        return settled(reader.reply(), request)

    async def _read(
        self, response: httpx2.Response, reader: Reader, progress: _Progress, scope: anyio.CancelScope, ends_at: float
    ) -> None:
        if response.headers.get("content-type", "").startswith("application/json"):
            scope.deadline = ends_at
            reader.whole(await response.aread())
            progress.complete = True
            return
        decoder = self._decoder()
        idle = self._tuning.timeouts.idle_s
        async for chunk in response.aiter_bytes():
            progress.begun = True
            for event in decoder.feed(chunk):
                progress.complete = reader.feed(event) or progress.complete
            wait = _DRAIN_S if progress.complete else idle
            scope.deadline = min(anyio.current_time() + wait, ends_at)
        for event in decoder.finish():
            progress.complete = reader.feed(event) or progress.complete

    def _refused(self, error: Exception, model: str) -> ProviderError:
        response = getattr(error, "response", None)
        if not isinstance(response, httpx2.Response):
            return self._endpoint.malformed(type(error).__name__)
        headers = {name.lower(): value for name, value in response.headers.items()}
        return self._endpoint.refused(
            response.status_code,
            getattr(error, "body", None),
            model=model,
            retry_after_s=retry_after_s(headers, self._tuning.backoff.clock()),
            advice=headers.get("x-should-retry", ""),
        )

    def _late(self, progress: _Progress, request: ModelRequest, ends_at: float) -> ProviderError:
        if anyio.current_time() >= ends_at:
            return self._endpoint.late("no complete reply", request.timeout_s)
        if progress.begun:
            return self._endpoint.late("nothing more came", self._tuning.timeouts.idle_s)
        return self._endpoint.late("no answer", self._tuning.timeouts.first_byte_s)


@dataclass(slots=True)
class _Progress:
    begun: bool = False
    complete: bool = False
