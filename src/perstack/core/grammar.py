"""Identifier grammars and address rules of the public format. Pure text rules; which table uses them is elsewhere."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

SEMVER = r"(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)(?:-[\w.-]+)?(?:\+[\w.-]+)?"
EXPERT_KEY = re.compile(
    rf"((?:@[a-z0-9][a-z0-9_.-]*/)?[a-z0-9][a-z0-9_.-]*)(?:@({SEMVER})|@([a-z0-9][a-z0-9_.-]*))?", re.ASCII
)
EXPERT_NAME = re.compile(r"(?:@[a-z0-9][a-z0-9_-]*/)?[a-z0-9][a-z0-9_-]*")  # of a registry: a key may have dots
VERSION = re.compile(SEMVER, re.ASCII)
TAG = re.compile(r"[a-z0-9][a-z0-9_-]*")
ENV_NAME = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_-]*")
TABLE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
KEY_LENGTH = 511
TOOL_NAME_LENGTH = 64
TOOL_NAME = re.compile(rf"[A-Za-z0-9_-]{{1,{TOOL_NAME_LENGTH}}}")
_NOT_IN_TOOL_NAMES = re.compile(r"[^A-Za-z0-9_-]")

DOMAIN_MESSAGE = "Invalid domain pattern. Use exact domain (example.com) or wildcard prefix (*.example.com)"
PUNYCODE_MESSAGE = "Punycode domains (xn--) are not allowed to prevent homograph attacks. Use ASCII domains only."
DOMAIN = re.compile(r"(?:\*\.)?[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*")
_CLOSED_NETWORKS = tuple(
    ip_network(text)
    for text in (
        "127.0.0.0/8",
        "0.0.0.0/32",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "169.254.0.0/16",
        "::1/128",
        "::/128",
        "fe80::/10",
        "fc00::/7",
    )
)


@dataclass(frozen=True, slots=True)
class ExpertKey:
    """An expert key taken apart. `scope` is `app` in `@app/verify`, empty where there is none."""

    name: str
    version: str = ""
    tag: str = ""

    @property
    def scope(self) -> str:
        return self.name[1:].partition("/")[0] if self.name.startswith("@") else ""

    @property
    def tool_name(self) -> str:
        """What the expert is called as a delegate tool.

        Model providers allow letters, digits, `_` and `-`, and 64 of them; anything else becomes `_`.
        """
        return _NOT_IN_TOOL_NAMES.sub("_", self.name.rpartition("/")[2])[:TOOL_NAME_LENGTH]


def parse_expert_key(key: str) -> ExpertKey | None:
    """Take an expert key apart; None where it breaks the grammar or is longer than 511 characters."""
    match = EXPERT_KEY.fullmatch(key)
    if match is None or len(key) > KEY_LENGTH:
        return None
    return ExpertKey(match[1], match[2] or "", match[3] or "")


def delegation_problem(source: ExpertKey, target: ExpertKey) -> str:
    """Why `source` may not delegate to `target`; empty where it may.

    A name without a scope is a coordinator, `@coordinator/name` belongs to that coordinator.
    """
    if source.name == target.name:
        return "an expert cannot delegate to itself"
    if not target.scope:
        return "a delegate cannot call its own coordinator" if source.scope == target.name else ""
    team = source.scope or source.name
    if target.scope != team:
        kind = "delegate" if source.scope else "coordinator"
        return f'a {kind} of "{team}" can only delegate to "@{team}/…" and to coordinators'
    return ""


def domain_problem(pattern: str) -> str:
    """Why an `allowedDomains` entry is refused; empty where it is fine."""
    if DOMAIN.fullmatch(pattern) is None:
        return DOMAIN_MESSAGE
    labels = pattern.lower().split(".")
    return PUNYCODE_MESSAGE if any(label.startswith("xn--") for label in labels) else ""


def is_public_https(url: str) -> bool:
    """Whether a URL is HTTPS and its host is not written as a local or private address.

    Names are not resolved: a name that points to a private address must be refused when connecting.
    """
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".")
        _ = parts.port
    except ValueError:
        return False
    if parts.scheme != "https" or not host or host == "localhost" or host.endswith(".localhost"):
        return False
    return not _is_closed(host)


def is_url(url: str, *, schemes: tuple[str, ...]) -> bool:
    """Whether a text is an absolute URL with a host and one of `schemes`."""
    try:
        parts = urlsplit(url)
        return parts.scheme in schemes and bool(parts.hostname)
    except ValueError:
        return False


def _is_closed(host: str) -> bool:
    address = _address(host)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address is not None and any(address in network for network in _CLOSED_NETWORKS)


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        pass
    # Resolvers also take 127.1, 0x7f000001 and 2130706433 for an address; none of them is a public name.
    if re.fullmatch(r"(?:0x[0-9a-f]*|\d+)(?:\.(?:0x[0-9a-f]*|\d+))*", host):
        return IPv4Address("127.0.0.1")
    return None
