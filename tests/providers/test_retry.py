"""Waiting times and the retry loop, without any server."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

import anyio
import pytest

from perstack.core.errors import ProviderError
from perstack.providers.retry import Backoff, retry_after_s, with_retries
from tests.providers.builders import Waits

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": format_datetime(NOW.replace(minute=1), usegmt=True)}, 60.0),
        ({"retry-after": format_datetime(NOW.replace(year=2025), usegmt=True)}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-4"}, None),
        ({"retry-after": "nan"}, None),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "1m30.5s"}, 90.5),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "20ms"}, 0.02),
        ({"x-ratelimit-remaining-tokens": "12", "x-ratelimit-reset-tokens": "1m"}, None),
        (
            {
                "anthropic-ratelimit-requests-remaining": "0",
                "anthropic-ratelimit-requests-reset": "2026-11-22T12:00:20Z",
                "anthropic-ratelimit-tokens-remaining": "0",
                "anthropic-ratelimit-tokens-reset": "2026-11-22T12:00:05Z",
            },
            20.0,
        ),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "later"}, None),
    ],
)
def test_a_servers_wish_is_read_from_its_headers(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_s(headers, NOW.timestamp()) == seconds


def test_waits_double_up_to_a_cap_and_jitter_only_shortens_them() -> None:
    plain = Backoff(first_s=1.0, cap_s=5.0, jitter=lambda: 0.0)
    assert [plain.delay_s(attempt, None) for attempt in (1, 2, 3, 4, 9)] == [1.0, 2.0, 4.0, 5.0, 5.0]
    shaken = Backoff(first_s=1.0, cap_s=5.0, jitter=lambda: 0.999)
    assert 0.5 < shaken.delay_s(1, None) < 0.51


def test_a_servers_wish_is_never_undercut() -> None:
    assert Backoff(jitter=lambda: 0.0).delay_s(1, 40.0) == 40.0
    assert Backoff(first_s=8.0, jitter=lambda: 0.0).delay_s(1, 1.0) == 8.0


@pytest.mark.anyio
async def test_a_failure_that_may_not_be_retried_is_raised_as_it_is() -> None:
    error = ProviderError("no", status=400)

    async def attempt() -> str:
        raise error

    with pytest.raises(ProviderError) as caught:
        await with_retries(attempt, max_retries=3, backoff=Backoff(), on_retry=None, ends_at=anyio.current_time() + 9)
    assert caught.value is error


@pytest.mark.anyio
async def test_every_wait_is_told_before_it_begins() -> None:
    waits = Waits()
    told: list[tuple[int, str, float]] = []
    answers = iter([ProviderError("one", retryable=True), ProviderError("two", retryable=True)])

    async def attempt() -> str:
        for error in answers:
            raise error
        return "answer"

    found = await with_retries(
        attempt,
        max_retries=2,
        backoff=Backoff(first_s=1.0, sleep=waits, jitter=lambda: 0.0),
        on_retry=lambda *seen: told.append(seen),
        ends_at=anyio.current_time() + 60,
    )
    assert found == "answer"
    assert told == [(1, "one", 1.0), (2, "two", 2.0)]
    assert waits.seconds == [1.0, 2.0]


@pytest.mark.anyio
async def test_a_wait_can_be_cancelled() -> None:
    async def attempt() -> str:
        raise ProviderError("down", retryable=True)

    with anyio.move_on_after(0.05) as scope:
        await with_retries(
            attempt,
            max_retries=9,
            backoff=Backoff(first_s=30.0),
            on_retry=None,
            ends_at=anyio.current_time() + 600,
        )
    assert scope.cancelled_caught
