"""How much one server takes on, and who may talk to it. Data only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes, counts and seconds. `head_s`: so long the head of a request may take, and `send_s` so long one piece
    of an answer may wait for a slow reader."""

    body: int = 4_000_000
    running: int = 2
    queued: int = 16
    followers: int = 64
    connections: int = 256
    heartbeat_s: float = 15.0
    poll_s: float = 0.5
    head_s: float = 10.0
    body_s: float = 30.0
    send_s: float = 30.0
    stop_s: float = 60.0
    file: int = 100_000_000


@dataclass(frozen=True, slots=True)
class Access:
    """Who gets in: the token, the names this server is called by (with its port), and foreign pages that may ask."""

    token: str
    hosts: frozenset[str]
    origins: frozenset[str] = frozenset()
