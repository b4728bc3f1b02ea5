"""The HTTP under a remote skill: only the checked addresses, no redirects, no proxy, answers with a limit.

Nothing secret is sent: a remote skill has no environment and no headers of its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2
import mcp_types as types

from perstack.skills.mcp.endpoint import Endpoint

MAX_BODY = 32 * 1024 * 1024
"""Bytes of one answer that is no event stream."""
REQUEST_S = 30.0
_PORTS = {"http": 80, "https": 443}


class Web(httpx2.AsyncBaseTransport):
    """A transport that reaches one endpoint and nothing else. `post_status` is the status of the last message.

    The address stands in the URL that the connection is made to, the name in `Host` and in the TLS handshake: the
    certificate is checked against the name, and no second look-up happens.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.post_status = 0
        self._endpoint = endpoint
        self._inner = httpx2.AsyncHTTPTransport(verify=endpoint.tls or True, trust_env=False)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Raises: httpx2.TransportError."""
        response = await self._reach(request)
        if request.method == "POST":
            self.post_status = response.status_code
            if response.status_code >= 500 and not _is_json(response):
                await response.aclose()
                return _failure(response)
        return _bounded(response)

    async def aclose(self) -> None:
        """Close what is open."""
        await self._inner.aclose()

    async def _reach(self, request: httpx2.Request) -> httpx2.Response:
        """The first address that takes the connection answers."""
        self._require_endpoint(request.url)
        for address in self._endpoint.addresses:
            pinned = httpx2.Request(
                request.method,
                request.url.copy_with(host=address),
                headers=request.headers,
                stream=request.stream,
                extensions={**request.extensions, "sni_hostname": self._endpoint.host},
            )
            try:
                return await self._inner.handle_async_request(pinned)
            except (httpx2.ConnectError, httpx2.ConnectTimeout):
                if address == self._endpoint.addresses[-1]:
                    raise
        raise httpx2.ConnectError("the endpoint has no address")

    def _require_endpoint(self, url: httpx2.URL) -> None:
        found = (url.scheme, url.host, url.port or _PORTS.get(url.scheme, 0))
        if found != (self._endpoint.scheme, self._endpoint.host, self._endpoint.port):
            raise httpx2.UnsupportedProtocol(f"a request to another place than the endpoint was refused: {url.host}")


def client(web: Web) -> httpx2.AsyncClient:
    """A client over `web`."""
    return httpx2.AsyncClient(
        transport=web,
        trust_env=False,
        max_redirects=0,
        # A server may hold an answer back as long as a call may take; the call has the time-out.
        timeout=httpx2.Timeout(REQUEST_S, read=None),
        # A small packed answer can be a huge one: none is unpacked.
        headers={"accept-encoding": "identity"},
    )


def _is_json(response: httpx2.Response) -> bool:
    return str(response.headers.get("content-type", "")).lower().startswith("application/json")


def _failure(response: httpx2.Response) -> httpx2.Response:
    """A gateway's page as an error of the protocol: the SDK would say only that there was one."""
    words = f"the endpoint answered {response.status_code} {response.reason_phrase}".strip()
    error = {"jsonrpc": "2.0", "id": None, "error": {"code": types.INTERNAL_ERROR, "message": words}}
    return httpx2.Response(response.status_code, json=error)


def _bounded(response: httpx2.Response) -> httpx2.Response:
    """Raises: httpx2.DecodingError where the answer is packed."""
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise httpx2.DecodingError("the answer is compressed, which was not asked for")
    is_stream = response.headers.get("content-type", "").lower().startswith("text/event-stream")
    if not is_stream and isinstance(response.stream, httpx2.AsyncByteStream):
        response.stream = _Bounded(response.stream)
    return response


class _Bounded(httpx2.AsyncByteStream):
    """Gives up behind the limit."""

    def __init__(self, inner: httpx2.AsyncByteStream) -> None:
        self._inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in self._inner:
            size += len(chunk)
            if size > MAX_BODY:
                raise httpx2.StreamError(f"the answer has more than {MAX_BODY:,} bytes")
            yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()
