"""What back ends guarantee, measured; services beside a sandbox; engines that are there."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import get_args

import docker
import pytest
from docker.errors import DockerException

from perstack.api.choice import attempts, guaranteed, working_sandbox
from perstack.api.machine import surroundings
from perstack.core.capabilities import Guarantee
from perstack.core.errors import SandboxUnavailable
from perstack.core.sandbox import SandboxSpec
from perstack.definition.schema_harness import Guarantee as Words
from perstack.infrastructure.owned import owned_name
from perstack.infrastructure.sandbox.capabilities import measured
from perstack.infrastructure.sandbox.docker_container import hint_of, is_rootless
from perstack.infrastructure.sandbox.engines import Engine, addresses, choose, lacks_runtime
from perstack.infrastructure.sandbox.exhausting import exhausted
from perstack.infrastructure.sandbox.host import Host
from tests.infrastructure.gitkit import write
from tests.infrastructure.sandboxes import BACK_ENDS, back_end, plain, sh

pytestmark = pytest.mark.anyio
_SERVER = (
    "import socketserver\nclass H(socketserver.StreamRequestHandler):\n"
    "    def handle(self): self.wfile.write(b'pong')\n"
    "socketserver.TCPServer(('0.0.0.0', 5432), H).serve_forever()\n"
)
_ASK = "import socket; print(socket.create_connection(('db', 5432)).recv(9))"


@pytest.mark.parametrize("name", BACK_ENDS)
async def test_isolation_is_measured_from_inside(name: str, tmp_path: Path) -> None:
    sandbox = await back_end(name, tmp_path / "cache")
    made = await plain(sandbox, tmp_path)
    found = await measured(sandbox, made)
    assert not found.missing(["network", "non-root", "process-ids", "ipc", "no-capabilities", "seccomp", "file-size"])
    assert found.holds(Guarantee.SERVICES) is (name == "docker")
    if name == "bubblewrap":
        with pytest.raises(SandboxUnavailable, match=r"require: bubblewrap does not guarantee services"):
            await guaranteed(sandbox, made, ["services"])


async def test_the_host_guarantees_nothing(tmp_path: Path) -> None:
    sandbox = Host(cache=tmp_path)
    found = await measured(sandbox, await plain(sandbox, tmp_path))
    assert [each for each in Guarantee if found.holds(each)] == [Guarantee.SNAPSHOTS]
    assert "no isolation" in found.missing(["network"])[0]


def test_every_guarantee_can_be_required() -> None:
    assert set(get_args(Words)) == {each.value for each in Guarantee}


@pytest.mark.slow
async def test_services_are_ready_closed_and_gone_afterwards(tmp_path: Path) -> None:
    sandbox = await back_end("docker", tmp_path / "cache")
    source = tmp_path / "source"
    source.mkdir()
    health = f'{{test: ["CMD", "python3", "-c", "{_ASK.replace("db", "localhost")}"], interval: 100ms, retries: 100}}'
    write(
        source,
        {
            "compose.yaml": f"services:\n  db:\n    build: db\n    healthcheck: {health}\n",
            "db/Dockerfile": 'FROM perstack-base\nCOPY s.py /s.py\nCMD ["python3", "/s.py"]\n',
            "db/s.py": _SERVER,
        },
    )
    made = await sandbox.prepare(SandboxSpec(compose="compose.yaml", services=("db",)), source, lambda _: None)
    (tmp_path / "w").mkdir()
    client = docker.from_env()
    own: dict[str, str | list[str] | bool] = {"label": f"perstack.owner={owned_name()}"}  # others may be at work here
    before = {each.id for each in client.containers.list(all=True, filters=own)}
    async with sandbox.open(made, tmp_path / "w") as session:
        assert await sh(session, f'python3 -c "{_ASK}"') == (0, "b'pong'\n")
        assert (await sh(session, "cat /proc/net/dev"))[1].count(":") == 1
    assert not {each.id for each in client.containers.list(all=True, filters=own)} - before
    client.close()


async def test_services_cannot_run_beside_bubblewrap() -> None:
    with pytest.raises(SandboxUnavailable, match="services cannot run beside bubblewrap"):
        await working_sandbox("bubblewrap", (), spec=SandboxSpec(compose="c.yaml", services=("db",)))


def test_sockets_of_the_user_come_before_those_of_root(tmp_path: Path) -> None:
    place = tmp_path / "podman"
    place.mkdir()
    with socket.socket(socket.AF_UNIX) as own:
        own.bind(str(place / "podman.sock"))
        assert addresses({"XDG_RUNTIME_DIR": str(tmp_path)})[0] == f"unix://{place}/podman.sock"
        assert addresses({"XDG_RUNTIME_DIR": str(tmp_path), "DOCKER_HOST": "unix:///x"}) == ("unix:///x",)
    with pytest.raises(SandboxUnavailable, match=r"no Podman engine can be used \(unix:///x: "):
        choose("podman", {"DOCKER_HOST": "unix:///x"})


def test_a_runtime_is_never_replaced_by_another() -> None:
    podman = Engine("", "podman", "4.3.1", False, ("crun", "runsc"), "crun")
    assert "not with runsc" in lacks_runtime(podman, "runsc")
    assert lacks_runtime(Engine("", "docker", "28", False, ("runc", "runsc"), "runc"), "runsc") == ""
    assert "no runtime runsc" in lacks_runtime(Engine("", "docker", "28", False, ("runc",), "runc"), "runsc")


def test_a_runtime_that_takes_no_proxy_is_told_what_to_do() -> None:
    told = 'OCI runtime start failed: mounting submounts: mount submount "/run/perstack-egress.sock": invalid argument'
    assert 'setupNetwork = "none"' in hint_of(DockerException(told))
    assert "setupNetwork" not in hint_of(DockerException("no space left"))


@pytest.mark.slow
async def test_limits_are_what_they_are_when_it_comes_to_it(tmp_path: Path) -> None:
    sandbox, host = await back_end("bubblewrap", tmp_path / "cache"), Host(cache=tmp_path / "h")
    limits = {Guarantee.MEMORY, Guarantee.PROCESSES}
    seen = await measured(sandbox, await plain(sandbox, tmp_path), thorough=False)
    tried = await exhausted(sandbox, await plain(sandbox, tmp_path), limits)
    assert {each: seen.holds(each) for each in limits} == {each: tried[each].holds for each in limits}
    free = await exhausted(host, await plain(host, tmp_path), {Guarantee.PROCESSES})
    assert not free[Guarantee.PROCESSES].holds


async def test_a_runtime_has_an_engine_or_there_is_no_sandbox() -> None:
    assert attempts("auto", SandboxSpec(runtime="runsc"), SandboxSpec()) == (("docker", SandboxSpec(runtime="runsc")),)
    with pytest.raises(SandboxUnavailable, match="bubblewrap has no runsc"):
        await working_sandbox("bubblewrap", (), spec=SandboxSpec(runtime="runsc"))


def test_an_engine_without_root_is_known_by_its_own_words() -> None:
    assert is_rootless({"Rootless": True, "SecurityOptions": ["name=seccomp,profile=default"]})
    assert is_rootless({"SecurityOptions": ["name=seccomp", "name=rootless"]})
    assert not is_rootless({"Rootless": False, "SecurityOptions": None})


async def test_a_host_without_an_engine_says_where_it_looked() -> None:
    refused = pytest.raises(SandboxUnavailable, match=r"unix:///nowhere\.sock")
    with surroundings({"DOCKER_HOST": "unix:///nowhere.sock"}) as host, refused:
        await working_sandbox("docker", (), host=host)
