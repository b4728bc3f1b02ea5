"""Squid as the deciding proxy: its configuration, and what its log says. Pure; `proxy.py` starts it.

The rules for a skill, in order: only who knows the secret address, only CONNECT, only port 443, no addresses instead
of names, no punycode, only allowed names, and of those none that resolves to a private, local or otherwise special
address, or to a network this machine is in. Names that are not allowed are never looked up, so a name carries nothing
out either.

Set-up may also read over plain HTTP on port 80 (system packages are signed, and come that way), reaches every public
host unless names are given, and the mirrors that are configured wherever they are, metadata services aside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address
from pathlib import Path

from perstack.core.json import JsonObject
from perstack.infrastructure.egress.domains import Mirror

# Where clouds keep the keys of a machine or what steers it. Not even a mirror is there. Azure's, where GitHub's own
# runners are, is a public address by its looks.
_METADATA = (
    "168.63.129.16/32", "169.254.0.0/16", "100.100.100.200/32", "192.0.0.192/32",
    "fd00:ec2::254/128", "fd00:c1::a9fe:a9fe/128", "fd20:ce::254/128", "fe80::/10",
)  # fmt: skip
# Whatever is no ordinary address of the public network: of IPv6 all but 2000::/3, with what is special in that.
# Squid takes ::ffff:a.b.c.d for a.b.c.d.
_SPECIAL = (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "168.63.129.16/32", "169.254.0.0/16", "172.16.0.0/12",
    "192.0.0.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4",
    "::/96", "::ffff:0:0:0/96", "64::/16", "100::/8", "200::/7", "400::/6", "800::/5", "1000::/4",
    "2001::/23", "2002::/16", "4000::/2", "8000::/1",
)  # fmt: skip
# For examples in documents. Nobody's network; but a place may route its own registry there, so set-up may try.
_DOCUMENTATION = ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20")

# A name is looked up once, and the answer holds longer than most jobs: what was judged is what is connected to.
_ANSWER_HOLDS = "1 hour"

_FIELDS = "%Ss %>Hs %rm %ru %{why}note"
_REASONS = {
    "method": "Only HTTPS through CONNECT is possible",
    "write": "Over plain HTTP, set-up may only read",
    "port": "Only port 443 is allowed",
    "ports": "Only ports 443 (HTTPS) and 80 (reading) are allowed",
    "address": "Addresses are not allowed, only names",
    "punycode": "Punycode domains are not allowed",
    "domain": "Domain not in allowlist",
    "special": "Domain resolves to a private or special address",
    "stopped": "The proxy has stopped",
}

# What we write down ourselves when squid no longer can.
STOPPED = "NONE 000 CONNECT :0 stopped"


@dataclass(frozen=True, slots=True)
class Reach:
    """What may be reached: `names` as `proxy_names` writes them. For a set-up, none means every public host."""

    names: tuple[str, ...]
    setup: bool = False
    mirrors: tuple[Mirror, ...] = ()


@dataclass(frozen=True, slots=True)
class Settings:
    """One proxy: where it listens (`address:port`), the source address that only we know, where it logs, what it may
    reach. `own` are the networks this machine is in.
    """

    listen: str
    secret: IPv6Address
    log: Path
    reach: Reach
    own: Sequence[str] = ()


def configuration(settings: Settings) -> str:
    """The text of `squid.conf`."""
    reach = settings.reach
    special = [*_SPECIAL, *([] if reach.setup else _DOCUMENTATION), *settings.own]
    lines = [
        f"http_port {settings.listen} require-proxy-header",
        "acl local src 127.0.0.0/8",
        "proxy_protocol_access allow local",
        "proxy_protocol_access deny all",
        f"acl us src {settings.secret}/128",
        "acl connect method CONNECT",
        "acl reading method GET HEAD",
        "acl plain proto HTTP",
        "acl tls port 443",
        "acl web port 80",
        r"acl address dstdom_regex -n ^[0-9.]+$ ^0[xX][0-9a-fA-F]+$ : ^\[",
        r"acl punycode dstdom_regex -n -i (^|\.)xn--",
        *([f"acl allowed dstdomain -n {' '.join(reach.names)}"] if reach.names else []),
        f"acl special dst {' '.join(special)}",
        f"acl metadata dst {' '.join(_METADATA)}",
        *(f"acl why_{name} annotate_transaction why={name}" for name in (*_REASONS, "allowed")),
        "http_access deny !us",
        "http_access deny manager why_method",
        *_mirrors(reach),
        *(f"http_access deny {test} why_{name}" for name, test in _denials(reach)),
        "http_access allow us why_allowed",
        "http_access deny all",
        f"logformat egress {_FIELDS}",
        f"access_log stdio:{settings.log} logformat=egress us",
        *_PLAIN,
    ]
    return "\n".join([*lines, ""])


def _denials(reach: Reach) -> list[tuple[str, str]]:
    """The reason and the test of each denial, in order."""
    if not reach.setup:
        ways = [("method", "!connect"), ("port", "!tls")]
    else:
        ways = [("write", "!connect !reading"), ("method", "!connect !plain")]
        ways += [("ports", "connect !tls"), ("ports", "!connect !web")]
    named = [("punycode", "punycode"), ("domain", "!allowed")] if reach.names else []
    return [*ways, ("address", "address"), *named, ("special", "special")]


def _mirrors(reach: Reach) -> list[str]:
    """Rules that let mirrors through, each over its own scheme and port only."""
    lines: list[str] = []
    for number, mirror in enumerate(reach.mirrors):
        name = f"mirror{number}"
        way = f"{name} {name}_port {'connect' if mirror.scheme == 'https' else '!connect plain reading'}"
        lines += [f"acl {name} dstdomain -n {mirror.host}", f"acl {name}_port port {mirror.port}"]
        lines += [f"http_access deny {way} metadata why_special", f"http_access allow us {way} why_allowed"]
    return lines


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
    "check_hostnames on",  # nothing is looked up that some other reader would cut short at `#`, `%` or a backslash
    f"positive_dns_ttl {_ANSWER_HOLDS}",
    f"negative_dns_ttl {_ANSWER_HOLDS}",
    "dns_timeout 10 seconds",
    "connect_timeout 20 seconds",
    "request_timeout 30 seconds",
    "shutdown_lifetime 0 seconds",
    "half_closed_clients on",
    "server_persistent_connections off",
    "global_internal_static off",
    "ipcache_size 20000",  # no name is forgotten for many others, and judged anew
)


def decision(line: str) -> JsonObject | None:
    """One line of the log as the payload of `proxyAccess`. None for a line that tells of no decision."""
    parts = line.split()
    if len(parts) != 5 or parts[4] == "-":  # the fields of the format
        return None
    _, status, method, url, why = parts
    domain, port = _target(method, url)
    if why == "allowed":
        well = status == "200" or method != "CONNECT"  # over plain HTTP, the status is the other side's answer
        reached = {} if well else {"reason": f"The domain could not be reached ({status})"}
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
