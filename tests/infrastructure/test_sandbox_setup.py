"""The set-up phase: its products, its cache, its failures; and cleaning up after a killed harness."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import anyio
import docker
import pytest
from docker.errors import DockerException, ImageNotFound
from docker.models.containers import Container

from perstack.core.contracts import Sandbox
from perstack.core.errors import UserError
from perstack.core.sandbox import Limits, SandboxSpec, SetupNetwork
from perstack.infrastructure.owned import owned_name
from perstack.infrastructure.sandbox.docker import Docker
from perstack.infrastructure.sandbox.docker_build import is_abandoned
from perstack.infrastructure.sandbox.docker_container import reap
from perstack.infrastructure.sandbox.docker_image import BASE_IMAGE, snapshots
from perstack.infrastructure.sandbox.docker_leftovers import remove_leftovers, remove_orphans
from perstack.infrastructure.sandbox.host import Host
from perstack.infrastructure.sandbox.snapshot_store import Keeping
from tests.infrastructure.gitkit import write
from tests.infrastructure.sandboxes import BACK_ENDS, all_gone, back_end, plain, sh

pytestmark = pytest.mark.anyio

SETUP = (
    "mkdir -p .venv/bin && ln -s /usr/bin/env .venv/bin/env && echo lib >.venv/lib.txt",
    "echo made >pkg/built.so && echo changed >pkg/a.py",
    'mkdir -p "$HOME/.local/bin" && printf "#!/bin/sh\\necho tool\\n" >"$HOME/.local/bin/tool"',
    'chmod +x "$HOME/.local/bin/tool"',
    'test -n "$TOKEN_NAME"',
)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "source"
    root.mkdir()
    write(root, {"pkg/a.py": "x = 1\n", "requirements.txt": "one\n"})
    return root


@pytest.fixture(params=[*BACK_ENDS, "host"])
async def sandbox(request: pytest.FixtureRequest, tmp_path: Path) -> Sandbox:
    if request.param == "host":
        return Host(cache=tmp_path / "cache")
    return await back_end(request.param, tmp_path / "cache")


async def test_what_set_up_made_is_in_every_session(sandbox: Sandbox, source: Path, tmp_path: Path) -> None:
    spec = SandboxSpec(setup=SETUP, env=(("TOKEN_NAME", "x"),))
    log: list[str] = []
    made = await sandbox.prepare(spec, source, log.append)
    assert log[-1] == f"set-up: {SETUP[-1]}"
    for number in (1, 2):
        work = tmp_path / f"work{number}"
        work.mkdir()
        write(work, {"pkg/a.py": "x = 1\n", "requirements.txt": "one\n"})
        async with sandbox.open(made, work) as session:
            code, output = await sh(session, "cat .venv/lib.txt pkg/built.so pkg/a.py && tool && .venv/bin/env true")
            assert (code, output) == (0, "lib\nmade\nx = 1\ntool\n")
            assert (await sh(session, 'echo x >"$HOME/new" && echo y >new'))[0] == 0
        assert sorted(path.name for path in work.rglob("*")) == ["a.py", "new", "pkg", "requirements.txt"]
        assert (work / "new").read_text() == "y\n"
    assert (source / "pkg/a.py").read_text() == "x = 1\n"


@pytest.mark.threat("I3")
@pytest.mark.parametrize("name", BACK_ENDS)
async def test_a_link_that_set_up_leaves_shows_nothing_of_this_machine(name: str, source: Path, tmp_path: Path) -> None:
    sandbox = await back_end(name, tmp_path / "cache")
    outside, work = tmp_path / "outside", tmp_path / "work"
    outside.mkdir()
    (outside / "key").write_text("a key of this machine")
    (outside / "key").chmod(0o600)
    work.mkdir()
    links = f'ln -s {outside} folder; ln -s {outside}/key file; ln -s {outside}/key "$HOME/file"; '
    links += "mkdir -p out/bin; echo made >out/bin/x; ln -s out/bin own"
    made = await sandbox.prepare(SandboxSpec(setup=(links,)), source, lambda _: None)
    async with sandbox.open(made, work) as session:
        _, output = await sh(session, 'cat folder/key file "$HOME/file"')
        assert await sh(session, "cat own/x") == (0, "made\n")
    assert "a key of this machine" not in output
    assert output.count("No such file") == 3
    assert (outside / "key").stat().st_mode & 0o777 == 0o600
    assert list(work.iterdir()) == []


async def test_served_programs_have_it_too_and_take_it_from_nobody(
    sandbox: Sandbox, source: Path, tmp_path: Path
) -> None:
    made = await sandbox.prepare(SandboxSpec(setup=SETUP, env=(("TOKEN_NAME", "x"),)), source, lambda _: None)
    work = tmp_path / "work"
    work.mkdir()
    async with sandbox.open(made, work) as session:
        for _ in range(2):
            async with sandbox.serve(made, work, ["sh", "-c", "cat .venv/lib.txt; tool; echo $TOKEN_NAME"]) as service:
                output = b""
                with anyio.fail_after(30):
                    while data := await service.receive():
                        output += data
                    assert await service.wait() == 0
            assert output == b"lib\ntool\nx\n"
            assert await sh(session, "cat .venv/lib.txt") == (0, "lib\n")
    assert [path.name for path in work.rglob("*") if path.name != "pkg"] == []


async def test_set_up_runs_again_only_when_what_it_depends_on_changes(sandbox: Sandbox, source: Path) -> None:
    spec = SandboxSpec(setup=("true",))
    first = await sandbox.prepare(spec, source, lambda _: None)
    write(source, {"pkg/a.py": "x = 2\n"})
    log: list[str] = []
    assert await sandbox.prepare(spec, source, log.append) == first
    assert log[-1] == "set-up is cached"
    write(source, {"requirements.txt": "two\n"})
    assert (await sandbox.prepare(spec, source, log.append)).digest != first.digest
    assert log[-1] == "set-up: true"


async def test_a_failing_command_is_named_with_its_last_words(sandbox: Sandbox, source: Path) -> None:
    spec = SandboxSpec(setup=("echo fine", "echo no such package >&2; exit 3"))
    with pytest.raises(UserError, match=r"exit 3` exited with 3\n  no such package"):
        await sandbox.prepare(spec, source, lambda _: None)


@pytest.mark.threat("I7")
@pytest.mark.parametrize("name", BACK_ENDS)
async def test_set_up_that_fills_the_disk_is_stopped_by_name_and_nothing_of_it_is_kept(
    name: str, source: Path, tmp_path: Path
) -> None:
    sandbox = await back_end(name, tmp_path / "cache")
    bomb = "exec 7>$HOME/bomb; rm $HOME/bomb; dd if=/dev/urandom bs=1M count=500 >&7 2>/dev/null; sleep 60"
    at_once = "fallocate -l 200M $HOME/taken"  # the engine's disk is measured after each command in any case
    for command in (bomb, at_once) if name == "docker" else (bomb,):
        spec = SandboxSpec(setup=("echo fine", command), limits=Limits(disk_mb=40, disk_files=400))
        with pytest.raises(UserError, match="was stopped at the sandbox's disk limit") as caught:
            await sandbox.prepare(spec, source, lambda _: None)
        assert "diskMb" in str(caught.value)
    assert [path.name for path in (tmp_path / "cache").iterdir() if path.suffix != ".lock"] == []


@pytest.mark.threat("I6")
@pytest.mark.parametrize("name", BACK_ENDS)
async def test_set_up_that_takes_too_much_memory_is_stopped_by_name(name: str, source: Path, tmp_path: Path) -> None:
    sandbox = await back_end(name, tmp_path / "cache")
    starved = SandboxSpec(setup=("head -c 200M /dev/zero | tail >/dev/null",), limits=Limits(memory_mb=50))
    with pytest.raises(UserError, match="memory"):
        await sandbox.prepare(starved, source, lambda _: None)


async def test_set_up_that_never_ends_is_stopped(sandbox: Sandbox, source: Path) -> None:
    spec = SandboxSpec(setup=("echo waiting; sleep 66.0625",), setup_timeout_s=1)
    with pytest.raises(UserError, match=r"ran out of time\n  waiting"):
        await sandbox.prepare(spec, source, lambda _: None)
    assert await all_gone("66.0625")


@pytest.mark.slow
async def test_an_image_is_built_from_a_dockerfile(source: Path, tmp_path: Path) -> None:
    sandbox = await back_end("docker", tmp_path / "cache")
    write(source, {"ci/Dockerfile": f"FROM {BASE_IMAGE}\nENV BUILT=yes\nRUN echo built >/built\n"})
    made = await sandbox.prepare(SandboxSpec(build="ci/Dockerfile"), source, lambda _: None)
    (tmp_path / "w").mkdir()
    async with sandbox.open(made, tmp_path / "w") as session:
        assert await sh(session, "cat /built; echo $BUILT") == (0, "built\nyes\n")
    write(source, {"ci/Dockerfile": f"FROM {BASE_IMAGE}\nENV STEP={tmp_path}\nRUN echo oh no; exit 9\n"})
    with pytest.raises(UserError, match="does not build"):
        await sandbox.prepare(SandboxSpec(build="ci/Dockerfile"), source, lambda _: None)
    assert finished_steps(f"STEP={tmp_path}") == [True]
    with pytest.raises(UserError, match=r"no \.\./outside"):
        await sandbox.prepare(SandboxSpec(build="../outside"), source, lambda _: None)


@pytest.mark.slow
async def test_a_build_without_a_set_up_network_has_none_and_fetches_nothing(source: Path, tmp_path: Path) -> None:
    sandbox = await back_end("docker", tmp_path / "cache")
    closed = SandboxSpec(build="Dockerfile", network=SetupNetwork(open=False))
    write(source, {"Dockerfile": f"FROM {BASE_IMAGE} AS one\nRUN ls /sys/class/net >/seen # {tmp_path}\nFROM one\n"})
    made = await sandbox.prepare(closed, source, lambda _: None)
    (tmp_path / "w").mkdir()
    async with sandbox.open(made, tmp_path / "w") as session:
        assert await sh(session, "cat /seen") == (0, "lo\n")
    for line, named in (
        ("FROM localhost:1/no-such:1", "localhost:1/no-such:1"),
        (f"FROM {BASE_IMAGE}\nCOPY --from=localhost:1/other /a /b", "localhost:1/other"),
        (f"FROM {BASE_IMAGE}\nADD \\\n  http://localhost:1/x /x", "http://localhost:1/x"),
    ):
        write(source, {"Dockerfile": f"{line}\n"})
        with pytest.raises(UserError, match=f"Dockerfile needs {named}, and setupNetwork"):
            await sandbox.prepare(closed, source, lambda _: None)
    with pytest.raises(UserError, match="keeps it from being pulled"):
        await sandbox.prepare(replace(closed, build="", image="localhost:1/no-such:1"), source, lambda _: None)


@pytest.mark.slow
async def test_containers_of_a_killed_harness_are_taken_away(tmp_path: Path) -> None:
    sandbox = await back_end("docker", tmp_path / "cache")
    (tmp_path / "w").mkdir()
    client = docker.from_env()
    try:
        labels = {"perstack": "session", "perstack.owner": _dead()}
        orphan = client.containers.create(BASE_IMAGE, "true", labels=labels)
        async with sandbox.open(await plain(sandbox, tmp_path), tmp_path / "w") as session:
            reap(client)
            assert orphan.id not in {c.id for c in client.containers.list(all=True)}
            assert await sh(session, "echo alive") == (0, "alive\n")
    finally:
        client.close()


_HARNESS = """
import sys
from pathlib import Path
import anyio
from perstack.core.sandbox import SandboxSpec
from perstack.infrastructure.sandbox.docker import Docker

async def main():
    sandbox, base = Docker(cache=Path(sys.argv[1], "cache")), Path(sys.argv[1])
    spec = SandboxSpec(compose="compose.yaml", services=("db",))
    made = await sandbox.prepare(spec, base / "source", lambda _: None)
    async with sandbox.open(made, base / "w"):
        print("open", end="", flush=True)
        await anyio.sleep_forever()

anyio.run(main)
"""


@pytest.mark.slow
async def test_services_go_with_a_killed_harness_and_old_builds_with_prune(source: Path, tmp_path: Path) -> None:
    await back_end("docker", tmp_path / "cache")
    write(source, {
        "compose.yaml": "services:\n  db:\n    build: db\n",
        "db/Dockerfile": f'FROM {BASE_IMAGE}\nVOLUME /data\nRUN echo {tmp_path}\nCMD ["sleep", "1000"]\n',
    })  # fmt: skip
    (tmp_path / "w").mkdir()
    words = [sys.executable, "-c", _HARNESS, str(tmp_path)]
    async with await anyio.open_process(words, env=dict(os.environ), stderr=None) as harness:
        assert harness.stdout
        assert await harness.stdout.receive() == b"open"
        harness.kill()
    client = docker.from_env()
    try:
        left = [
            c for c in client.containers.list(all=True, ignore_removed=True) if f".{harness.pid}." in f".{_owner(c)}"
        ]
        volumes = {mount["Name"] for c in left for mount in c.attrs["Mounts"] if mount["Type"] == "volume"}
        built = {c.attrs["Image"] for c in left} - {client.images.get(BASE_IMAGE).id}
        assert (len(left), len(volumes), len(built)) == (2, 0, 1)
        remove_leftovers(Keeping(max_age_s=1e9))
        assert not {c.id for c in left} & {c.id for c in client.containers.list(all=True, ignore_removed=True)}
        nothing, later = Keeping(max_age_s=0), time.time() + 4000
        assert not built & {one.image for one in remove_leftovers(nothing, dry_run=True)}  # built within the hour
        assert built <= {one.image for one in remove_leftovers(nothing, now=later, dry_run=True)}
        assert not built & {one.image for one in remove_leftovers(Keeping(), now=later, dry_run=True)}
        for image in built:
            client.images.remove(client.images.get(image).tags[0])
    finally:
        client.close()


@pytest.mark.threat("I7", on="docker")
@pytest.mark.slow
async def test_volumes_of_images_are_bounded_and_services_count_for_the_disk(source: Path, tmp_path: Path) -> None:
    sandbox = await back_end("docker", tmp_path / "cache")
    bomb = "dd if=/dev/zero of=/data/x bs=1M count=20; sleep 1; dd if=/dev/urandom of=/big bs=1M count=900; sleep 100"
    write(source, {
        "compose.yaml": "services:\n  db:\n    build: .\n    command: " + json.dumps(["sh", "-c", bomb]) + "\n",
        "Dockerfile": f"FROM {BASE_IMAGE}\nVOLUME /data /home/perstack\n",
    })  # fmt: skip
    (tmp_path / "w").mkdir()
    limits = Limits(disk_mb=40, tmp_mb=8)
    fill = "dd if=/dev/zero of=/data/x bs=1M count=20"
    spec = SandboxSpec(build="Dockerfile", compose="compose.yaml", services=("db",), limits=limits)
    client = docker.from_env()
    try:
        before = {volume.id for volume in client.volumes.list()}
        await sandbox.prepare(replace(spec, setup=(f"! {fill}",)), source, lambda _: None)
        made = await sandbox.prepare(spec, source, lambda _: None)
        async with sandbox.open(made, tmp_path / "w") as session:
            code, output = await sh(session, fill)
            assert (code, "No space left" in output) == (1, True), output
            result = await session.run(["sleep", "30"])
            assert (result.exit_code, result.limit) == (153, "disk")
            assert {volume.id for volume in client.volumes.list()} <= before
    finally:
        client.close()


def _owner(container: Container) -> str:
    return str(container.labels.get("perstack.owner", "")).removeprefix("perstack-")


@pytest.mark.slow
async def test_caches_have_images_of_their_own_and_what_has_lost_its_folder_goes(source: Path, tmp_path: Path) -> None:
    spec = SandboxSpec(setup=("true",))
    client = docker.from_env()
    try:
        made = []
        for name in ("one", "other"):
            sandbox = await back_end("docker", tmp_path / name)
            made.append(json.loads((await sandbox.prepare(spec, source, lambda _: None)).reference))
        first, second = made
        assert first["image"] != second["image"]
        shutil.rmtree(first["products"])
        sandbox = await back_end("docker", tmp_path / "one")
        again = json.loads((await sandbox.prepare(spec, source, lambda _: None)).reference)
        with pytest.raises(ImageNotFound):  # replaced, not left without a name
            client.images.get(first["image"])
        ours = {again["image"], second["image"]}
        shutil.rmtree(tmp_path / "one")
        assert not ours & {one.image for one in remove_orphans(client, dry_run=True)}  # of a process that lives
        words = f"LABEL perstack=snapshot perstack.folder={again['products']} perstack.owner={_dead()}"
        gone = client.containers.create(again["image"], "true")
        image = gone.commit(repository="perstack-snapshot", tag="of-the-dead", changes=[words])
        gone.remove()
        remove_orphans(client)
        with pytest.raises(ImageNotFound):
            client.images.get(str(image.id))
        assert not ours - {str(client.images.get(each).id) for each in ours}
    finally:
        client.close()


def _dead() -> str:
    """The name of a process that is no more."""
    return "perstack-999999999.1." + owned_name().rpartition(".")[2]


@pytest.mark.threat("F2", on="docker")
@pytest.mark.slow
async def test_an_image_that_cannot_be_had_is_a_user_error(source: Path, tmp_path: Path) -> None:
    assert isinstance(await back_end("docker", tmp_path / "cache"), Docker)
    with pytest.raises(UserError, match=r"image localhost:1/no-such:1 cannot be had"):
        await Docker(cache=tmp_path).prepare(SandboxSpec(image="localhost:1/no-such:1"), source, lambda _: None)


def finished_steps(value: str) -> list[bool]:
    """Of the images with this value in their environment: whether `prune` finds them when they are old."""
    client = docker.from_env()
    try:
        found = [image for image in client.images.list() if value in (image.attrs["Config"].get("Env") or ())]
        old = remove_leftovers(Keeping(max_age_s=0), now=time.time() + 4000, dry_run=True)
        told = [image.id in {one.image for one in old} for image in found]
        for image in found:
            client.images.remove(str(image.id), force=True)
        return told
    finally:
        client.close()


async def test_a_build_that_was_killed_is_told_by_its_name() -> None:
    assert is_abandoned(f"perstack-build:perstack-making.{_dead().removeprefix('perstack-')}-abc")
    assert not is_abandoned(f"perstack-build:{owned_name('making')}-abc")
    assert not is_abandoned("perstack-build:0123456789ab")


def kept_images() -> set[str]:
    """Tags of snapshot images; none where no engine answers."""
    try:
        client = docker.from_env(timeout=5)
    except DockerException:
        return set()
    try:
        return set(snapshots(client))
    finally:
        client.close()


@pytest.fixture(autouse=True, scope="module")
def tidy() -> Iterator[None]:
    """Take the images of these tests away again."""
    before = kept_images()
    yield
    if left := kept_images() - before:
        client = docker.from_env()
        for tag in left:
            client.images.remove(tag, force=True)
        client.close()
