"""A Docker engine that is not there, goes away at any request: told as such, nothing stays behind."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from anyio import run_process

from perstack.core.errors import SandboxUnavailable
from perstack.core.sandbox import SandboxSpec, SetupNetwork
from tests.faults.bench import Bench, Engine, until_gone
from tests.infrastructure.sandboxes import back_end, sh

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


@pytest.mark.anyio
async def test_an_image_that_goes_away_before_its_sandbox_is_told_and_is_made_again(tmp_path: Path) -> None:
    source, work = tmp_path / "source", tmp_path / "work"
    source.mkdir()
    work.mkdir()
    sandbox = await back_end("docker", tmp_path / "cache")
    # Nobody else's snapshot, and no proxy to wait for.
    spec = SandboxSpec(setup=("echo made >/made",), env=(("ONLY", str(tmp_path)),), network=SetupNetwork(open=False))
    first = await sandbox.prepare(spec, source, lambda _: None)
    image = json.loads(first.reference)["image"]
    await run_process(["docker", "rmi", "--force", image])
    with pytest.raises(SandboxUnavailable, match="No such image") as told:
        async with sandbox.open(first, work):
            pass
    assert told.value.exit_code == 4
    assert "run it again" in told.value.hint
    log: list[str] = []
    with anyio.fail_after(60):  # its own lease on what is no more must not hold it up
        again = await sandbox.prepare(spec, source, log.append)
    try:
        assert log[-1] == f"set-up: {spec.setup[0]}"
        async with sandbox.open(again, work) as session:
            assert await sh(session, "cat /made") == (0, "made\n")
    finally:
        made = json.loads(again.reference)["image"]
        await run_process(["docker", "rmi", "--force", made])


@pytest.mark.nightly
def test_an_engine_that_goes_away_at_any_request_is_told(docked: Bench) -> None:
    count = 1
    while _stopped_after(docked, count)():
        count += 1
    assert count > 10
    assert docked.works()
    assert containers_of(docked) == []


def _http(status: bytes, body: bytes) -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)


@pytest.mark.nightly
@pytest.mark.parametrize("requests", [3, 15, 30, 45])
@pytest.mark.parametrize(
    "answer",
    [_http(b"500 Internal Server Error", b'{"message": "no space left"}'), _http(b"200 OK", b"<<<<<"), b""],
    ids=["fails", "says something else", "ends every connection"],
)
def test_an_engine_that_does_not_work_any_more_is_told_and_decides_nothing(
    docked: Bench, answer: bytes, requests: int
) -> None:
    with Engine(docked.checkout.parent, requests, answer) as engine:
        docked.more["DOCKER_HOST"] = engine.address
        done = docked("verify")
    assert done.is_told(4), (done.out, done.err)
    assert "verdict: " not in done.out
    assert "→" in done.err, "what to do is said"
    assert docked.left() == []
