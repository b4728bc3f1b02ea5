"""Names a skill or a set-up may reach: their grammar, and their form for the proxy. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from perstack.core.errors import UserError

_DOMAIN = re.compile(r"(?P<wildcard>\*\.)?(?P<name>[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+)")
_LONGEST = 253
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Mirror:
    """A registry of one's own: what may be reached wherever it is. `host` is a name or an IPv4 address."""

    scheme: str
    host: str
    port: int


def mirror(url: str) -> Mirror:
    """Scheme, host and port of a URL; the rest plays no part.

    Raises: UserError for what is no URL of that kind.
    """
    try:
        parts = urlsplit(url)
        scheme, host, port = parts.scheme, (parts.hostname or "").removesuffix("."), parts.port
    except ValueError:
        scheme, host, port = "", "", None
    if not _HOST.fullmatch(host) or ".." in host or scheme not in _PORTS or len(host) > _LONGEST:
        raise UserError(
            f"setupMirrors: {url!r} is no URL of a mirror",
            hint="Write scheme, host and port: https://mirror.example:8443 or http://10.0.0.5:3141.",
        )
    return Mirror(scheme, host, port or _PORTS[scheme])


def proxy_names(domains: Sequence[str], *, where: str = "allowedDomains") -> tuple[str, ...]:
    """`example.com` stays, `*.example.com` becomes `.example.com`; what a wildcard covers already is left out.

    Raises: UserError for what is no domain, an address, or a name in punycode.
    """
    names = {_proxy_name(domain, where) for domain in domains}
    wild = {name for name in names if name.startswith(".")}
    return tuple(sorted(name for name in names if not any(_covers(other, name) for other in wild - {name})))


def _proxy_name(domain: str, where: str) -> str:
    plain = domain.lower().removesuffix(".")
    match = _DOMAIN.fullmatch(plain)
    if match is None or len(plain) > _LONGEST:
        raise UserError(
            f"{where}: {domain!r} is no domain",
            hint="Use exact domain (example.com) or wildcard prefix (*.example.com).",
        )
    labels = match["name"].split(".")
    if any(label.startswith("xn--") for label in labels):
        raise UserError(
            f"{where}: {domain!r} is in punycode, which can imitate other names", hint="Use ASCII domains only."
        )
    if labels[-1].isdigit():
        raise UserError(f"{where}: {domain!r} is an address", hint="Name a domain; addresses are never reached.")
    return f".{match['name']}" if match["wildcard"] else match["name"]


def _covers(wild: str, name: str) -> bool:
    return name.endswith(wild) or name == wild[1:]
