"""What every back end promises of a program that is served: each test breaks one promise if it can."""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import anyio
import pytest

from perstack.core.contracts import Sandbox, Service
from perstack.core.errors import SandboxUnavailable, UserError
from perstack.core.sandbox import Limits, Mount
from perstack.infrastructure import process
from perstack.infrastructure.sandbox.host import Host
from perstack.infrastructure.sandbox.ownership import given_back
from tests.infrastructure.sandboxes import BACK_ENDS, PYTHON_BIN, all_gone, back_end, plain, started

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

Serve = Callable[..., AbstractAsyncContextManager[Service]]


@pytest.fixture(params=BACK_ENDS)
async def isolating(request: pytest.FixtureRequest, tmp_path: Path) -> Sandbox:
    return await back_end(request.param, tmp_path / "cache")


@pytest.fixture(params=[*BACK_ENDS, "host"])
async def sandbox(request: pytest.FixtureRequest, tmp_path: Path) -> Sandbox:
    if request.param == "host":
        return Host((PYTHON_BIN,))
    return await back_end(request.param, tmp_path / "cache")


@pytest.fixture
async def work(tmp_path: Path) -> AsyncIterator[Path]:
    folder = tmp_path / "work"
    folder.mkdir()
    with given_back(folder):
        yield folder


async def all_of(read: Callable[[], object]) -> bytes:
    """Everything until the end of one stream, within bounds."""
    found = b""
    with anyio.fail_after(20):
        while data := await read():  # type: ignore[misc]
            found += data
    return found


async def line(service: Service) -> bytes:
    found = b""
    with anyio.fail_after(20):
        while not found.endswith(b"\n"):
            data = await service.receive()
            assert data, await all_of(service.receive_errors)
            found += data
    return found


async def flood(service: Service) -> None:
    with anyio.fail_after(20):
        while True:
            await service.send(b"to nobody\n" * 1000)


async def code_of(service: Service) -> int:
    with anyio.fail_after(20):
        return await service.wait()


async def test_a_program_is_spoken_to_over_its_streams(sandbox: Sandbox, work: Path, tmp_path: Path) -> None:
    made = await plain(sandbox, tmp_path)
    async with sandbox.serve(made, work, ["cat"]) as service:
        for message in (b"one\n", b'{"two": "\xc3\xbc"}\n', b"x" * 300_000 + b"\n"):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(service.send, message)
                assert await line(service) == message


async def test_errors_are_a_stream_of_their_own_and_the_exit_code_is_told(
    sandbox: Sandbox, work: Path, tmp_path: Path
) -> None:
    made = await plain(sandbox, tmp_path)
    script = "echo out; echo err >&2; read word; echo $word; exit 7"
    async with sandbox.serve(made, work, ["sh", "-c", script]) as service:
        assert await line(service) == b"out\n"
        with anyio.fail_after(20):
            assert await service.receive_errors() == b"err\n"
        await service.send(b"word\n")
        assert await all_of(service.receive) == b"word\n"
        assert await all_of(service.receive_errors) == b""
        assert await code_of(service) == 7
        assert await code_of(service) == 7
        with pytest.raises(SandboxUnavailable, match="has ended"):
            await flood(service)


async def test_ends_are_told_like_a_shell_tells_them(sandbox: Sandbox, work: Path, tmp_path: Path) -> None:
    made = await plain(sandbox, tmp_path)
    async with sandbox.serve(made, work, ["no-such-server", "--stdio"]) as service:
        assert await code_of(service) == 127
        assert b"no-such-server" in await all_of(service.receive_errors)
    async with sandbox.serve(made, work, ["sh", "-c", "kill -SEGV $$"]) as service:
        assert await code_of(service) == 139
    async with sandbox.serve(made, work, ["true"]) as service:
        assert await code_of(service) == 0


async def test_the_working_directory_is_the_workspace_and_files_are_the_callers(
    sandbox: Sandbox, work: Path, tmp_path: Path
) -> None:
    made = await plain(sandbox, tmp_path)
    (work / "here").write_text("here\n")
    with given_back(work):
        script = "cat here; echo made >new; mkdir folder; echo x >folder/f"
        async with sandbox.serve(made, work, ["sh", "-c", script]) as service:
            assert await all_of(service.receive) == b"here\n"
            assert await code_of(service) == 0
    assert (work / "new").read_text() == "made\n"
    assert {path.stat().st_uid for path in work.rglob("*")} == {os.getuid()}


ENVIRONMENT = "import json, os, sys; print(json.dumps([dict(os.environ), sorted(os.listdir('/proc/self/fd'))]))"


async def test_the_environment_is_only_what_was_given(sandbox: Sandbox, work: Path, tmp_path: Path) -> None:
    made = await plain(sandbox, tmp_path)
    given = {"GIVEN": "a b'c\n\"$x`", "ODD-name": "odd", "EMPTY": ""}
    async with sandbox.serve(made, work, ["python3", "-I", "-c", ENVIRONMENT], env=given) as service:
        environment, descriptors = json.loads(await line(service))
    assert {name: environment.pop(name) for name in given} == given
    ours = {"PERSTACK_SANDBOX"} if sandbox.name == "host" else set()
    usual = {"PATH", "HOME", "USER", "LOGNAME", "LANG", "TMPDIR", "PWD", "OLDPWD", "SHLVL", "_", "HOSTNAME"}
    assert set(environment) - usual - {"LC_CTYPE"} == ours
    assert descriptors == ["0", "1", "2", "3"]  # the last one is the look itself


async def test_values_are_in_no_command_line_of_this_machine(isolating: Sandbox, work: Path, tmp_path: Path) -> None:
    made = await plain(isolating, tmp_path)
    async with isolating.serve(made, work, ["cat"], env={"TOKEN": "s3cret-7f31"}) as service:
        await service.send(b"up\n")
        assert await line(service) == b"up\n"
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and (entry / "cmdline").exists():
                assert b"s3cret-7f31" not in (entry / "cmdline").read_bytes()


async def test_what_no_program_can_have_is_refused(sandbox: Sandbox, work: Path, tmp_path: Path) -> None:
    made = await plain(sandbox, tmp_path)
    for argv, env in (([], {}), (["cat", "a\0--bind\0/"], {}), (["cat"], {"A=B": "c"}), (["cat"], {"A": "b\0c"})):
        with pytest.raises(UserError):
            async with sandbox.serve(made, work, argv, env=env):
                pass


ISOLATION = """
import json, os, socket
def reached(family, place):
    with socket.socket(family) as s:
        s.settimeout(2)
        try:
            s.connect(place)
        except OSError:
            return False
        return True
def writes(place):
    try:
        open(place + "/planted", "w").close()
    except OSError:
        return False
    return True
places = [(2, ("127.0.0.1", 22)), (2, ("169.254.169.254", 80)), (2, ("172.17.0.1", 80)), (10, ("::1", 80))]
print(json.dumps({
    "uid": os.getuid(),
    "reached": [p for f, p in places if reached(f, p)],
    "devices": [l.split(":")[0].strip() for l in open("/proc/net/dev").readlines()[2:]],
    "writes": [p for p in ("/", "/usr", "/etc", "/run", "/given", "/workspace", "/tmp", "/home/perstack") if writes(p)],
    "pids": sum(name.isdigit() for name in os.listdir("/proc")),
    "status": [l for l in open("/proc/self/status") if l.startswith(("CapEff", "CapBnd", "NoNewPrivs"))],
    "seen": [p for p in ("/var/run/docker.sock", "/root/.ssh", "/etc/shadow") if os.access(p, os.R_OK)],
}))
"""


async def test_a_program_is_as_alone_as_a_session(isolating: Sandbox, work: Path, tmp_path: Path) -> None:
    made = await plain(isolating, tmp_path)
    (tmp_path / "given").mkdir()
    mounts = [Mount(tmp_path / "given", "/given")]
    async with isolating.serve(made, work, ["python3", "-c", ISOLATION], mounts=mounts) as service:
        found = json.loads(await line(service))
    assert found.pop("uid") != 0
    assert found.pop("pids") < 10
    assert [entry.split()[1].strip("0") for entry in found.pop("status")] == ["", "", "1"]
    assert found == {
        "reached": [],
        "devices": ["lo"],
        "writes": ["/workspace", "/tmp", "/home/perstack"],
        "seen": [],
    }


async def test_limits_hold(isolating: Sandbox, work: Path, tmp_path: Path) -> None:
    made = await plain(isolating, tmp_path)
    script = "x = bytearray(900_000_000)\nfor i in range(0, len(x), 4096): x[i] = 1\nprint('had it all', flush=True)\n"
    limits = Limits(memory_mb=256, processes=32, file_mb=4)
    async with isolating.serve(made, work, ["python3", "-c", script], limits=limits) as service:
        assert await code_of(service) != 0
        assert await all_of(service.receive) == b""
    async with isolating.serve(made, work, ["sh", "-c", "head -c 9000000 /dev/zero >big"], limits=limits) as service:
        assert await code_of(service) != 0
    assert (work / "big").stat().st_size <= 4 * 2**20


async def test_a_flood_waits_for_its_reader(sandbox: Sandbox, work: Path, tmp_path: Path) -> None:
    made = await plain(sandbox, tmp_path)
    script = "echo ready >&2; i=0; while :; do head -c 1000000 /dev/zero; i=$((i+1)); echo $i >count; done"
    async with sandbox.serve(made, work, ["sh", "-c", script]) as service:
        with anyio.fail_after(20):
            assert await service.receive_errors() == b"ready\n"
        before = -1
        while before != (now := await _written(work / "count")):
            before = now
        assert now <= 8, "more was taken than was asked for"
        taken = 0
        with anyio.fail_after(20):
            while taken < 20_000_000:
                taken += len(await service.receive())
        assert await _written(work / "count") > now


async def _written(place: Path) -> int:
    """The number in a file once half a second has brought no other one."""
    await anyio.sleep(0.5)
    return int(place.read_text() or 0) if place.exists() else 0


async def test_everything_is_dead_when_the_program_has_ended(sandbox: Sandbox, work: Path, tmp_path: Path) -> None:
    made = await plain(sandbox, tmp_path)
    script = "(setsid sleep 71.0625 &); (setsid sh -c 'sleep 71.0625; :' </dev/null >/dev/null 2>&1 &); read go"
    async with sandbox.serve(made, work, ["sh", "-c", script]) as service:
        assert await started("71.0625")
        await service.send(b"go\n")
        assert await code_of(service) == 0
        assert await all_gone("71.0625")
        assert await all_of(service.receive) == b""


async def test_everything_is_dead_when_the_context_ends(sandbox: Sandbox, work: Path, tmp_path: Path) -> None:
    made = await plain(sandbox, tmp_path)
    script = "trap '' TERM HUP INT; (setsid sleep 72.0625 &); sleep 72.0625; sleep 72.0625"
    async with sandbox.serve(made, work, ["sh", "-c", script]):
        assert await started("72.0625")
    assert await all_gone("72.0625")


async def test_cancelling_waits_for_nothing_and_leaves_nothing(sandbox: Sandbox, work: Path, tmp_path: Path) -> None:
    made = await plain(sandbox, tmp_path)
    with anyio.fail_after(15), anyio.CancelScope() as scope:
        async with (
            sandbox.serve(made, work, ["sh", "-c", "(setsid sleep 73.0625 &); sleep 73.0625"]) as service,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(service.receive)
            tasks.start_soon(service.receive_errors)
            tasks.start_soon(service.wait)
            assert await started("73.0625")
            scope.cancel()
    assert await all_gone("73.0625")


async def test_a_killed_program_does_not_stop_its_neighbour(sandbox: Sandbox, work: Path, tmp_path: Path) -> None:
    made = await plain(sandbox, tmp_path)
    async with sandbox.serve(made, work, ["cat"]) as first:
        async with sandbox.serve(made, work, ["sh", "-c", "kill -9 $$"]) as second:
            assert await code_of(second) == 137
        await first.send(b"still here\n")
        assert await line(first) == b"still here\n"


HARNESS = """
import sys, anyio
from pathlib import Path
from perstack.core.sandbox import Snapshot
from perstack.infrastructure.sandbox.bubblewrap import Bubblewrap
async def main():
    async with Bubblewrap().serve(Snapshot("", ""), Path(sys.argv[1]), ["sh", "-c", sys.argv[2]]):
        await anyio.sleep_forever()
anyio.run(main)
"""


async def test_a_bubblewrap_program_dies_with_a_killed_harness(work: Path, tmp_path: Path) -> None:
    await back_end("bubblewrap", tmp_path / "cache")
    argv = [sys.executable, "-c", HARNESS, str(work), "(setsid sleep 76.0625 &); sleep 76.0625; :"]
    async with process.open_process(argv, env={"PATH": "/usr/bin"}) as harness:
        assert await started("sleep\0" + "76.0625")
        harness.kill()
        assert await all_gone("76.0625")


def processor_s() -> float:
    """Seconds of processor time of this process and of its ended children: what others do plays no part."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(part.ru_utime + part.ru_stime for part in used)


async def test_a_bubblewrap_program_starts_within_milliseconds(work: Path, tmp_path: Path) -> None:
    sandbox = await back_end("bubblewrap", tmp_path / "cache")
    made = await plain(sandbox, tmp_path)
    begun, starts = 0.0, 10
    for number in range(starts + 1):
        if number == 1:
            begun = processor_s()  # the first one looks at the toolchain
        async with sandbox.serve(made, work, ["echo", "up"]) as service:
            assert await line(service) == b"up\n"
            assert await code_of(service) == 0
    assert (processor_s() - begun) / starts < 0.03
