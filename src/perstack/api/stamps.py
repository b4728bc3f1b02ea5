"""The clock and the names of what comes new. Everything else gets both handed in."""

from __future__ import annotations

import secrets
import time


def new_id() -> str:
    """Unique within a storage; carries no meaning."""
    return secrets.token_hex(12)


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000
