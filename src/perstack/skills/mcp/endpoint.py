"""Which endpoint of a remote skill may be spoken to: public HTTPS, judged by the addresses its name really has.

A name that leads to a private address would make this process, which no sandbox holds, knock on doors behind the
firewall. So the addresses are looked up once, all must be public, and only they are connected to afterwards: a name
that answers differently the second time (DNS rebinding) changes nothing.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import anyio

from perstack.skills.mcp.contract import SkillUnavailable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


async def resolve(host: str, port: int) -> Sequence[str]:
    """The addresses of a name, as the system gives them.

    Raises: OSError.
    """
    found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


def is_public(address: Address) -> bool:
    """Whether an address belongs to the public internet; an address within an address counts too."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        if address.is_site_local:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


@dataclass(frozen=True, slots=True)
class Policy:
    """What an endpoint must be. The strict one is for everybody; tests speak with servers on this machine.

    `tls` is for a certificate authority of one's own; None means those that everybody trusts.
    """

    schemes: tuple[str, ...] = ("https",)
    allows: Callable[[Address], bool] = is_public
    resolve: Resolve = resolve
    tls: ssl.SSLContext | None = None


PUBLIC_HTTPS = Policy()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A checked endpoint: `host` as written, and the only `addresses` it may be reached at."""

    url: str
    scheme: str
    host: str
    port: int
    addresses: tuple[str, ...]
    tls: ssl.SSLContext | None = None


async def check(url: str, policy: Policy) -> Endpoint:
    """Look an endpoint's name up and judge all of its addresses.

    Raises: SkillUnavailable.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise SkillUnavailable(f"the SSE endpoint is no URL: {url}") from error
    if parts.scheme not in policy.schemes:
        raise SkillUnavailable(f"MCP SSE endpoint must use HTTPS: {url}")
    if not host or parts.username is not None:
        raise SkillUnavailable(f"the SSE endpoint must have a host, and no user or password: {url}")
    try:
        found = await policy.resolve(host, port)
        addresses = [ipaddress.ip_address(text) for text in found]
    except (OSError, ValueError) as error:
        raise SkillUnavailable(f"the host of the SSE endpoint {url} has no address: {error}") from error
    closed = next((address for address in addresses if not policy.allows(address)), None)
    if closed is not None or not addresses:
        raise SkillUnavailable(f"MCP SSE endpoint cannot use private/local IP: {url} ({host} is at {closed})")
    return Endpoint(url, parts.scheme, host, port, tuple(str(address) for address in addresses), policy.tls)
