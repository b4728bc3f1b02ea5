"""The life of a proxy: starting, ending, failing, and what it leaves; and the road to it from inside."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import pytest

from perstack.core.errors import SandboxUnavailable, UserError
from perstack.core.json import JsonObject
from perstack.core.sandbox import Network
from perstack.infrastructure import process
from perstack.infrastructure.egress import inside
from perstack.infrastructure.egress.proxy import open_egress
from tests.infrastructure.egress.world import skip_without_tools
from tests.infrastructure.sandboxes import all_gone, back_end, plain, processes_with

pytestmark = pytest.mark.anyio


@pytest.fixture
def told() -> list[JsonObject]:
    return []


async def ask(network: Network, request: bytes) -> bytes:
    """The first bytes of the answer."""
    with anyio.fail_after(20):
        async with await anyio.connect_unix(network.socket) as stream:
            await stream.send(request)
            return await stream.receive()


async def memory_of(conf: str) -> str:
    """What the shared memory of the squid with this configuration is called."""
    words = [Path(f"/proc/{pid}/cmdline").read_text().split("\0") for pid in await processes_with(conf)]
    name = words[0][words[0].index("-n") + 1]
    assert shared(name) != []
    return name


def shared(name: str) -> list[Path]:
    """Shared memory of a squid that is there."""
    return list(Path("/dev/shm").glob(f"{name}-*"))  # the system's own


CONNECT = b"CONNECT other.example:443 HTTP/1.1\r\n\r\n"


async def test_without_squid_there_is_no_network_but_an_error_that_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="squid is not installed") as failure:
        async with open_egress(["a.example"], lambda *_: None, path=[str(tmp_path)]):
            pytest.fail("it was opened")
    assert "apt-get install squid" in failure.value.hint


@pytest.fixture
def programs() -> Iterator[Path]:
    """A folder that every user can enter."""
    with tempfile.TemporaryDirectory(prefix="perstack-test-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


async def test_a_squid_that_does_not_start_is_told_with_its_words(programs: Path) -> None:
    false = programs / "squid"
    false.write_text("#!/bin/sh\necho 'FATAL: no such option' >&2\nexit 1\n")
    false.chmod(0o755)
    with pytest.raises(SandboxUnavailable, match=r"squid does not start: FATAL: no such option"):
        async with open_egress(["a.example"], lambda *_: None, path=[str(programs)]):
            pytest.fail("it was opened")


@pytest.mark.slow
async def test_nothing_is_left_when_it_ends(told: list[JsonObject]) -> None:
    skip_without_tools()
    async with open_egress(["a.example"], lambda _, payload: told.append(payload)) as network:
        folder = network.socket.parents[1]
        conf = str(folder / "squid.conf")
        memory = await memory_of(conf)
        assert (await processes_with(conf)) != []
        assert (folder / "squid.conf").stat().st_mode & 0o077 == 0
        assert network.socket.parent.stat().st_mode & 0o077 == 0
        assert b" 403 " in await ask(network, CONNECT)
        running = [Path(f"/proc/{pid}/status").read_text() for pid in await processes_with(conf)]
        assert all("\nUid:\t0\t" not in status for status in running)
    assert await all_gone(conf)
    assert not folder.exists()
    assert shared(memory) == []
    assert [(entry["action"], entry["domain"]) for entry in told] == [("blocked", "other.example")]


@pytest.mark.threat("E8")
@pytest.mark.slow
async def test_a_squid_of_the_system_that_listens_everywhere_gets_nothing(told: list[JsonObject]) -> None:
    skip_without_tools()
    with contextlib.ExitStack() as stack:
        for place, family in (("0.0.0.0", socket.AF_INET), ("::", socket.AF_INET6)):  # as squid does
            with contextlib.suppress(OSError):  # there is one, or no IPv6
                taken = stack.enter_context(socket.create_server((place, 3128), family=family))
                taken.setblocking(False)
        async with open_egress(["a.example"], lambda _, payload: told.append(payload)) as network:
            assert b" 403 " in await ask(network, CONNECT)
        with pytest.raises(BlockingIOError):
            taken.accept()
    assert [entry["domain"] for entry in told] == ["other.example"]


@pytest.mark.slow
async def test_errors_and_cancelling_pass_through_and_leave_nothing() -> None:
    skip_without_tools()
    with pytest.raises(SandboxUnavailable, match="of the body"):
        async with open_egress(["a.example"], lambda *_: None) as network:
            raise SandboxUnavailable("of the body")
    with anyio.fail_after(20), anyio.CancelScope() as scope:
        async with open_egress(["a.example"], lambda *_: None) as network:
            scope.cancel()
            await anyio.sleep_forever()
    assert scope.cancelled_caught
    assert await all_gone(str(network.socket.parents[1]))


@pytest.mark.threat("E7")
@pytest.mark.slow
async def test_a_killed_squid_is_told_and_nothing_hangs(told: list[JsonObject]) -> None:
    skip_without_tools()
    async with open_egress(["a.example"], lambda _, payload: told.append(payload)) as network:
        conf = str(network.socket.parents[1] / "squid.conf")
        memory = await memory_of(conf)
        for pid in await processes_with(conf):
            if Path(f"/proc/{pid}/exe").resolve().name == "squid":
                os.kill(pid, signal.SIGKILL)
        assert await all_gone(conf)
        assert shared(memory) == []
        with anyio.fail_after(20):
            while not told:  # a process that is being killed keeps its sockets a moment longer than its name
                with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                    await ask(network, CONNECT)
    assert "stopped" in str(told[0]["reason"])


@pytest.mark.slow
async def test_many_connections_are_judged_and_a_flood_is_told_in_one_line(told: list[JsonObject]) -> None:
    skip_without_tools()
    async with open_egress(["a.example"], lambda _, payload: told.append(payload)) as network:

        async def some() -> None:
            for _ in range(6):
                assert b" 403 " in await ask(network, CONNECT)

        async with anyio.create_task_group() as tasks:
            for _ in range(100):
                tasks.start_soon(some)
    assert len(told) == 501
    assert told[-1]["reason"] == "100 further decisions are not listed"


HARNESS = """
import sys, anyio
from perstack.infrastructure.egress.proxy import open_egress
async def main():
    async with open_egress(["a.example"], lambda *_: None) as network:
        print(network.socket.parents[1], flush=True)
        await anyio.sleep_forever()
anyio.run(main)
"""


@pytest.mark.slow
async def test_squid_dies_with_a_killed_harness() -> None:
    skip_without_tools()
    async with process.open_process([sys.executable, "-c", HARNESS], env={"PATH": "/usr/bin:/bin"}) as harness:
        assert harness.stdout is not None
        with anyio.fail_after(30):
            folder = Path((await harness.stdout.receive()).decode().strip())
        memory = await memory_of(str(folder / "squid.conf"))
        harness.kill()
        assert await all_gone(str(folder / "squid.conf"))
    assert shared(memory) == []
    shutil.rmtree(folder)


@pytest.fixture
async def echo(tmp_path: Path) -> AsyncIterator[Path]:
    """A Unix socket that answers with what it got, once its caller has finished."""
    place = tmp_path / "echo"

    async def answer(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            data = b""
            try:
                while True:
                    data += await stream.receive()
            except anyio.EndOfStream:
                await stream.send(data)

    async with await anyio.create_unix_listener(place) as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, answer)
        yield place
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize(
    "program",
    [
        ["/usr/bin/python3", "-I", "-S", "forward.py"],
        pytest.param(["/usr/bin/node", "forward.js"], marks=pytest.mark.slow),
    ],
)
async def test_the_forwarder_passes_every_byte_both_ways(program: list[str], echo: Path) -> None:
    *runner, name = program
    if not Path(runner[0]).exists():
        pytest.skip(f"no {runner[0]} here")
    source = (Path(inside.__file__).parent / name).read_text()
    option = "-c" if name.endswith(".py") else "-e"
    port = 20_000 + os.getpid() % 20_000
    argv = [*runner, option, source, str(echo), str(port)]
    async with process.open_process(argv, env={"PATH": "/usr/bin"}) as child:
        assert child.stdout is not None
        with anyio.fail_after(20):
            assert await child.stdout.receive() == b"ready\n"
            with pytest.raises(anyio.EndOfStream):
                await child.stdout.receive()
            for payload in (b"x", os.urandom(3_000_000)):
                async with await anyio.connect_tcp("127.0.0.1", port) as stream:
                    await stream.send(payload)
                    await stream.send_eof()
                    got = b""
                    while len(got) < len(payload):
                        got += await stream.receive()
                assert got == payload


async def test_a_sandbox_without_a_language_for_the_forwarder_says_so(tmp_path: Path) -> None:
    sandbox = await back_end("bubblewrap", tmp_path / "cache")
    (tmp_path / "socket").touch()
    (tmp_path / "work").mkdir()
    async with sandbox.serve(
        await plain(sandbox, tmp_path),
        tmp_path / "work",
        ["/usr/bin/echo", "started"],
        env={"PATH": "/nowhere"},
        network=Network(tmp_path / "socket"),
    ) as service:
        with anyio.fail_after(20):
            assert b"needs python3, node or perl" in await service.receive_errors()
            assert await service.receive() == b""
            assert await service.wait() == 125
