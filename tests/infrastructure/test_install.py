"""One command with network, in a folder: what it may write, what it sees, what is left of it."""

from __future__ import annotations

import os
from pathlib import Path

import anyio
import pytest

from perstack.core.contracts import Sandbox
from perstack.core.errors import UserError
from perstack.core.sandbox import Mount, Network, SandboxSpec
from perstack.infrastructure.egress.inside import setup_variables
from perstack.infrastructure.sandbox.host import Host
from tests.infrastructure.sandboxes import BACK_ENDS, PYTHON_BIN, all_gone, back_end, plain, started

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.fixture(params=[*BACK_ENDS, "host"])
async def sandbox(request: pytest.FixtureRequest, tmp_path: Path) -> Sandbox:
    if request.param == "host":
        return Host((PYTHON_BIN,))
    return await back_end(request.param, tmp_path / "cache")


@pytest.fixture
def folder(tmp_path: Path) -> Mount:
    place = tmp_path / "packages"
    place.mkdir()
    return Mount(place, "/opt/packages", writable=True)


async def test_a_command_fills_its_folder_and_nothing_else(sandbox: Sandbox, folder: Mount, tmp_path: Path) -> None:
    made = await plain(sandbox, tmp_path, SandboxSpec(env=(("CONFIGURED", "yes"),)))
    script = (
        'pwd; echo "$HOME"; echo "$CONFIGURED"; mkdir lib; echo x >lib/f; echo y >"$HOME/cache"; echo e >&2; exit 3'
    )
    result = await sandbox.install(made, ["sh", "-c", script], folder)
    place = str(folder.source) if sandbox.name == "host" else "/opt/packages"
    assert (result.exit_code, result.stderr) == (3, b"e\n")
    assert result.stdout.decode() == f"{place}\n{place}/.home\nyes\n"
    assert sorted(path.name for path in folder.source.rglob("*")) == ["f", "lib"]
    assert {path.stat().st_uid for path in folder.source.rglob("*")} == {os.getuid()}
    assert folder.source.stat().st_uid == os.getuid()


async def test_what_is_missing_or_wrong_is_told(sandbox: Sandbox, folder: Mount, tmp_path: Path) -> None:
    made = await plain(sandbox, tmp_path)
    result = await sandbox.install(made, ["no-such-program"], folder)
    assert result.exit_code == 127
    assert b"no-such-program" in result.stderr
    with pytest.raises(UserError):
        await sandbox.install(made, [], folder)


async def test_time_runs_out_and_everything_is_dead(sandbox: Sandbox, folder: Mount, tmp_path: Path) -> None:
    made = await plain(sandbox, tmp_path)
    script = "echo begun; (setsid sleep 74.0625 &); sleep 74.0625"
    result = await sandbox.install(made, ["sh", "-c", script], folder, timeout_s=2)
    assert (result.exit_code, result.timed_out, result.stdout) == (124, True, b"begun\n")
    assert await all_gone("74.0625")


async def test_cancelling_leaves_nothing(sandbox: Sandbox, folder: Mount, tmp_path: Path) -> None:
    made = await plain(sandbox, tmp_path)
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(sandbox.install, made, ["sh", "-c", "(setsid sleep 75.0625 &); sleep 75.0625"], folder)
            assert await started("75.0625")
            tasks.cancel_scope.cancel()
    assert await all_gone("75.0625")
    assert list(folder.source.iterdir()) == []


async def test_nothing_is_read_from_us_and_a_flood_is_cut(sandbox: Sandbox, folder: Mount, tmp_path: Path) -> None:
    made = await plain(sandbox, tmp_path)
    script = "read x || echo no input; yes | head -c 3000000"
    result = await sandbox.install(made, ["sh", "-c", script], folder)
    assert result.stdout.startswith(b"no input\n")
    assert result.truncated
    assert len(result.stdout) < 250_000


async def test_the_workspace_and_the_rest_of_the_machine_are_not_there(folder: Mount, tmp_path: Path) -> None:
    sandbox = await back_end("bubblewrap", tmp_path / "cache")
    made = await plain(sandbox, tmp_path)
    script = "ls -A /workspace; ls /root /home/perstack/.ssh /etc/shadow; echo x >/usr/planted; id -u; env"
    result = await sandbox.install(made, ["sh", "-c", script], folder)
    assert b"planted" not in result.stdout
    names = {line.split("=")[0] for line in result.stdout.decode().splitlines() if "=" in line}
    trust = {"NODE_EXTRA_CA_CERTS", "NPM_CONFIG_CAFILE", "GIT_SSL_CAINFO"}
    trust |= {"PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE"}
    beside = trust | set(setup_variables(Network(tmp_path)))
    assert names - beside <= {
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "LANG",
        "TMPDIR",
        "PWD",
        "OLDPWD",
        "SHLVL",
        "_",
    }
    assert b"10001" in result.stdout
