"""Packages of skills: installed once with network, served without any, told exactly, and never half-made."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from perstack.core.contracts import Sandbox, Service
from perstack.core.errors import UserError
from perstack.core.sandbox import SandboxSpec, Snapshot
from perstack.infrastructure import package_tree
from perstack.infrastructure.package_tree import integrity
from perstack.infrastructure.packages import NEWEST, Launch, installed
from perstack.infrastructure.sandbox.host import Host
from perstack.infrastructure.sandbox.ownership import given_back
from tests.infrastructure.sandboxes import PYTHON_BIN, back_end, plain

pytestmark = pytest.mark.anyio

# Small packages without dependencies; the reference servers run with the tests of skills.
NPM = "semver@7.7.2"
PYPI = "wheel@0.45.1"


@pytest.fixture
async def sandbox(tmp_path: Path) -> Sandbox:
    return await back_end("bubblewrap", tmp_path / "snapshots")


async def output(sandbox: Sandbox, made: Snapshot, launch: Launch, work: Path) -> str:
    """What a program writes when it is served, to its end."""
    work.mkdir(exist_ok=True)
    found = b""
    with given_back(work), anyio.fail_after(60):
        async with sandbox.serve(made, work, launch.argv, mounts=launch.mounts, env=launch.env) as service:
            while data := await service.receive():
                found += data
            found += await errors(service)
            assert await service.wait() == 0, found
    return found.decode()


async def errors(service: Service) -> bytes:
    found = b""
    while data := await service.receive_errors():
        found += data
    return found


async def test_a_program_that_needs_nothing_is_started_as_it_is(sandbox: Sandbox, tmp_path: Path) -> None:
    launch = await installed(sandbox, Snapshot("", ""), "python3", ["-m", "x"], cache=tmp_path / "cache")
    assert launch == Launch(("python3", "-m", "x"))
    assert not (tmp_path / "cache").exists()


@pytest.mark.slow
async def test_an_npm_package_is_installed_once_and_runs_without_network(sandbox: Sandbox, tmp_path: Path) -> None:
    made, cache, log = await plain(sandbox, tmp_path), tmp_path / "cache", list[str]()
    words = ["-y", NPM, "-i", "minor", "1.2.3"]
    first = await installed(sandbox, made, "npx", words, cache=cache, log=log.append)
    assert log == [f"installing {NPM}"]
    assert await output(sandbox, made, first, tmp_path / "work") == "1.3.0\n"
    assert [(package.name, package.version) for package in first.packages] == [("semver", "7.7.2")]
    assert first.packages[0].integrity.startswith("sha512-")
    assert first.integrity == integrity(first.mounts[0].source)
    assert not first.mounts[0].writable
    assert await installed(sandbox, made, "npx", words, cache=cache, log=log.append) == first
    assert len(log) == 1
    (first.mounts[0].source / "node_modules/semver/index.js").write_text("evil")
    assert integrity(first.mounts[0].source) != first.integrity
    renewed = await installed(sandbox, made, "npx", words, cache=cache, log=log.append, version=NEWEST)
    assert (renewed, len(log)) == (first, 2)


@pytest.mark.slow
async def test_a_locked_version_is_what_is_served_and_one_that_is_there_is_not_installed_again(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    made, cache, log = await plain(sandbox, tmp_path), tmp_path / "cache", list[str]()
    words = ["-y", NPM]
    there = await installed(sandbox, made, "npx", words, cache=cache, log=log.append)
    assert await installed(sandbox, made, "npx", words, cache=cache, log=log.append, version="7.7.2") == there
    assert len(log) == 1
    older = await installed(sandbox, made, "npx", words, cache=cache, log=log.append, version="7.7.1")
    assert [package.version for package in older.packages] == ["7.7.1"]
    assert log[1:] == ["installing semver@7.7.1"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bubblewrap", "docker", "host"])
async def test_a_python_package_runs_on_every_back_end(name: str, tmp_path: Path) -> None:
    sandbox = Host((PYTHON_BIN,)) if name == "host" else await back_end(name, tmp_path / "snapshots")
    made = await plain(sandbox, tmp_path)
    launch = await installed(sandbox, made, "uvx", [PYPI, "version"], cache=tmp_path / "cache")
    assert await output(sandbox, made, launch, tmp_path / "work") == "wheel 0.45.1\n"
    assert ("wheel", "0.45.1") in [(package.name, package.version) for package in launch.packages]


@pytest.mark.slow
async def test_an_image_without_the_tool_is_told_what_it_needs(tmp_path: Path) -> None:
    sandbox = await back_end("docker", tmp_path / "snapshots")
    made = await plain(sandbox, tmp_path)
    with pytest.raises(UserError, match=r"semver.* npm \(Node.js\) is not in the sandbox") as failure:
        await installed(sandbox, made, "npx", [NPM], cache=tmp_path / "cache")
    assert "[sandbox] image" in failure.value.hint
    assert sorted(path.suffix for path in (tmp_path / "cache").iterdir()) == [".lock", ".used"]


@pytest.mark.slow
async def test_wrong_names_and_programs_are_told(sandbox: Sandbox, tmp_path: Path) -> None:
    made, cache = await plain(sandbox, tmp_path), tmp_path / "cache"
    for command, words, problem in (
        ("npx", ["semver@99.99.99"], "no such package or version"),
        ("uvx", ["wheel@99.99.99"], "no such package or version"),
        ("npx", ["-p", NPM, "no-program"], r"no program 'no-program'\. It has: semver\."),
        ("uvx", ["--from", PYPI, "no-program"], r"no program 'no-program'\."),
    ):
        with pytest.raises(UserError, match=problem):
            await installed(sandbox, made, command, words, cache=cache)
    assert {path.suffix for path in cache.iterdir()} == {".lock", ".used"}


@pytest.mark.slow
async def test_a_registry_that_cannot_be_reached_is_told(sandbox: Sandbox, tmp_path: Path) -> None:
    closed = "http://127.0.0.1:9/"
    values = {"NPM_CONFIG_REGISTRY": closed, "UV_DEFAULT_INDEX": closed, "PIP_INDEX_URL": closed}
    tries = {"NPM_CONFIG_FETCH_RETRIES": "0", "UV_HTTP_RETRIES": "0", "PIP_RETRIES": "1"}
    spec = SandboxSpec(env=tuple((values | tries).items()))
    made = await plain(sandbox, tmp_path, spec)
    for command, word in (("npx", NPM), ("uvx", PYPI)):
        with pytest.raises(UserError, match="the registry cannot be reached") as failure:
            await installed(sandbox, made, command, [word], cache=tmp_path / "cache")
        assert "NPM_CONFIG_REGISTRY" in failure.value.hint


@pytest.mark.slow
async def test_two_that_install_at_once_install_once(sandbox: Sandbox, tmp_path: Path) -> None:
    made, log, found = await plain(sandbox, tmp_path), list[str](), list[Launch]()

    async def install() -> None:
        found.append(await installed(sandbox, made, "npx", [NPM], cache=tmp_path / "cache", log=log.append))

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(install)
    assert len(log) == 1
    assert found[0] == found[1] == found[2]


@pytest.mark.slow
async def test_what_was_left_half_made_is_made_anew(sandbox: Sandbox, tmp_path: Path) -> None:
    made, cache = await plain(sandbox, tmp_path), tmp_path / "cache"
    launch = await installed(sandbox, made, "npx", [NPM], cache=cache)
    folder = launch.mounts[0].source
    record = folder.with_suffix(".json")
    record.write_text('{"program": ')
    (folder / "locked/deep").mkdir(parents=True)  # left by a killed installer
    (folder / "locked/deep").chmod(0)
    (folder / "locked").chmod(0)
    with anyio.move_on_after(0.3):
        await installed(sandbox, made, "npx", [NPM], cache=cache)
    assert (await installed(sandbox, made, "npx", [NPM], cache=cache)).integrity == launch.integrity


def test_what_packages_wrote_leads_nowhere(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "package.json").write_text('{"bin": {"secret-name": "x"}}')
    folder = tmp_path / "tree"
    (folder / "node_modules/.bin").mkdir(parents=True)
    (folder / "node_modules/evil").symlink_to(outside)
    (folder / "node_modules/.package-lock.json").symlink_to(outside / "package.json")
    mode = (outside / "package.json").stat().st_mode
    package_tree.make_readable(folder)
    assert (outside / "package.json").stat().st_mode == mode
    assert package_tree.packages(folder, "npm") == ()
    with pytest.raises(UserError) as failure:
        package_tree.program(folder, "npm", ("evil",), "")
    assert "secret-name" not in str(failure.value)
    before = integrity(folder)
    (outside / "package.json").write_text("other")
    assert integrity(folder) == before
    (folder / "node_modules/evil").unlink()
    assert integrity(folder) != before
