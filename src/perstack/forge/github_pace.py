"""When the next request may go: one at a time, writes apart, nobody while a limit lasts. Sends nothing itself.

GitHub asks for this of a whole client, so everything in one process that talks to one server shares one pace.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

_LIMIT_STATUSES = frozenset({403, 429})
_LIMIT_WORDS = re.compile(
    r"rate limit|retry your request again later|wait a few minutes|abuse detection", re.IGNORECASE
)
_LIMIT_TYPES = frozenset({"RATE_LIMITED", "RATE_LIMIT"})


@dataclass(frozen=True, slots=True)
class Waits:
    """How long to wait, in seconds. `patience` is for all waits and lost requests of one forge together."""

    retry: float = 1.0
    limit: float = 60.0  # without `retry-after`, GitHub asks for a minute at least
    longest: float = 300.0
    patience: float = 900.0
    attempts: int = 5


class Pace:
    """The pace towards one server."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._writes = threading.Lock()
        self._last_write = 0.0
        self._closed_until = 0.0

    @contextmanager
    def turn(self, *, write: bool, spacing: float) -> Iterator[None]:
        """Wait for one's turn and keep it; `spacing` is between the end of a write and the next one, in seconds."""
        if not write:
            with self._lock:
                yield
            return
        with self._writes:  # reads may go while a write waits for its distance
            time.sleep(max(0.0, self._last_write + spacing - time.monotonic()))
            try:
                with self._lock:
                    yield
            finally:
                self._last_write = time.monotonic()

    def close(self, seconds: float) -> None:
        """Nobody may send anything for so long. Called while one has the turn."""
        self._closed_until = max(self._closed_until, time.monotonic() + seconds)

    def closed_for(self) -> float:
        """Seconds until something may be sent again; 0 where it may be now. Asked while one has the turn."""
        return max(0.0, self._closed_until - time.monotonic())


_PACES: dict[str, Pace] = {}
_PACES_LOCK = threading.Lock()


def pace_of(server: str) -> Pace:
    """The one pace of this process towards a server."""
    with _PACES_LOCK:
        return _PACES.setdefault(server, Pace())


def limit_wait(
    status: int, headers: Mapping[str, str], data: object, *, attempt: int, waits: Waits, now: float
) -> float | None:
    """Seconds to wait because a limit was reached, None where the answer is about something else.

    `headers` have names in lower case; `now` is in seconds since 1970; `attempt` counts from 1.
    """
    if not _is_limit(status, headers, data):
        return None
    after = headers.get("retry-after", "")
    if after.isdigit():
        return float(after)
    reset = headers.get("x-ratelimit-reset", "")
    if headers.get("x-ratelimit-remaining") == "0" and reset.isdigit():
        # When in that second it ends is not said.
        return max(0.0, int(reset) - _server_time(headers.get("date", ""), now)) + waits.retry
    return float(waits.limit * 2 ** (attempt - 1))


def _server_time(date: str, own: float) -> float:
    """Seconds since 1970 where the limit is counted: our own clock may be wrong by hours."""
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, OverflowError):
        return own


def _is_limit(status: int, headers: Mapping[str, str], data: object) -> bool:
    if status == 200:  # GraphQL tells its limit in the body
        errors = data.get("errors") if isinstance(data, Mapping) else None
        return bool(errors) and any(_type(error) in _LIMIT_TYPES for error in errors or ())
    if status not in _LIMIT_STATUSES:
        return False
    said = str(data.get("message") or "") if isinstance(data, Mapping) else ""
    return status == 429 or "retry-after" in headers or _LIMIT_WORDS.search(said) is not None


def _type(error: Any) -> str:
    return str(error.get("type") or "") if isinstance(error, Mapping) else ""
