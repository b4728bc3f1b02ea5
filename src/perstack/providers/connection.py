"""The HTTP client under an SDK: by way of a proxy where one is named, with the certificates that are named.

Everything comes from the values that are passed in: the SDKs' own clients would read the process's environment.
"""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit

import httpx2

from perstack.core.errors import UserError

_LIMITS = httpx2.Limits(max_connections=200, max_keepalive_connections=50)


def http_client(base_url: str, env: Mapping[str, str]) -> httpx2.AsyncClient:
    """A client for one server. It follows no redirect: a header with a key would go to whoever is named there.

    Raises: UserError where a proxy or a file of certificates cannot be used.
    """
    proxy, bundle = proxy_for(base_url, env), env.get("SSL_CERT_FILE", "")
    try:
        verify = ssl.create_default_context(cafile=bundle) if bundle else True
        return httpx2.AsyncClient(
            proxy=proxy or None, verify=verify, trust_env=False, limits=_LIMITS, follow_redirects=False
        )
    except (OSError, ssl.SSLError) as error:
        raise UserError(
            f"SSL_CERT_FILE cannot be read: {bundle}", hint="It names a file of certificates in PEM form."
        ) from error
    except (ValueError, httpx2.InvalidURL) as error:
        raise UserError(
            "the proxy's address is no URL", hint="Set PERSTACK_PROXY_URL or HTTPS_PROXY to http://host:port."
        ) from error


def proxy_for(url: str, env: Mapping[str, str]) -> str:
    """The proxy for requests to `url`, empty for none. `PERSTACK_PROXY_URL` goes before the usual variables."""
    parts = urlsplit(url)
    scheme = parts.scheme or "https"
    names = ("PERSTACK_PROXY_URL", f"{scheme}_proxy", f"{scheme.upper()}_PROXY", "all_proxy", "ALL_PROXY")
    found = next((value for name in names if (value := env.get(name, "").strip())), "")
    if not found or _is_direct(parts.hostname or "", parts.port, env.get("no_proxy") or env.get("NO_PROXY") or ""):
        return ""
    return found if "://" in found else f"http://{found}"


def _is_direct(host: str, port: int | None, listed: str) -> bool:
    return any(_matches(host, port, entry) for entry in listed.replace(",", " ").split())


def _matches(host: str, port: int | None, entry: str) -> bool:
    if entry == "*":
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        name, _, wanted = entry.partition(":")
        name = name.removeprefix("*").removeprefix(".").lower()
        return (not wanted or wanted == str(port)) and bool(name) and (host == name or host.endswith(f".{name}"))
