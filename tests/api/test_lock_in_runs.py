"""A run with a lock file: the first model call does not wait for servers, and what changed is told."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import perstack
from perstack.api.install import collect, write
from perstack.api.machine import surroundings
from perstack.testing import Collect, done, reply
from tests.api.kit import changed, options

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

SLOW_S = 1.5
ENV = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
# The server that the file `which` names, after some time.
DEFINITION = f"""
[experts."clock"]
instruction = "Tell the time."
[experts."clock".skills."time"]
type = "mcpStdioSkill"
command = "sh"
args = ["-c", "sleep {SLOW_S}; exec $(cat which)"]
"""


@pytest.fixture(scope="module")
async def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a definition and its lock file, written by asking the real server."""
    folder = tmp_path_factory.mktemp("written")
    (folder / "perstack.toml").write_text(DEFINITION)
    (folder / "which").write_text("mcp-server-time --local-timezone UTC\n")
    with surroundings(ENV, sandbox="host", storage=folder / "jobs") as host:
        write(await collect(host, folder / "perstack.toml", lambda _: None))
    return folder


@pytest.fixture
def project(written: Path, tmp_path: Path) -> Path:
    """A copy of it: a lock file belongs to no place."""
    for name in ("perstack.toml", "perstack.lock", "which"):
        shutil.copy(written / name, tmp_path / name)
    return tmp_path


def first_call_ms(seen: Collect) -> int:
    """Milliseconds from `initializeRuntime` to `startGeneration`."""
    return seen.first("startGeneration").timestamp - seen.first("initializeRuntime").timestamp


def told(seen: Collect) -> str:
    return "\n".join(str(event.payload.get("message", "")) for event in seen.events)


async def test_the_first_model_call_does_not_wait_for_a_slow_server_which_still_does_its_work(project: Path) -> None:
    seen = Collect()
    call = reply(calls=[("get_current_time", {"timezone": "UTC"})])
    given = options(project, call, done("told"), config=project / "perstack.toml", on_event=seen)
    found = await perstack.run("clock", "What time is it?", **given)
    assert found.ok, found.error
    assert first_call_ms(seen) < 100
    result = str(seen.first("resolveToolResults").payload)
    assert "UTC" in result
    assert "Error" not in result
    order = seen.types("startGeneration", "skillStarting", "resolveToolResults")
    assert order[:2] == ["startGeneration", "skillStarting"]
    assert "stale" not in told(seen)


async def test_without_a_lock_file_it_waits(project: Path) -> None:
    (project / "perstack.lock").unlink()
    seen = Collect()
    given = options(project, done(), config=project / "perstack.toml", on_event=seen)
    assert (await perstack.run("clock", "x", **given)).ok
    assert first_call_ms(seen) >= SLOW_S * 1000


async def test_a_skill_that_changed_since_is_told_and_asked_itself(project: Path) -> None:
    changed_text = DEFINITION.replace("exec $", "exec  $")
    (project / "perstack.toml").write_text(changed_text)
    seen = Collect()
    given = options(project, done(), config=project / "perstack.toml", on_event=seen)
    assert (await perstack.run("clock", "x", **given)).ok
    assert 'skill "time" of expert "clock" changed since perstack.lock; run `perstack install`' in told(seen)
    assert first_call_ms(seen) >= SLOW_S * 1000


async def test_a_server_that_lists_other_tools_than_the_lock_is_told(project: Path) -> None:
    (project / "which").write_text("mcp-server-git\n")
    seen = Collect()
    call = reply(calls=[("get_current_time", {"timezone": "UTC"})])
    given = options(project, call, done(), config=project / "perstack.toml", on_event=seen)
    assert (await perstack.run("clock", "x", **given)).ok
    assert "perstack.lock is stale" in told(seen)
    assert "get_current_time is gone" in told(seen)


async def test_a_damaged_lock_file_is_refused_with_its_line_before_a_model_is_asked(project: Path) -> None:
    lock = project / "perstack.lock"
    lock.write_text(lock.read_text().replace('command = "sh"', 'command = "bash"'))
    given = options(project, done(), config=project / "perstack.toml")
    with pytest.raises(perstack.UserError, match=r"perstack\.lock: damaged") as caught:
        await perstack.run("clock", "x", **given)
    assert "perstack install" in caught.value.hint


async def test_text_or_python_configurations_have_no_lock_file(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    (project / "perstack.lock").write_text("nonsense")
    plain = '[experts."a"]\ninstruction = "x"\n'
    assert (await perstack.run("a", "x", **options(project, done(), config=plain))).ok
    assert (await perstack.run("a", "x", **changed(options(project, done()), config=f"{plain}\n"))).ok
