"""When to ask a model again, and how long to wait before. The SDKs' own retries are off, so this is the only loop.

Which failure may be retried is decided in `failures.py`, by `ProviderError.retryable`.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

import anyio

from perstack.core.errors import ProviderError

T = TypeVar("T")
OnRetry = Callable[[int, str, float], None]
"""Told before every wait: number of the attempt that failed (from 1), why, and the delay in seconds."""

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits double from `first_s` to `cap_s`, less up to half by `jitter` (0 ≤ jitter() < 1).

    A server that asks for more than `longest_wait_s` is not waited for. `clock` is seconds since 1970.
    """

    first_s: float = 0.5
    cap_s: float = 30.0
    longest_wait_s: float = 120.0
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep
    jitter: Callable[[], float] = random.random
    clock: Callable[[], float] = time.time

    def delay_s(self, attempt: int, retry_after_s: float | None) -> float:
        """Seconds to wait after failed attempt number `attempt`; a server's own wish is never undercut."""
        planned = min(self.cap_s, self.first_s * 2.0 ** (attempt - 1)) * (1.0 - self.jitter() / 2.0)
        return planned if retry_after_s is None else max(planned, retry_after_s)


async def with_retries(
    attempt: Callable[[], Awaitable[T]],
    *,
    max_retries: int,
    backoff: Backoff,
    on_retry: OnRetry | None,
    ends_at: float,
) -> T:
    """Call `attempt` until it answers, at most `1 + max_retries` times, never past `ends_at` (anyio's clock).

    Raises: ProviderError of the last attempt.
    """
    number = 0
    while True:
        number += 1
        try:
            return await attempt()
        except ProviderError as error:
            if not error.retryable:
                raise
            delay = backoff.delay_s(number, error.retry_after_s)
            reason = ""
            if number > max_retries:
                reason = f"gave up after {number} attempts" if number > 1 else "retries are off"
            elif error.retry_after_s is not None and error.retry_after_s > backoff.longest_wait_s:
                reason = f"the server asks to wait {error.retry_after_s:.0f} s"
            elif anyio.current_time() + delay >= ends_at:
                reason = "no time left for another attempt"
            if reason:
                raise _last(error, reason) from error
            if on_retry is not None:
                on_retry(number, error.message, delay)
        await backoff.sleep(delay)


def _last(error: ProviderError, reason: str) -> ProviderError:
    return ProviderError(
        f"{error.message} ({reason})",
        hint=error.hint,
        status=error.status,
        retryable=True,
        retry_after_s=error.retry_after_s,
        kind=error.kind,
    )


def retry_after_s(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds the server wants us to wait, or None. `headers` has lower-case keys, `now` is seconds since 1970.

    `retry-after-ms` and `retry-after` go first; then the reset times of those limits that are used up.
    """
    millis = _number(headers.get("retry-after-ms", ""))
    if millis is not None:
        return millis / 1000.0
    wish = headers.get("retry-after", "")
    if wish:
        seconds = _number(wish)
        return seconds if seconds is not None else _until_http_date(wish, now)
    resets = [
        seconds
        for name, value in headers.items()
        if "ratelimit" in name and "reset" in name and _used_up(headers, name)
        if (seconds := _reset_s(value, now)) is not None
    ]
    return max(resets, default=None)


def _used_up(headers: Mapping[str, str], reset_name: str) -> bool:
    return headers.get(reset_name.replace("reset", "remaining")) == "0"


def _reset_s(value: str, now: float) -> float | None:
    parts = _DURATION.findall(value)
    if parts and "".join(number + unit for number, unit in parts) == value:
        return sum(float(number) * _SECONDS[unit] for number, unit in parts)
    try:
        return max(0.0, datetime.fromisoformat(value).timestamp() - now)
    except ValueError:
        return None


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0.0 <= value < float("inf") else None


def _until_http_date(text: str, now: float) -> float | None:
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except ValueError:
        return None
