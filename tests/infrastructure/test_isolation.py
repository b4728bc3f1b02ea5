"""One probe in a sandbox of each back end tries what a hijacked program would try; each test judges a part of it."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from perstack.core.sandbox import Limits, Mount
from tests.infrastructure.sandboxes import BACK_ENDS, back_end, plain

pytestmark = pytest.mark.anyio

_PROBE = Path(__file__).with_name("isolation_probe.py")
Facts = dict[str, Any]


@pytest.fixture(scope="module", params=BACK_ENDS)
async def facts(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Facts:
    """What the probe found; `place` is the folder of the test's own files."""
    place = tmp_path_factory.mktemp("isolation")
    sandbox = await back_end(request.param, place / "cache")
    (place / "work").mkdir()
    (place / "results").mkdir()
    mounts = [Mount(_PROBE, "/probe.py"), Mount(place / "results", "/results", writable=True)]
    os.environ["HARNESS_SECRET"] = "never-inside"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"\0perstack-test-{os.getpid()}")
    try:
        async with sandbox.open(
            await plain(sandbox, place), place / "work", mounts=mounts, limits=Limits(tmp_mb=16, file_mb=8)
        ) as session:
            result = await session.run(["python3", "-I", "-B", "/probe.py"], timeout_s=60)
    finally:
        listener.close()
        del os.environ["HARNESS_SECRET"]
    assert result.exit_code == 0, result.text()
    found = json.loads(result.stdout)
    rootless = request.param == "docker" and found["uid"][0] == 0
    return {**found, "place": str(place), "back end": request.param, "rootless": rootless}


@pytest.mark.threat("I1", "P23")
async def test_the_user_is_nobody_who_can_become_somebody(facts: Facts) -> None:
    if facts["rootless"]:  # root inside is the user who started the engine
        assert [facts["uid_map"][0][0], int(facts["uid_map"][0][1])] == ["0", os.getuid()] != ["0", 0]
    else:
        assert facts["uid"][:3] == [10001, 10001, 10001] or 0 not in facts["uid"][:3]
        assert 0 not in facts["uid"][3]
        assert facts["setuid"] != "done"
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(facts["status"][name], 16) == 0, name
    assert facts["status"]["NoNewPrivs"] == "1"
    assert set(facts["setuid_gain"]) <= {str(facts["uid"][0])}


@pytest.mark.threat("I2")
async def test_system_calls_that_nobody_needs_are_refused(facts: Facts) -> None:
    assert facts["status"]["Seccomp"] == "2"
    # EFAULT or EINVAL would mean that the kernel had begun to do as it was told.
    open_ones = {name for name, said in facts["calls"].items() if said not in {"EPERM", "ENOSYS"}}
    assert open_ones <= ({"io_uring"} if facts["back end"] == "docker" else set())  # engines before 25 allow it
    assert facts["sockets"] == []


async def test_nothing_of_the_machine_can_be_changed_or_told_through_proc_and_sys(facts: Facts) -> None:
    assert facts["proc_writable"] == []
    assert facts["proc_private"] == []
    assert facts["sys_writable"] == []
    assert not {"mem", "kmem", "vda", "sda", "kvm", "fuse", "loop-control", "net", "port"} & set(facts["dev"])
    assert set(facts["devices"]) <= {"EPERM", "EACCES"}


@pytest.mark.threat("I3")
async def test_only_the_workspace_and_what_was_given_come_from_the_machine(facts: Facts) -> None:
    place = facts["place"]
    writable = {mount["at"] for mount in facts["mounts"] if mount["options"].startswith("rw")}
    harmless = {"/proc", "/dev/pts", "/dev/mqueue", "/sys/fs/cgroup", "/dev"}
    devices = {f"/dev/{name}" for name in ("null", "zero", "full", "random", "urandom", "tty", "console")}
    masked = {at for at in writable if at.startswith("/proc/")}
    assert writable - harmless - devices - masked == {"/workspace", "/results", "/tmp", "/home/perstack", "/dev/shm"}
    disk = {m["at"]: m["root"] for m in facts["mounts"] if m["at"] != "/" and _is_of_the_machine(m)}
    ours = {at: root for at, root in disk.items() if root.startswith(_in_its_file_system(place))}
    assert set(ours) == {"/workspace", "/results"}
    others = {at for at, root in disk.items() if at not in ours}
    if "/etc" in others:  # never the machine's own, but the folder that Perstack filled
        assert Path(disk["/etc"]).name.startswith("perstack-etc.")
        others.remove("/etc")
    assert all(at.startswith(_SYSTEM) or at == "/probe.py" for at in others), others
    assert not any(
        word in json.dumps(facts["mounts"]) for word in ("docker.sock", "containerd.sock", ".ssh", ".docker")
    )


_IN_MEMORY = {"tmpfs", "proc", "sysfs", "devpts", "mqueue", "devtmpfs", "cgroup", "cgroup2"}


def _is_of_the_machine(mount: Mapping[str, str]) -> bool:
    """A part of a file system: of one in memory too, where tests may lie; the engine masks some of /proc that way."""
    part = mount["kind"] == "tmpfs" and mount["root"] != "/" and not mount["at"].startswith(("/proc/", "/dev/"))
    return part or mount["kind"] not in _IN_MEMORY


def _in_its_file_system(place: str) -> str:
    top = next(parent for parent in Path(place).parents if parent.is_mount())
    return f"/{Path(place).relative_to(top)}"


# The last are parts of this interpreter, which lies outside the system folders, and our control folder.
_SYSTEM = ("/usr", "/lib", "/bin", "/sbin", "/etc/", "/opt", "/nix", "/run/perstack", sys.prefix, sys.base_prefix)


@pytest.mark.threat("I4")
async def test_every_namespace_that_can_be_is_its_own(facts: Facts) -> None:
    ours = {name: str(Path(f"/proc/self/ns/{name}").readlink()) for name in facts["namespaces"]}
    same = {name for name, word in facts["namespaces"].items() if ours[name] == word}
    assert same <= ({"user"} if facts["back end"] == "docker" else set())
    assert len(facts["processes"]) < 12
    assert facts["abstract"] == []
    assert facts["hostname"] == "sandbox"


@pytest.mark.threat("R1", "P22")
async def test_nothing_of_the_harness_is_in_any_environment_or_descriptor(facts: Facts) -> None:
    everything = json.dumps([facts["environ"], facts["everybodys_environ"]])
    for word in ("HARNESS_SECRET", "never-inside", "PYTEST", "VIRTUAL_ENV", os.environ.get("SSH_AUTH_SOCK") or "\0"):
        assert word not in everything, word
    links = {link for links in facts["fds"].values() for link in links if not link.startswith(("pipe:", "anon_inode:"))}
    assert links <= {"/dev/null"}, facts["fds"]


async def test_what_is_written_is_bounded(facts: Facts) -> None:
    sizes = facts["sizes"]
    for place in ("/tmp", "/home/perstack"):
        assert sizes[place]["bytes"] == 16 * 2**20, place
    assert sizes["/dev/shm"]["bytes"] <= 64 * 2**20
    assert facts["limits"]["CORE"] == [0, 0]
    assert facts["limits"]["FSIZE"] == [8 * 2**20, 8 * 2**20]
    assert facts["limits"]["NOFILE"] == [4096, 4096]
    assert facts["raised"] != "done"
