"""The public fakes do what their users rely on."""

from __future__ import annotations

import socket
from pathlib import Path

import anyio
import pytest

from perstack.testing import LocalSession, ProjectBuilder, block_network

pytestmark = pytest.mark.anyio


async def test_a_project_is_committed_with_real_git(tmp_path: Path) -> None:
    project = ProjectBuilder(tmp_path / "p")
    first = await project.commit("First", {"a/b.py": "x = 1\n", "bin": b"\x00"})
    second = await project.remove("bin").commit("Second", {"a/b.py": "x = 2\n"})
    assert (await project.git("rev-parse", f"{second}^")) == first
    assert (await project.git("show", "--stat", "--format=%s", second)).splitlines()[0] == "Second"
    assert (await project.git("ls-files")) == "a/b.py"


async def test_a_local_session_runs_in_its_workspace(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    session = LocalSession(tmp_path, {"WORD": "hello"})
    result = await session.run(["sh", "-c", 'echo "$WORD"; pwd; cat'], cwd="sub", stdin=b"in")
    assert result.stdout.decode().split() == ["hello", str(tmp_path / "sub"), "in"]
    assert (await session.run(["no-such-program"])).exit_code == 127


async def test_the_kill_switch_lets_loopback_through_and_nothing_else() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, block_network():
        with socket.create_connection(server.getsockname(), timeout=5):
            pass
        with socket.socket() as outside, pytest.raises(ConnectionRefusedError, match=r"kill switch .* 192\.0\.2\.1"):
            outside.connect(("192.0.2.1", 80))
        with pytest.raises(ConnectionRefusedError):
            await anyio.to_thread.run_sync(lambda: socket.create_connection(("192.0.2.1", 80), timeout=5))
