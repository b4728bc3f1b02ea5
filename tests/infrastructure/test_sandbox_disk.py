"""Attacks on the machine's disk from inside: bytes, names, files without a name, holes, and what is left of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from perstack.core.contracts import Sandbox, Session
from perstack.core.sandbox import Limits
from tests.infrastructure.sandboxes import BACK_ENDS, back_end, plain, sh

_LIMITS = Limits(disk_mb=40, disk_files=400, tmp_mb=8, file_mb=1024)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=BACK_ENDS, scope="module")
async def sandbox(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    return await back_end(request.param, tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def folder(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp(sandbox.name)


@pytest.fixture(scope="module")
async def session(sandbox: Sandbox, folder: Path) -> AsyncIterator[Session]:
    snapshot = replace(await plain(sandbox, folder), limits=_LIMITS)
    workspace = folder / "workspace"
    workspace.mkdir()
    (workspace / "old").write_bytes(b"\1" * (60 << 20))  # what was there before does not count
    async with sandbox.open(snapshot, workspace) as opened:
        yield opened


@pytest.mark.threat("I7")
@pytest.mark.anyio
async def test_a_disk_bomb_is_stopped_by_name_and_its_author_can_clean_up(session: Session) -> None:
    bomb = "i=0; while :; do i=$((i+1)); dd if=/dev/urandom of=b$i bs=1M count=4 2>/dev/null; done"
    result = await session.run(["sh", "-c", bomb], timeout_s=30)
    assert (result.exit_code, result.limit, result.timed_out) == (153, "disk", False)
    assert result.seconds < 20
    assert (await sh(session, "rm b*; echo gone"))[1].strip() == "gone"
    assert (await sh(session, "echo fine >x; cat x"))[0] == 0


@pytest.mark.anyio
async def test_a_file_that_is_taken_at_once_is_noticed_when_its_command_has_ended(session: Session) -> None:
    result = await session.run(["fallocate", "-l", "400M", "taken"])
    assert (result.exit_code, result.limit) == (153, "disk")
    assert (await session.run(["rm", "taken"])).limit == ""


@pytest.mark.threat("I7")
@pytest.mark.anyio
async def test_endless_names_are_stopped(session: Session) -> None:
    bomb = "i=0; mkdir names; while :; do i=$((i+1)); : >names/$i; done"
    result = await session.run(["sh", "-c", bomb], timeout_s=30)
    assert (result.exit_code, result.limit) == (153, "disk")
    assert (await session.run(["rm", "-r", "names"])).limit == ""


@pytest.mark.threat("I7")
@pytest.mark.anyio
async def test_a_file_without_a_name_counts_while_it_is_open(session: Session) -> None:
    bomb = "exec 7>nameless; rm nameless; dd if=/dev/urandom bs=1M count=200 >&7 2>/dev/null; sleep 20"
    result = await session.run(["sh", "-c", bomb], timeout_s=25)
    assert (result.exit_code, result.limit) == (153, "disk")


@pytest.mark.anyio
async def test_holes_take_no_room_and_cost_nobody_a_verdict(session: Session) -> None:
    result = await session.run(["truncate", "-s", "1G", "holes"])
    assert (result.exit_code, result.limit) == (0, "")
    assert (await session.run(["rm", "holes"])).exit_code == 0


@pytest.mark.anyio
async def test_tmp_and_home_hold_no_more_than_they_may(session: Session) -> None:
    for place in ("/tmp", '"$HOME"'):
        code, _ = await sh(session, f"dd if=/dev/zero of={place}/big bs=1M count=20")
        assert code == 1
