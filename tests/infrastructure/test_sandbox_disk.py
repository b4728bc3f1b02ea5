"""Attacks on the machine's disk from inside: bytes, names, files without a name, holes, and what is left of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from perstack.core.contracts import Sandbox, Session
from perstack.core.errors import UserError
from perstack.core.sandbox import Limits, Mount
from perstack.infrastructure.sandbox.disk_bound import DiskBound
from tests.infrastructure.sandboxes import BACK_ENDS, all_gone, back_end, plain, sh

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


@pytest.mark.threat("I7")
@pytest.mark.anyio
async def test_served_and_installing_programs_are_stopped_by_name_too(sandbox: Sandbox, tmp_path: Path) -> None:
    snapshot = replace(await plain(sandbox, tmp_path), limits=_LIMITS)
    workspace, packages = tmp_path / "workspace", tmp_path / "packages"
    workspace.mkdir()
    packages.mkdir()
    bound = DiskBound(_LIMITS)

    async def served(script: str) -> None:
        words = ["sh", "-c", script]
        async with (
            bound.held("the server", [workspace], lasting=True),
            sandbox.serve(snapshot, workspace, words) as service,
        ):
            await service.wait()

    with anyio.fail_after(30), pytest.raises(UserError, match="server was stopped at the sandbox's disk limit: 40 MiB"):
        await served("dd if=/dev/urandom of=bomb bs=1M count=900 2>/dev/null; sleep 76.0625")
    assert await all_gone("76.0625")
    with anyio.fail_after(15), pytest.raises(UserError):  # what is there counts for the next one
        await served("dd if=/dev/urandom of=more bs=1M count=1; sleep 20")
    folder = Mount(packages, "/opt/packages", writable=True)
    with anyio.fail_after(30), pytest.raises(UserError, match="installation was stopped"):
        async with DiskBound(_LIMITS).held("the installation", [packages]):
            await sandbox.install(snapshot, ["fallocate", "-l", "200M", "taken"], folder)
