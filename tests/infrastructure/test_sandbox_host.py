"""The host back end, and what bubblewrap sees of a machine: promises without isolation, and what is kept out."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from perstack.core.errors import ToolError
from perstack.core.sandbox import Mount, Snapshot
from perstack.infrastructure.sandbox.bubblewrap_etc import fill_etc
from perstack.infrastructure.sandbox.host import Host
from perstack.infrastructure.sandbox.toolchain import system_binds, tool_binds
from tests.infrastructure.sandboxes import all_gone, sh

pytestmark = pytest.mark.anyio


@pytest.mark.threat("P22", on="host")
async def test_the_host_gives_a_clean_environment_and_a_home_of_its_own(tmp_path: Path) -> None:
    async with Host().open(Snapshot("", "", env=(("A", "b"),)), tmp_path) as session:
        code, output = await sh(session, 'echo "$A $PYTEST_CURRENT_TEST"; echo x >"$HOME/f"; pwd; echo "$HOME"')
        assert code == 0
        first, place, home = output.splitlines()
        assert (first, place) == ("b ", str(tmp_path))
        assert session.inside(Mount(tmp_path / "m", "/elsewhere")) == str(tmp_path / "m")
        with pytest.raises(ToolError, match="outside the workspace"):
            await session.run(["true"], cwd="..")
    assert not await anyio.Path(home).exists()


@pytest.mark.threat("I9", on="host")
@pytest.mark.slow
async def test_the_host_kills_daemons_after_each_command_and_at_a_time_out(tmp_path: Path) -> None:
    async with Host().open(Snapshot("", ""), tmp_path) as session:
        assert await sh(session, "setsid sleep 67.0625 >/dev/null 2>&1 & echo done") == (0, "done\n")
        assert await all_gone("67.0625")
        result = await session.run(["sh", "-c", "(setsid sleep 68.0625 &); sleep 60"], timeout_s=0.5)
        assert result.timed_out
        assert await all_gone("68.0625")


def test_a_virtual_environment_brings_its_base_interpreter_and_no_home(tmp_path: Path) -> None:
    base = tmp_path / "home/tools/python"
    for folder in ("bin", "lib", "share/keyrings"):
        (base / folder).mkdir(parents=True)
    (base / "bin/python3.11").write_text("")
    (base / "bin/python3").symlink_to("python3.11")
    (tmp_path / "home/.ssh").mkdir()
    venv = tmp_path / "project/.venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "lib").mkdir()
    (venv / "pyvenv.cfg").write_text("")
    (venv / "bin/python").symlink_to(base / "bin/python3")
    asked = [venv / "bin", Path("/usr/bin"), tmp_path / "missing"]
    assert tool_binds(asked)[2::3] == sorted(map(str, (venv, base / "bin", base / "lib")))
    (venv / ".env").write_text("KEY=secret")  # a project may be its own environment
    seen = tool_binds(asked)[2::3]
    assert seen == sorted(
        str(place) for place in (venv / "bin", venv / "lib", venv / "pyvenv.cfg", base / "bin", base / "lib")
    )


def test_the_systems_own_secrets_are_not_among_the_binds(tmp_path: Path) -> None:
    places = [*system_binds(), *fill_etc(tmp_path)[4::3]]
    copied = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")}
    assert not {"shadow", "ssl/private", "hostname", "machine-id"} & copied
    assert not {"/etc", "/etc/shadow", "/etc/ssl", "/etc/ssl/private", "/root", "/home", "/var", "/run"} & set(places)


def test_small_folders_of_etc_are_copied_large_ones_are_bound_and_unreadable_ones_left_out(tmp_path: Path) -> None:
    machine, folder = tmp_path / "machine", tmp_path / "made"
    for name, count in (("fonts/conf.d", 2), ("alternatives", 81)):
        (machine / name).mkdir(parents=True)
        for number in range(count):
            (machine / name / f"{number}").symlink_to("/usr/bin/true")
    (machine / "shadow").write_text("root:secret")
    (machine / "services").write_text("http 80/tcp")
    (machine / "fonts/own").write_text("nobody else's")
    (machine / "fonts/own").chmod(0o600)
    folder.mkdir()
    assert fill_etc(folder, machine)[3:] == ["--ro-bind", str(machine / "alternatives"), "/etc/alternatives"]
    assert {path.name for path in folder.iterdir()} == {"fonts", "alternatives", "services", "passwd", "group", "hosts"}
    assert (folder / "fonts/conf.d/1").readlink() == Path("/usr/bin/true")
    assert (folder / "fonts/own").stat().st_mode & 0o777 == 0o600
