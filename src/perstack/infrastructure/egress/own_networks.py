"""The networks this machine is in: its own addresses and its neighbours, which nothing in a sandbox has to reach."""

from __future__ import annotations

import contextlib
import socket
import struct
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

_UP_WITHOUT_GATEWAY = 1
_LARGEST = 8  # what is larger is no network but the way to all others: tunnels divide that into 0/1 and 128/1
_FLAGS = 3  # up, and through a gateway


def own_networks(proc: Path = Path("/proc/net")) -> tuple[str, ...]:
    """Networks as `address/prefix`, of both families. What cannot be read tells nothing."""
    found: set[str] = set()
    with contextlib.suppress(OSError):
        found |= {net for line in _lines(proc / "route")[1:] if (net := _fourth(line))}
    with contextlib.suppress(OSError):
        found |= {net for line in _lines(proc / "if_inet6") if (net := _sixth(line))}
    return tuple(sorted(found))


def _lines(place: Path) -> list[list[str]]:
    return [line.split() for line in place.read_text("ascii", "replace").splitlines()]


def _fourth(words: list[str]) -> str:
    """A line of the routing table of IPv4, whose words are in the byte order of this machine."""
    if len(words) < 8 or int(words[3], 16) & _FLAGS != _UP_WITHOUT_GATEWAY:
        return ""
    address, mask = (struct.pack("=I", int(word, 16)) for word in (words[1], words[7]))
    network = IPv4Network((address, socket.inet_ntoa(mask)), strict=False)
    return str(network) if network.prefixlen >= _LARGEST else ""


def _sixth(words: list[str]) -> str:
    """A line of the addresses of IPv6: the address, the interface, the length of the prefix."""
    if len(words) < 6 or words[5] == "lo":  # loopback itself is refused anyway
        return ""
    network = IPv6Network((bytes.fromhex(words[0]), int(words[2], 16)), strict=False)
    return str(network) if network.prefixlen else ""
