"""Fetches a definition from the one host it may come from. Not a general HTTP client.

Threat: a definition decides which programs start and which variables they see, so where it comes from must be certain:
HTTPS with a checked certificate, one host, no redirects, a size and a time that end.
"""

from __future__ import annotations

import http.client
import re
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from perstack.core.errors import UserError

HOST = "raw.githubusercontent.com"
MAX_BYTES = 1_000_000
TIMEOUT_S = 20.0
_PORT = 443
_CHUNK = 65_536
_REMOTE = re.compile(r"https?://", re.IGNORECASE)
_HINT = f"Give an address such as https://{HOST}/owner/repository/<commit>/perstack.toml, or a local file."


@dataclass(frozen=True, slots=True)
class Route:
    """How the host is reached: an HTTP proxy (`http://host:port`) where there is one, and who is trusted to vouch."""

    proxy: str = ""
    trust: Callable[[], ssl.SSLContext] = ssl.create_default_context
    timeout_s: float = TIMEOUT_S


def is_remote(source: str) -> bool:
    """Whether a `--config` names an address, not a file."""
    return _REMOTE.match(source) is not None


def fetch(url: str, route: Route | None = None) -> str:
    """The text of a definition at `url`. Blocks; each wait ends after `route.timeout_s`, and so does a slow answer.

    Raises: UserError for an address that is not allowed, and where the host does not answer with a text.
    """
    parts = _checked(url)
    try:
        data = _get(parts, route or Route())
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _failed(f"it is not UTF-8 text (byte {error.start})") from error
    except TimeoutError as error:
        raise _failed("no answer in time") from error
    except (OSError, http.client.HTTPException) as error:
        raise _failed(str(error) or type(error).__name__) from error


def _checked(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise UserError(f"Invalid remote config URL: {url}", hint=_HINT) from error
    written_badly = any(char.isspace() or not char.isprintable() for char in url) or not url.isascii()
    if not parts.hostname or written_badly or parts.username is not None:
        raise UserError(f"Invalid remote config URL: {url}", hint=_HINT)
    if parts.scheme != "https":
        raise UserError("Remote config requires HTTPS", hint=_HINT)
    if parts.hostname != HOST or port not in (None, _PORT):
        raise UserError(f"Remote config only allowed from: {HOST}", hint=_HINT)
    return parts


def _get(parts: SplitResult, route: Route) -> bytes:
    deadline = time.monotonic() + route.timeout_s
    connection = _connection(route)
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("GET", target, headers={"User-Agent": "perstack", "Accept-Encoding": "identity"})
        with connection.getresponse() as response:
            if 300 <= response.status < 400:
                raise _failed(f"it answered {response.status}, and redirects are not followed")
            if response.status != http.client.OK:
                raise _failed(f"it answered {response.status}")
            return _body(response, deadline)
    finally:
        connection.close()


def _connection(route: Route) -> http.client.HTTPSConnection:
    if not route.proxy:
        return http.client.HTTPSConnection(HOST, _PORT, timeout=route.timeout_s, context=route.trust())
    proxy = urlsplit(route.proxy if "//" in route.proxy else f"http://{route.proxy}")
    if proxy.scheme != "http" or not proxy.hostname:
        raise UserError(f"the proxy address is not usable: {route.proxy}", hint="Write it as http://host:port.")
    connection = http.client.HTTPSConnection(
        proxy.hostname, proxy.port or 80, timeout=route.timeout_s, context=route.trust()
    )
    connection.set_tunnel(HOST, _PORT)
    return connection


def _body(response: http.client.HTTPResponse, deadline: float) -> bytes:
    """The whole answer. A server that sends it drop by drop is left at the deadline."""
    data = bytearray()
    while piece := response.read1(_CHUNK):
        data += piece
        if len(data) > MAX_BYTES:
            raise _failed(f"it is larger than {MAX_BYTES} bytes")
        if time.monotonic() > deadline:
            raise TimeoutError
    if response.length:
        raise _failed(f"it ended {response.length} bytes too early")
    return bytes(data)


def _failed(why: str) -> UserError:
    return UserError(f"Failed to fetch remote config: {why}", hint=_HINT)
