"""Squid as the deciding proxy: its configuration for one skill, and what its log says. Pure; `proxy.py` starts it.

The rules, in order: only who knows the secret address, only CONNECT, only port 443, no addresses instead of names, no
punycode, only allowed names, and of those none that resolves to a private, local or otherwise special address. Names
that are not allowed are never looked up, so a name carries nothing out either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address
from pathlib import Path

from perstack.core.json import JsonObject

PORT = 3128

# Whatever is no ordinary address of the public network, of both families. Squid takes ::ffff:a.b.c.d for a.b.c.d.
_SPECIAL = (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
    "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
    "224.0.0.0/4", "240.0.0.0/4",
    "::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16",
    "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
)  # fmt: skip

# A name is looked up once, and the answer holds longer than most jobs: what was judged is what is connected to.
_ANSWER_HOLDS = "1 hour"

_FIELDS = "%Ss %>Hs %rm %ru %{why}note"
_REASONS = {
    "method": "Only HTTPS through CONNECT is possible",
    "port": "Only port 443 is allowed",
    "address": "Addresses are not allowed, only names",
    "punycode": "Punycode domains are not allowed",
    "domain": "Domain not in allowlist",
    "special": "Domain resolves to a private or special address",
    "stopped": "The proxy has stopped",
}

# What we write down ourselves when squid no longer can.
STOPPED = "NONE 000 CONNECT :0 stopped"


@dataclass(frozen=True, slots=True)
class Settings:
    """One proxy: where it listens, the source address that only we know, what it may reach, where it logs."""

    listen: str
    secret: IPv6Address
    names: Sequence[str]
    log: Path


def configuration(settings: Settings) -> str:
    """The text of `squid.conf`."""
    denials = (
        ("method", "!connect"),
        ("port", "!tls"),
        ("address", "address"),
        ("punycode", "punycode"),
        ("domain", "!allowed"),
        ("special", "special"),
    )
    lines = [
        f"http_port {settings.listen}:{PORT} require-proxy-header",
        "acl local src 127.0.0.0/8",
        "proxy_protocol_access allow local",
        "proxy_protocol_access deny all",
        f"acl us src {settings.secret}/128",
        "acl connect method CONNECT",
        "acl tls port 443",
        r"acl address dstdom_regex -n ^[0-9.]+$ ^0[xX][0-9a-fA-F]+$ : ^\[",
        r"acl punycode dstdom_regex -n -i (^|\.)xn--",
        f"acl allowed dstdomain -n {' '.join(settings.names)}",
        f"acl special dst {' '.join(_SPECIAL)}",
        *(f"acl why_{name} annotate_transaction why={name}" for name, _ in (*denials, ("allowed", ""))),
        "http_access deny !us",
        *(f"http_access deny {test} why_{name}" for name, test in denials),
        "http_access allow us why_allowed",
        "http_access deny all",
        f"logformat egress {_FIELDS}",
        f"access_log stdio:{settings.log} logformat=egress us",
        *_PLAIN,
    ]
    return "\n".join([*lines, ""])


_PLAIN = (
    "buffered_logs off",
    "cache_log /dev/null",
    "cache_store_log none",
    "cache deny all",
    "cache_mem 0 MB",
    "maximum_object_size_in_memory 0 KB",
    "memory_pools off",
    "pid_filename none",
    "netdb_filename none",
    "coredump_dir none",
    "pinger_enable off",
    "icp_port 0",
    "htcp_port 0",
    "snmp_port 0",
    "max_filedescriptors 1024",
    "via off",
    "forwarded_for delete",
    "visible_hostname perstack",
    "client_db off",
    "dns_defnames off",
    f"positive_dns_ttl {_ANSWER_HOLDS}",
    f"negative_dns_ttl {_ANSWER_HOLDS}",
    "dns_timeout 10 seconds",
    "connect_timeout 20 seconds",
    "request_timeout 30 seconds",
    "shutdown_lifetime 0 seconds",
    "half_closed_clients on",
)


def decision(line: str) -> JsonObject | None:
    """One line of the log as the payload of `proxyAccess`. None for a line that tells of no decision."""
    parts = line.split()
    if len(parts) != 5 or parts[4] == "-":  # the fields of the format
        return None
    _, status, method, url, why = parts
    domain, port = _target(method, url)
    if why == "allowed":
        reached = {} if status == "200" else {"reason": f"The domain could not be reached ({status})"}
        return {"action": "allowed", "domain": domain, "port": port, **reached}
    return {"action": "blocked", "domain": domain, "port": port, "reason": _REASONS.get(why, why)}


def _target(method: str, url: str) -> tuple[str, int]:
    """Host and port of what was asked for."""
    scheme, separator, rest = url.partition("://")
    authority = (rest if separator and method != "CONNECT" else url).partition("/")[0].rpartition("@")[2]
    host, colon, port = authority.rpartition(":")
    if colon and port.isdigit() and not authority.endswith("]"):
        return host.strip("[]"), int(port)
    return authority.strip("[]"), 443 if scheme == "https" else 80
