"""How requests are sent: one at a time, waiting as GitHub asks but never without an end, unchanged things not again."""

from __future__ import annotations

import itertools
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from perstack.core.errors import ForgeError
from perstack.forge.github_pace import Waits, limit_wait
from tests.forge.bench import Bench, until
from tests.github_server import Fault

WAITS = Waits(retry=1.0, limit=60.0)
NOW = 1_000_000.0


@pytest.mark.parametrize(
    ("status", "headers", "data", "attempt", "wait"),
    [
        (403, {"retry-after": "7"}, {"message": "secondary rate limit"}, 1, 7.0),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1000090"}, {"message": "API rate limit"}, 1, 91.0),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "900000"}, {"message": "API rate limit"}, 1, 1.0),
        (403, {}, {"message": "You have exceeded a secondary rate limit."}, 1, 60.0),
        (429, {}, None, 3, 240.0),
        (403, {"x-ratelimit-remaining": "0"}, {"message": "Resource not accessible by integration"}, 1, None),
        (403, {}, {"message": "Resource not accessible by integration"}, 1, None),
        (200, {}, {"errors": [{"type": "RATE_LIMITED", "message": "API rate limit"}]}, 1, 60.0),
        (200, {}, {"errors": [{"type": "NOT_FOUND"}]}, 1, None),
        (200, {}, [], 1, None),
        (404, {"retry-after": "7"}, {"message": "Not Found"}, 1, None),
    ],
)
def test_limits_are_told_from_other_refusals_and_say_how_long(
    status: int, headers: dict[str, str], data: object, attempt: int, wait: float | None
) -> None:
    assert limit_wait(status, headers, data, attempt=attempt, waits=WAITS, now=NOW) == wait


def test_a_limit_that_lasts_too_long_is_not_waited_for(bench: Bench) -> None:
    bench.scene.server.state.rate_remaining = 0
    bench.scene.server.state.rate_reset = int(time.time()) + 5
    forge = bench.make(waits=Waits(longest=0.1))
    began = time.monotonic()
    with pytest.raises(ForgeError, match="it asks for another minute") as caught:
        forge.default_branch()
    with pytest.raises(ForgeError, match="rate limit"):
        bench.make(waits=Waits(longest=0.1)).default_branch()
    assert time.monotonic() - began < 1
    assert caught.value.status == 429
    assert len(bench.scene.server.state.requests) == 1


def test_patience_ends_also_where_each_wait_is_short(bench: Bench) -> None:
    fault = bench.scene.server.faults.add(Fault("secondary", times=100))
    forge = bench.make(waits=Waits(retry=0.01, limit=0.05, patience=0.2, attempts=50))
    with pytest.raises(ForgeError, match="rate limit was reached and does not end in time"):
        forge.default_branch()
    assert fault.hits == 3
    with pytest.raises(ForgeError):
        forge.default_branch()
    assert fault.hits < 6


def test_a_server_that_does_not_answer_is_given_up(bench: Bench) -> None:
    fault = bench.scene.server.faults.add(Fault("slow", seconds=2.0, times=10))
    forge = bench.make(timeout_s=1, waits=Waits(retry=0.01, attempts=2))
    with pytest.raises(ForgeError, match="could not be reached"):
        forge.default_branch()
    assert fault.hits == 2


@pytest.mark.parametrize("kind", ["drop", "status", "secondary"])
def test_reads_are_repeated_after_what_passes(bench: Bench, kind: str) -> None:
    fault = bench.scene.server.faults.add(Fault(kind, times=3))
    assert bench.forge.default_branch() == "main"
    assert fault.hits == 3


def test_a_limit_of_graphql_is_waited_for(bench: Bench) -> None:
    fault = bench.scene.server.faults.add(Fault("secondary", path="/graphql$", times=2))
    assert bench.forge.account()
    assert fault.hits == 2


def test_what_did_not_change_is_not_sent_again_and_costs_nothing(bench: Bench) -> None:
    pull = bench.forge.pull_request(2)
    left = bench.scene.server.state.rate_remaining
    assert bench.forge.pull_request(2) == pull
    assert bench.scene.server.state.rate_remaining == left
    moved = bench.scene.push_to_topic({"new.py": ""})
    assert bench.forge.pull_request(2).head_sha == moved


def test_writes_of_all_forges_of_a_process_keep_their_order_and_distance(bench: Bench) -> None:
    forges = [bench.make(seconds_between_writes=0.2) for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda pair: pair[1].upsert_comment(2, f"key-{pair[0]}", "x"), enumerate(forges)))
    writes = sorted(r["at"] for r in bench.requests("POST"))
    assert len(writes) == 3
    assert all(later - earlier >= 0.2 for earlier, later in itertools.pairwise(writes))


def test_reads_do_not_wait_for_the_distance_of_writes(bench: Bench) -> None:
    forge = bench.make(seconds_between_writes=1.5)
    forge.upsert_comment(2, "a", "x")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(forge.upsert_comment, 2, "b", "x")
        until(lambda: len(bench.requests("GET", "/comments")) == 3)
        forge.default_branch()
        waiting.result(10)
    writes = [r["at"] for r in bench.requests("POST")]
    (read,) = (r["at"] for r in bench.requests("GET", bench.scene.name))
    assert writes[0] < read < writes[1]


def test_a_limit_stops_everybody_who_shares_the_server(bench: Bench) -> None:
    fault = bench.scene.server.faults.add(Fault("secondary", method="GET", retry_after="1"))
    first, second = bench.make(), bench.make()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(first.default_branch)
        until(lambda: fault.hits)
        second.default_branch()
        assert waiting.result(10) == "main"
    told = [r["at"] for r in bench.requests("GET")]
    assert len(told) == 2  # the refused one was not seen by the server itself
    assert min(told) - bench.scene.server.faults.hit_at[0] >= 0.9


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize("write", [False, True])
def test_a_token_does_not_follow_a_redirect_to_another_host(bench: Bench, status: int, write: bool) -> None:
    elsewhere = f"{bench.scene.server.url.replace('127.0.0.1', 'localhost')}/repos/{bench.scene.name}"
    method = "POST" if write else "GET"
    bench.scene.server.faults.add(Fault("status", method=method, status=status, location=elsewhere))
    with pytest.raises(ForgeError):
        bench.forge.upsert_comment(2, "fix-2", "x")
    assert [r["path"].rpartition("/")[2] for r in bench.scene.server.state.requests] == ["comments"] * write
    assert bench.comments == []


def test_a_repository_that_moved_is_told(bench: Bench) -> None:
    bench.scene.server.faults.add(Fault("status", status=307, message="Moved"))
    with pytest.raises(ForgeError, match="GitHub sent us elsewhere"):
        bench.forge.default_branch()
