"""What one bubblewrap sandbox sees: the options of `bwrap`.

Not the place that starts anything: that is `bubblewrap.py`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from perstack.core.sandbox import Limits, Mount
from perstack.infrastructure.sandbox import snapshot, toolchain
from perstack.infrastructure.sandbox.bubblewrap_etc import UID, fill_etc
from perstack.infrastructure.sandbox.channel import DRIVER
from perstack.infrastructure.sandbox.control_group import Groups

# Inside, a harness that is root is still the machine's root to files of /proc, powers or not: it could write
# `core_pattern`. So nothing there can be written, and what a container engine hides is hidden here too, but for what
# the kernel gives to nobody without powers (kcore, kmsg) or says to everybody (key-users).
_HIDDEN = ("kallsyms", "keys", "kpagecgroup", "kpagecount", "kpageflags", "latency_stats", "modules", "sched_debug",
           "slabinfo", "timer_list", "vmallocinfo")  # fmt: skip
_SHARED_MEMORY_MB = 64


@dataclass(frozen=True, slots=True)
class Plan:
    """What one sandbox is made of, beyond the host's toolchain. Without a `workspace` there is none inside."""

    workspace: Path | None
    mounts: tuple[Mount, ...] = ()
    env: Mapping[str, str] | None = None
    limits: Limits = field(default_factory=Limits)
    home: Path | None = None  # a host directory as HOME, for set-up only
    kept_home: Path | None = None
    place: str = snapshot.WORKSPACE  # the working directory
    before: str = ""  # shell lines before the program


@dataclass(frozen=True, slots=True)
class Machine:
    """What is looked up once: what `bwrap --help` says, and the binds of /etc and the toolchain."""

    features: str
    etc: tuple[str, ...]
    system: tuple[str, ...]
    tools: tuple[str, ...]
    proc: tuple[str, ...]
    driver: str  # a shell script


def look(features: str, path: Sequence[Path], etc: Path) -> Machine:
    """Look at this machine's toolchain, and fill the empty folder `etc`."""
    return Machine(
        features,
        tuple(fill_etc(etc)),
        tuple(toolchain.system_binds()),
        tuple(toolchain.tool_binds(path)),
        tuple(_proc()),
        DRIVER.read_text("utf-8"),
    )


def _proc() -> Iterator[str]:
    yield from ("--proc", "/proc")
    for place in (f"/proc/{name}" for name in _HIDDEN):
        # Who is inside can open no more than this user. Each bind costs a part of a millisecond at every start.
        if os.access(place, os.R_OK) or os.access(place, os.W_OK):
            yield from ("--ro-bind", "/dev/null", place)
    yield from ("--remount-ro", "/proc")


def _sized(machine: Machine, megabytes: int) -> list[str]:
    """The limit of the next tmpfs, where this bwrap can set one."""
    return ["--size", str(megabytes * 1024 * 1024)] if "--size " in machine.features else []


def options(plan: Plan, machine: Machine, control: Path | None = None) -> list[str]:
    """The options of `bwrap` for a plan, without the environment. The inside may read `control`, not write it."""
    size = _sized(machine, plan.limits.tmp_mb)
    words = ["--unshare-all", "--unshare-user", "--uid", str(UID), "--gid", str(UID), "--hostname", "sandbox"]
    words += ["--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    words += ["--disable-userns"] if "--disable-userns" in machine.features else []
    words += machine.proc
    words += ["--dev", "/dev", *_sized(machine, min(_SHARED_MEMORY_MB, plan.limits.tmp_mb)), "--tmpfs", "/dev/shm"]  # noqa: S108  # a path inside
    words += ["--remount-ro", "/dev", *size, "--tmpfs", "/tmp"]  # noqa: S108  # a path inside
    words += ["--symlink", "/tmp", "/var/tmp"]  # noqa: S108  # paths inside
    words += machine.system
    words += machine.etc
    words += ["--bind", str(plan.home), snapshot.HOME] if plan.home else [*size, "--tmpfs", snapshot.HOME]
    words += machine.tools
    if plan.kept_home:
        words += ["--ro-bind", str(plan.kept_home), snapshot.KEPT_HOME]
    words += ["--ro-bind", str(control), snapshot.CONTROL] if control else []
    words += ["--bind", str(plan.workspace), snapshot.WORKSPACE] if plan.workspace else []
    for mount in plan.mounts:
        words += ["--bind" if mount.writable else "--ro-bind", str(mount.source), mount.target]
    return [*words, "--remount-ro", "/", "--chdir", plan.place, "--clearenv"]


def writable(plan: Plan) -> tuple[Path, ...]:
    """Folders of this machine that the inside can fill."""
    given = (mount.source for mount in plan.mounts if mount.writable)
    return tuple(folder for folder in (plan.workspace, plan.home, *given) if folder)


def environment(plan: Plan, path: Sequence[Path]) -> dict[str, str]:
    """The whole environment inside: the minimal one, and what the plan adds."""
    home = (plan.env or {}).get("HOME", snapshot.HOME)
    own = {
        "PATH": ":".join([f"{home}/.local/bin", *map(str, path), *toolchain.SYSTEM_PATH]),
        "HOME": home, "USER": "perstack", "LOGNAME": "perstack", "LANG": "C.UTF-8",
        "TMPDIR": "/tmp",  # noqa: S108  # a path inside
    }  # fmt: skip
    return {**own, **(plan.env or {})}


@contextlib.contextmanager
def passed(words: Sequence[str], values: Mapping[str, str]) -> Iterator[int]:
    """A file descriptor for `bwrap --args`: options and an environment that no process list shows."""
    whole = [*words, *(part for name, value in values.items() for part in ("--setenv", name, value))]
    fd = os.memfd_create("bwrap-args")
    try:
        with os.fdopen(os.dup(fd), "wb") as file:
            file.write(b"".join(os.fsencode(word) + b"\0" for word in whole))
        os.lseek(fd, 0, os.SEEK_SET)
        yield fd
    finally:
        os.close(fd)


def limits_script(limits: Limits, groups: Groups) -> str:
    """Shell lines that set limits per process, of memory and processes only where `groups` do not."""
    wanted = [f"ulimit -c 0; ulimit -f {limits.file_mb * 2048}; ulimit -n 4096"]
    if not groups.memory:
        # Bytes of data, not of address space: runtimes reserve far more of that than they use.
        wanted.append(f"ulimit -d {limits.memory_mb * 1024}")
    if not groups.processes:
        wanted.append(f"ulimit -u {limits.processes} 2>/dev/null || ulimit -p {limits.processes} 2>/dev/null")
    return "\n".join(wanted)
