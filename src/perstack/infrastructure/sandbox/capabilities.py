"""What a sandbox guarantees, seen from inside one that was started for it. Judges nothing that a change brought.

A shell script reads what the kernel says of its own process; the same facts of this process are beside it, and the
limits of its control groups as they are seen from outside. Where a fact stays hidden, the guarantee counts as missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import anyio.to_thread

from perstack.core.capabilities import Capabilities, Fact, Guarantee, Known
from perstack.core.contracts import Sandbox, Session
from perstack.core.errors import SandboxUnavailable
from perstack.core.sandbox import Limits, Snapshot
from perstack.infrastructure.owned import owned_folder
from perstack.infrastructure.sandbox.exhausting import exhausted
from perstack.infrastructure.sandbox.outside import group_limits

_SCRIPT = r"""
for n in net pid ipc user; do echo "ns.$n=$(readlink /proc/self/ns/$n)"; done
while IFS= read -r line; do case $line in
  Uid:*|NoNewPrivs:*|Seccomp:*|CapEff:*|CapBnd:*) set -- $line; echo "status.${1%:}=$2" ;; esac; done </proc/self/status
echo "map=$(cat /proc/self/uid_map 2>/dev/null)" | head -n 1
echo "interfaces=$(sed -n 's/^ *\([^:]*\):.*/\1/p' /proc/net/dev | tr '\n' ' ')"
echo "root=$(sed -n 's/^[0-9]* [0-9]* [^ ]* [^ ]* \/ \([a-z]*\).*/\1/p' /proc/self/mountinfo | tail -n 1)"
echo "fsize=$(ulimit -f)"
for d in /sys/fs/cgroup /sys/fs/cgroup/memory /sys/fs/cgroup/pids /sys/fs/cgroup/cpu /sys/fs/cgroup/cpu,cpuacct; do
  for f in memory.max memory.limit_in_bytes pids.max cpu.max cpu.cfs_quota_us; do
    [ -r $d/$f ] && echo "group.$f=$(cat $d/$f)"; done; done
echo "kernel=$(cat /proc/version 2>/dev/null)"
echo "tmp=$(df -k /tmp 2>/dev/null | tail -n 1 | tr -s ' ' | cut -d' ' -f2)"
"""
_PROBE_S = 20.0
_TRIED = (Guarantee.MEMORY, Guarantee.PROCESSES, Guarantee.CPU)
_HOST = "`host` gives no isolation"


@dataclass(frozen=True, slots=True)
class _Seen:
    values: Mapping[str, str]
    limits: Limits

    @property
    def kernel(self) -> str:
        """What the inside says of its kernel, where that is not this machine's (gVisor, a virtual machine)."""
        told = self.values.get("kernel", "")
        return "" if told == Path("/proc/version").read_text("utf-8").strip() else told

    def other(self, kind: str) -> Fact:
        """A namespace of its own: its name differs from this process's. Another kernel shares none."""
        if kind in _OF_A_KERNEL and self.kernel:
            return _fact(True, f"a kernel of its own: {self.kernel[:60]}")
        inside = self.values.get(f"ns.{kind}", "")
        apart = bool(inside) and inside != str(Path(f"/proc/self/ns/{kind}").readlink())
        return _fact(apart, "a namespace of its own" if apart else "shares this machine's")

    def status(self, name: str, wanted: str) -> Fact:
        value = self.values.get(f"status.{name}", "")
        return _fact(value == wanted, f"{name} {value or 'unknown'}")

    def group(self, *names: str, most: float) -> Fact:
        """A limit of the control group that is no larger than asked for."""
        for name in names:
            value = self.values.get(f"group.{name}", "").split(" ")[0]
            if value.lstrip("-").isdecimal():
                held = 0 < int(value) <= most
                return _fact(held, f"{name} is {value}" if held else f"{name} is {value}, which bounds nothing")
        return _fact(False, "no limit of a control group is seen")


async def measured(sandbox: Sandbox, made: Snapshot, *, engine: str = "", thorough: bool = True) -> Capabilities:
    """Start one sandbox over an empty folder and look.

    `thorough`: limits that cannot be seen are tried in further sandboxes, with small ones; it takes seconds.

    Raises: SandboxUnavailable where none starts.
    """
    if sandbox.name == "host":
        return Capabilities("host", "", {each: _fact(False, _HOST) for each in Guarantee} | _host_facts())
    with owned_folder("look") as folder:
        async with sandbox.open(made, folder) as session:
            facts = await look(session, sandbox.name, made.limits)
    unseen = {each for each in _TRIED if thorough and not facts[each].holds}
    tried = await exhausted(sandbox, made, unseen) if unseen else {}
    return Capabilities(sandbox.name, engine, {**facts, **tried})


async def look(session: Session, back_end: str, limits: Limits) -> dict[Guarantee, Fact]:
    """The guarantees as seen from inside an open session. Raises: SandboxUnavailable where nothing can be read."""
    told = await session.run(["/bin/sh", "-c", _SCRIPT], timeout_s=_PROBE_S)
    values = dict(line.split("=", 1) for line in told.text().splitlines() if "=" in line)
    if "status.Uid" not in values:
        raise SandboxUnavailable(f"{back_end}: what it guarantees cannot be measured: {told.text().strip()[:200]}")
    outside = await anyio.to_thread.run_sync(group_limits, values.get("ns.pid", ""))
    seen = _Seen({**{f"group.{name}": value for name, value in outside.items()}, **values}, limits)
    return {**_isolation(seen), **_bounds(seen), **_by_design(back_end, seen)}


def _isolation(seen: _Seen) -> dict[Guarantee, Fact]:
    values = seen.values
    interfaces = [name for name in values.get("interfaces", "").split() if name != "lo"]
    alone = seen.other("net")
    closed = alone.holds and all(name in _IDLE for name in interfaces)
    network = _fact(closed, "loopback only" if closed else f"interfaces: {', '.join(interfaces) or alone.detail}")
    outside = [*values.get("map", "").split(), "", ""][1]
    user, uid = seen.other("user"), values["status.Uid"]
    nobody = uid != "0" or (user.holds and outside not in {"", "0"})
    powers = {values.get("status.CapEff", "?").strip("0"), values.get("status.CapBnd", "?").strip("0")}
    return {
        Guarantee.NETWORK: network,
        Guarantee.NON_ROOT: _fact(nobody, f"uid {uid} inside" + (f", {outside} outside" if user.holds else "")),
        Guarantee.PROCESS_IDS: seen.other("pid"),
        Guarantee.IPC: seen.other("ipc"),
        Guarantee.USER_NAMESPACE: user,
        Guarantee.NO_NEW_PRIVILEGES: seen.status("NoNewPrivs", "1"),
        Guarantee.NO_CAPABILITIES: _fact(powers == {""}, f"effective {values.get('status.CapEff', 'unknown')}"),
        Guarantee.SECCOMP: seen.status("Seccomp", "2"),
        Guarantee.READ_ONLY_ROOT: _fact(values.get("root") == "ro", f"/ is {values.get('root') or 'unknown'}"),
    }


_GVISOR = "#1 SMP Sun Jan 10 15:06:54 PST 2016"  # what it has said of itself in every release
_OF_A_KERNEL = frozenset({"pid", "ipc"})
_IDLE = frozenset({"tunl0", "sit0", "ip6tnl0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0", "ip6gre0"})


def _bounds(seen: _Seen) -> dict[Guarantee, Fact]:
    limits = seen.limits
    size, temporary = seen.values.get("fsize", ""), seen.values.get("tmp", "")
    bounded = size.isdecimal() and int(size) * 512 <= limits.file_mb * 2**20
    small = temporary.isdecimal() and int(temporary) <= limits.tmp_mb * 1024
    memory = seen.group("memory.max", "memory.limit_in_bytes", most=limits.memory_mb * 2**20)
    return {
        Guarantee.MEMORY: memory,
        Guarantee.PROCESSES: seen.group("pids.max", most=limits.processes),
        Guarantee.CPU: seen.group("cpu.max", "cpu.cfs_quota_us", most=limits.cpus * 100_000),
        Guarantee.FILE_SIZE: _fact(bounded, f"ulimit -f {size or 'unknown'}"),
        Guarantee.DISK: _fact(
            small,
            f"temporary files: {temporary or 'unknown'} kB; the workspace is watched: {limits.disk_mb} MiB, "
            f"{limits.disk_files} files",
        ),
    }


def _by_design(back_end: str, seen: _Seen) -> dict[Guarantee, Fact]:
    images = back_end == "docker"
    why = "" if images else "this machine's own programs are used"
    return {
        Guarantee.EGRESS_PROXY: Fact(True, Known.DESIGN, "a socket inside, a proxy that decides outside"),
        Guarantee.SNAPSHOTS: Fact(True, Known.DESIGN),
        Guarantee.IMAGES: Fact(images, Known.DESIGN, why),
        Guarantee.SERVICES: _services(images=images, kernel=seen.kernel),
    }


def _services(*, images: bool, kernel: str) -> Fact:
    if _GVISOR in kernel:
        return Fact(False, Known.MEASURED, "gVisor shares no network between containers")
    return Fact(images, Known.DESIGN, "" if images else "services are containers")


def _host_facts() -> dict[Guarantee, Fact]:
    return {Guarantee.SNAPSHOTS: Fact(True, Known.DESIGN)}


def _fact(holds: bool, detail: str) -> Fact:
    return Fact(holds, Known.MEASURED, detail)
