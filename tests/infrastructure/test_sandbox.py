"""What every isolating back end promises, asked of the real thing: each test breaks one promise if it can."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from perstack.core.contracts import Sandbox, Session
from perstack.core.errors import SandboxUnavailable, ToolError
from perstack.core.sandbox import Limits, Mount
from perstack.infrastructure.sandbox import channel
from perstack.infrastructure.sandbox.session import ChannelSession
from tests.infrastructure.sandboxes import BACK_ENDS, all_gone, back_end, plain, sh, started

pytestmark = pytest.mark.anyio


@pytest.fixture(params=BACK_ENDS)
async def sandbox(request: pytest.FixtureRequest, tmp_path: Path) -> Sandbox:
    return await back_end(request.param, tmp_path / "cache")


@pytest.fixture
async def session(sandbox: Sandbox, tmp_path: Path) -> AsyncIterator[Session]:
    work = tmp_path / "work"
    work.mkdir()
    (work / "here.txt").write_text("here\n")
    (tmp_path / "given").write_text("given\n")
    (tmp_path / "results").mkdir()
    mounts = [Mount(tmp_path / "given", "/given"), Mount(tmp_path / "results", "/results", writable=True)]
    limits = Limits(processes=64, memory_mb=512, file_mb=8, tmp_mb=16)
    async with sandbox.open(
        await plain(sandbox, tmp_path), work, mounts=mounts, env={"FROM_OUTSIDE": "a b'c"}, limits=limits
    ) as opened:
        yield opened


async def test_commands_run_as_asked(session: Session) -> None:
    result = await session.run(["printf", "%s|", "a b", "c\nd", "'\"$x`\\", "ü"])
    assert (result.exit_code, result.stdout, result.stderr) == (0, "a b|c\nd|'\"$x`\\|ü|".encode(), b"")
    result = await session.run(["sh", "-c", "cat; echo err >&2; exit 3"], stdin=b"\0\xff\n" * 1000)
    assert (result.exit_code, result.stdout, result.stderr) == (3, b"\0\xff\n" * 1000, b"err\n")
    assert (await session.run(["no-such-program"])).exit_code == 127
    assert await sh(session, "kill -SEGV $$") == (139, "")
    assert await sh(session, "read x || echo no input") == (0, "no input\n")


async def test_the_workspace_is_shared_and_the_directory_is_chosen(session: Session, tmp_path: Path) -> None:
    assert await sh(session, "cat here.txt; mkdir sub; echo out >sub/new; pwd") == (0, "here\n/workspace\n")
    assert (tmp_path / "work/sub/new").read_text() == "out\n"
    assert (await session.run(["pwd"], cwd="sub")).stdout == b"/workspace/sub\n"
    assert (await session.run(["pwd"], cwd="missing")).exit_code == 127
    with pytest.raises(ToolError):
        await session.run(["pwd"], cwd="../etc")


async def test_mounts_are_where_they_were_asked_for(session: Session, tmp_path: Path) -> None:
    code, _ = await sh(session, "cat /given && echo x >>/given")
    assert code != 0
    assert await sh(session, "echo result >/results/r") == (0, "")
    assert (tmp_path / "given").read_text() == "given\n"
    assert (tmp_path / "results/r").read_text() == "result\n"


async def test_the_environment_is_only_what_was_given(session: Session) -> None:
    result = await session.run(["env"], env={"EXTRA": "line\nbreak"})
    names = {line.split("=")[0] for line in result.stdout.decode().splitlines() if "=" in line}
    allowed = {"PATH", "HOME", "USER", "LOGNAME", "LANG", "TMPDIR", "PWD", "OLDPWD", "SHLVL", "_", "HOSTNAME"}
    assert names - allowed == {"FROM_OUTSIDE", "EXTRA"}
    assert "FROM_OUTSIDE=a b'c\n" in result.text()
    assert "EXTRA=line\nbreak" in result.text()
    _, everything = await sh(session, "cat /proc/*/environ 2>/dev/null | tr '\\0' '\\n'")
    assert "PYTEST" not in everything
    assert "PYTHONPATH" not in everything


@pytest.mark.threat("I1", "P23")
async def test_nobody_is_root_and_nothing_can_be_gained(session: Session) -> None:
    _, status = await sh(session, "id -u; cat /proc/self/uid_map; cat /proc/self/status")
    uid, first, outside = status.split()[:3]
    assert uid != "0" or (first, outside) == ("0", str(os.getuid())) != ("0", "0")  # root inside is this user outside
    for line in ("CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1"):
        assert line in status
    forbidden = ["mount -t tmpfs x /mnt", "chroot / true", "unshare -Ur true && false"]
    for attempt in [*forbidden, *(["cat /etc/shadow"] if uid != "0" else [])]:  # the image's own
        code, _ = await sh(session, f"{attempt} 2>/dev/null")
        assert code != 0, attempt


async def test_only_the_workspace_tmp_and_home_can_be_written(session: Session) -> None:
    for place in ("/", "/usr", "/etc", "/run/perstack", "/usr/bin", "/var", "/home"):
        code, _ = await sh(session, f"echo x >{place}/planted 2>/dev/null")
        assert code != 0, place
    assert await sh(session, 'echo x >/tmp/a && echo x >"$HOME/b" && echo x >/workspace/c') == (0, "")


@pytest.mark.threat("I3", "P22")
async def test_nothing_of_the_machine_is_seen(session: Session, tmp_path: Path) -> None:
    for place in (
        "/var/run/docker.sock",
        "/run/docker.sock",
        str(tmp_path / "given"),
        "/root/.ssh",
        "/root/.gitconfig",
    ):
        assert (await sh(session, f"test -e {place}"))[0] != 0, place
    _, listing = await sh(session, "ls /proc | grep -c '^[0-9]'")
    assert int(listing) < 15


@pytest.mark.threat("E4")
async def test_the_network_is_closed(session: Session) -> None:
    _, devices = await sh(session, "cat /proc/net/dev")
    assert [line.split(":")[0].strip() for line in devices.splitlines()[2:]] == ["lo"]
    script = (
        "import socket\n"
        "for family, place in ((2, ('127.0.0.1', 22)), (2, ('169.254.169.254', 80)), (2, ('172.17.0.1', 80)),"
        " (10, ('::1', 80))):\n"
        "    s = socket.socket(family)\n"
        "    s.settimeout(2)\n"
        "    try:\n"
        "        s.connect(place)\n"
        "        print('reached', place)\n"
        "    except OSError:\n"
        "        pass\n"
        "try:\n"
        "    socket.getaddrinfo('example.org', 80); print('resolved')\n"
        "except OSError:\n"
        "    print('closed')\n"
    )
    result = await session.run(["python3", "-c", script], timeout_s=30)
    assert result.text() == "closed\n"


async def test_a_time_out_kills_daemons_too(session: Session, tmp_path: Path) -> None:
    script = "(setsid sh -c 'sleep 61.0625 & while :; do echo x >>ticks; sleep 0.05; done' &) ; sleep 60"
    result = await session.run(["sh", "-c", script], timeout_s=0.5)
    assert (result.exit_code, result.timed_out) == (124, True)
    assert await all_gone("61.0625")
    size = (tmp_path / "work/ticks").stat().st_size
    assert await sh(session, "sleep 0.2; echo alive") == (0, "alive\n")
    assert (tmp_path / "work/ticks").stat().st_size == size


@pytest.mark.threat("I9")
async def test_what_a_finished_command_leaves_behind_is_dead(session: Session) -> None:
    code, output = await sh(session, "setsid sh -c 'sleep 62.0625; echo late' & echo done")
    assert (code, output) == (0, "done\n")
    assert await sh(session, "echo next") == (0, "next\n")
    assert await all_gone("62.0625")


async def test_a_cancelled_command_leaves_the_channel_usable(session: Session) -> None:
    with anyio.move_on_after(0.5):
        await session.run(["sh", "-c", "echo stale; sleep 63.0625"], timeout_s=60)
    assert await sh(session, "echo fresh") == (0, "fresh\n")
    assert await all_gone("63.0625")


@pytest.mark.threat("I8")
async def test_a_flood_of_output_is_cut_not_kept(session: Session) -> None:
    result = await session.run(["sh", "-c", "yes | head -c 20000000; echo end"], output_limit=1000, timeout_s=60)
    assert result.exit_code == 0
    assert result.truncated
    assert len(result.stdout) < 1100
    assert result.stdout.endswith(b"end\n")


@pytest.mark.threat("I5")
async def test_a_fork_bomb_meets_the_limit_and_dies(session: Session) -> None:
    result = await session.run(["sh", "-c", "f() { f | f & }; f; sleep 64.0625"], timeout_s=2, output_limit=2000)
    # The shell itself may be the one that cannot fork: it then ends before its time.
    assert result.timed_out or b"Cannot fork" in result.stderr
    assert await sh(session, "echo alive") == (0, "alive\n")
    assert await all_gone("64.0625")


async def test_files_and_tmp_are_limited(session: Session) -> None:
    code, _ = await sh(session, "head -c 20000000 /dev/zero >big")
    assert code != 0
    code, _ = await sh(session, "for i in 1 2 3 4 5; do head -c 6000000 /dev/zero >/tmp/$i || exit 9; done")
    assert code == 9


@pytest.mark.threat("I6")
async def test_memory_is_limited_and_the_limit_told_from_other_ends(session: Session) -> None:
    script = "x = bytearray(2_000_000_000)\nfor i in range(0, len(x), 4096): x[i] = 1\nprint('had it all')"
    try:
        result = await session.run(["python3", "-c", script], timeout_s=30)
        assert result.exit_code != 0
        assert b"had it all" not in result.stdout
        counted = bool(session.memory.groups) if isinstance(session, ChannelSession) else False
        if counted:
            assert (result.exit_code, result.limit) == (137, "memory")
            over = await session.run(["sh", "-c", f'python3 -c "{script}"; true'], timeout_s=30)
            assert (over.exit_code, over.limit) == (0, "")  # it went on without what was killed
        other = await session.run(["sh", "-c", "kill -9 $$"])
        assert (other.exit_code, other.limit) == (137, "")
    except SandboxUnavailable:
        pass  # the whole sandbox was taken down: a limit as well


async def test_garbage_on_the_streams_is_only_output(session: Session) -> None:
    junk = "printf '\\n%s 0\\n' deadbeef 0123456789abcdef0123456789abcdef; printf '\\nend\\n'; exit 5"
    code, output = await sh(session, junk)
    assert code == 5
    assert "deadbeef 0" in output
    script = 'for p in /proc/[0-9]*; do for f in 0 1 2 3; do echo "9 a b" >"$p/fd/$f"; done; done 2>/dev/null; exit 6'
    code, _ = await sh(session, script, timeout_s=3)
    assert code in {6, 124}
    with contextlib.suppress(SandboxUnavailable):
        assert (await sh(session, "exit 7", timeout_s=5))[0] in {7, 124}


async def test_a_dead_driver_is_said_and_never_hangs(session: Session) -> None:
    with anyio.fail_after(20):
        with pytest.raises(SandboxUnavailable, match="died"):
            await sh(session, "kill -9 -1; kill -9 $PPID; sleep 60")
        with pytest.raises(SandboxUnavailable, match="died"):
            await sh(session, "echo forged")


async def test_everything_is_dead_when_the_context_ends(sandbox: Sandbox, tmp_path: Path) -> None:
    work = tmp_path / "w"
    work.mkdir()
    made = await plain(sandbox, tmp_path)
    with anyio.move_on_after(5) as scope:
        async with sandbox.open(made, work) as opened, anyio.create_task_group() as tasks:
            tasks.start_soon(sh, opened, "setsid sleep 65.0625 & sleep 65.0625")
            assert await started("65.0625")
            scope.cancel()
    assert await all_gone("65.0625")


async def test_sessions_share_nothing_but_the_workspace(sandbox: Sandbox, tmp_path: Path) -> None:
    work = tmp_path / "w"
    work.mkdir()
    made = await plain(sandbox, tmp_path)
    async with sandbox.open(made, work) as first, sandbox.open(made, work) as second:
        before = await sh(second, "ls /tmp ~")  # a toolchain below the host's /tmp is seen there, read-only
        await sh(first, "echo x >/tmp/a; echo x >~/b; echo x >c")
        assert await sh(second, "ls /tmp ~") == before
        assert await sh(second, "test ! -e /tmp/a && test ! -e ~/b && cat c") == (0, "x\n")


@pytest.mark.threat("I10")
async def test_a_command_that_stops_itself_runs_into_its_time_and_is_dead(session: Session) -> None:
    result = await session.run(["sh", "-c", "sleep 66.0625 & kill -STOP $!; kill -STOP $$"], timeout_s=1)
    assert result.timed_out
    assert await sh(session, "echo next") == (0, "next\n")
    assert await all_gone("66.0625")


async def test_a_stopped_driver_is_said_and_everything_is_dead(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "_SEAL_S", 1.0)
    work = tmp_path / "w"
    work.mkdir()
    with anyio.fail_after(20):
        async with sandbox.open(await plain(sandbox, tmp_path), work) as opened:
            with pytest.raises(SandboxUnavailable, match="does not answer"):
                await sh(opened, "setsid sleep 66.1875 & kill -STOP -1; sleep 66.1875", timeout_s=1)
    assert await all_gone("66.1875")


def _descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.mark.threat("I10")
async def test_zombies_and_open_descriptors_are_nobodys_but_their_commands(session: Session) -> None:
    hold = (
        "import os, time\n"
        "for _ in range(40):\n"
        "    if os.fork() == 0: os._exit(0)\n"  # never reaped
        "files = []\n"
        "try:\n"
        "    while True: files.append(os.open('here.txt', os.O_RDONLY))\n"
        "except OSError: print(len(files))\n"
        "if os.fork() == 0: time.sleep(66.3125)\n"
    )
    before = _descriptors()
    for _ in range(3):  # of 64 processes: those of the last time are gone, or there were not enough
        result = await session.run(["python3", "-c", hold], timeout_s=20)
        assert result.exit_code == 0, result.text()
        assert 3000 < int(result.stdout) <= 4096
    states = "cat /proc/[0-9]*/stat 2>/dev/null | sed 's/.*) //' | cut -c1 | grep -c Z"
    assert (await sh(session, states))[1] == "0\n"
    assert _descriptors() <= before
