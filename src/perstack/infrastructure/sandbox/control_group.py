"""Limits on a process tree through control groups (version 2, or 1), where this process may make them.

Where it may not, `rlimits` in the driver are all there is: then memory is bounded per process, not together.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from perstack.core.errors import SandboxUnavailable
from perstack.core.sandbox import Limits
from perstack.infrastructure.owned import is_gone, owned_name

MEMORY, PROCESSES = "memory", "pids"  # controllers
_ROOT = Path("/sys/fs/cgroup")
_REAPED_S = 0.5


@dataclass(frozen=True, slots=True)
class Groups:
    """Groups of one sandbox, which may be none, and what they bound for all of its processes together."""

    places: tuple[Path, ...] = ()
    bounded: frozenset[str] = frozenset()
    needed: frozenset[Path] = frozenset()  # those that bound memory or processes

    @property
    def memory(self) -> bool:
        return MEMORY in self.bounded

    @property
    def processes(self) -> bool:
        return PROCESSES in self.bounded


@contextlib.contextmanager
def limited(limits: Limits) -> Iterator[Groups]:
    """Groups with these limits, as far as this process may make them. See `join`.

    Make them early: what is done before processes join costs no time.
    """
    made: list[Path] = []
    bounded: dict[Path, set[str]] = {}
    try:
        for parent, values in _plans(limits):
            group = parent / f"{owned_name()}-{secrets.token_hex(4)}"
            with contextlib.suppress(OSError):  # not ours to limit
                group.mkdir()
                made.append(group)
                bounded[group] = _set(group, values)
                if not bounded[group]:
                    made.pop().rmdir()
        needed = (group for group in made if not bounded[group].isdisjoint((MEMORY, PROCESSES)))
        if made:
            _wake()
        yield Groups(tuple(made), frozenset().union(*bounded.values()), frozenset(needed))
    finally:
        for group in made:
            _remove(group)


def join(groups: Groups, pid: int) -> None:
    """Put a process and its children into these groups; those that are dead already are fine. Takes some 10 ms.

    Raises: SandboxUnavailable where a group that is needed does not take them.
    """
    members = (pid, *children(pid))
    for group in groups.places:
        for member in members:
            try:
                (group / "cgroup.procs").write_text(str(member))
            except ProcessLookupError:
                continue
            except OSError as error:
                if group in groups.needed:
                    raise SandboxUnavailable(
                        f"{group}: takes no process ({error.strerror}), so a sandbox would have no limits",
                        hint="Run perstack where it may manage control groups of its own, or choose another sandbox.",
                    ) from error


def children(pid: int, proc: Path = Path("/proc")) -> tuple[int, ...]:
    """The processes that this one started and that still are."""
    with contextlib.suppress(OSError):
        return tuple(map(int, (proc / str(pid) / "task" / str(pid) / "children").read_text().split()))
    return tuple(child for child in _numbers(proc) if _parent(proc, child) == pid)  # a kernel without that file


def _numbers(proc: Path) -> Iterator[int]:
    return (int(entry.name) for entry in proc.iterdir() if entry.name.isdigit())


def _parent(proc: Path, pid: int) -> int:
    with contextlib.suppress(OSError):
        # The name before the second field may hold anything, parentheses too.
        return int((proc / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()[1])
    return 0


def sweep() -> None:
    """Take away groups that a killed harness left; one with a process in it stays."""
    for parent, _ in _plans(Limits()):
        with contextlib.suppress(OSError):
            for group in [entry for entry in parent.iterdir() if is_gone(entry.name)]:
                with contextlib.suppress(OSError):
                    group.rmdir()


def _set(group: Path, values: Mapping[str, str]) -> set[str]:
    """Which of the limits hold now: a controller may be switched off here."""
    held = set()
    for name, value in values.items():
        with contextlib.suppress(OSError):
            (group / name).write_text(value)
            held.add(name.partition(".")[0])
    return held


def _plans(limits: Limits) -> Iterator[tuple[Path, Mapping[str, str]]]:
    memory, tasks = str(limits.memory_mb * 1024 * 1024), str(limits.processes)
    if _is_unified():
        quota = f"{int(limits.cpus * 100_000)} 100000"
        own = _own()
        # A group with processes in it may not pass controllers on, so the new one goes beside ours.
        parent = own.parent if own != _ROOT else own
        yield parent, {"pids.max": tasks, "memory.swap.max": "0", "memory.max": memory, "cpu.max": quota}
        return
    yield _ROOT / "pids", {"pids.max": tasks}
    yield _ROOT / "memory", {"memory.limit_in_bytes": memory, "memory.memsw.limit_in_bytes": memory}
    yield _ROOT / "cpu", {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": str(int(limits.cpus * 100_000))}


def _wake() -> None:
    """Let the wait of the first `join` begin now, and return at once.

    Who moves a process waits until every processor was scheduled anew (some 10 ms), but for who does it right after
    somebody else. This moves our process to where it is. New groups cannot be made meanwhile.
    """
    threading.Thread(target=_stay, daemon=True).start()


def _stay() -> None:
    with contextlib.suppress(OSError):
        (_own() / "cgroup.procs").write_text("0")


def _is_unified() -> bool:
    return (_ROOT / "cgroup.controllers").is_file()


def _own() -> Path:
    """The group that this process is in: of version 2, or that for the number of processes of version 1."""
    wanted = "" if _is_unified() else PROCESSES
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == wanted:
            return _ROOT / controllers / path.strip("/")
    return _ROOT


def _remove(group: Path) -> None:
    """The kernel lets go of a group only after its last process was reaped."""
    deadline = time.monotonic() + _REAPED_S
    while True:
        try:
            group.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            if time.monotonic() > deadline:
                return  # the next start sweeps it
            time.sleep(0.001)
        else:
            return
