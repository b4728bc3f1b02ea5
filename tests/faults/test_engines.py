"""A Docker engine that is not there, goes away at any request: told as such, nothing stays behind."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from tests.faults.bench import Bench, Engine, until_gone

pytestmark = pytest.mark.slow


@pytest.fixture
def docked(bench: Bench) -> Bench:
    bench.sandbox = "docker"
    return bench


def containers_of(bench: Bench) -> list[str]:
    """Containers that mount something of this test."""
    ids = subprocess.run(["docker", "ps", "-aq"], capture_output=True, text=True, check=True).stdout.split()
    found = []
    for each in ids:
        done = subprocess.run(["docker", "inspect", each], capture_output=True, text=True, check=False)
        found += [each] if str(bench.temporary) in done.stdout else []
    return found


@pytest.mark.threat("F1", on="docker")
def test_an_engine_that_is_absent_is_told_with_what_to_do(docked: Bench) -> None:
    docked.more["DOCKER_HOST"] = f"unix://{docked.temporary}/none.sock"
    done = docked("verify")
    assert done.is_told(4), done.err
    assert "no Docker engine answers" in done.err
    assert "--sandbox bubblewrap" in done.err
    assert docked.left() == []


def _stopped_after(bench: Bench, requests: int) -> Callable[[], bool]:
    with Engine(bench.checkout.parent, requests) as engine:
        bench.more["DOCKER_HOST"] = engine.address
        done = bench("verify")
        was_used_up = engine.seen > requests
    assert "verdict: fail" not in done.out
    assert done.is_told(4) if was_used_up else done.code == 0, (requests, done.out, done.err)
    assert not was_used_up or "engine" in done.err or "sandbox" in done.err, done.err
    assert bench.left() == []
    del bench.more["DOCKER_HOST"]
    return lambda: was_used_up


@pytest.mark.threat("F1", on="docker")
def test_an_engine_that_goes_away_in_a_run_is_told_and_the_next_run_tidies_up(docked: Bench) -> None:
    assert _stopped_after(docked, 12)()
    assert docked.works()
    assert containers_of(docked) == []
    assert until_gone(str(docked.temporary)) == []


@pytest.mark.nightly
def test_an_engine_that_goes_away_at_any_request_is_told(docked: Bench) -> None:
    count = 1
    while _stopped_after(docked, count)():
        count += 1
    assert count > 10
    assert docked.works()
    assert containers_of(docked) == []
