"""Limits on a process tree through control groups (version 2, or 1), where this process may make them.

Where it may not, `rlimits` in the driver are all there is: then memory is bounded per process, not together.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from perstack.core.errors import SandboxUnavailable
from perstack.core.sandbox import Limits
from perstack.infrastructure.owned import is_gone, owned_name

MEMORY, PROCESSES = "memory", "pids"  # controllers
_ROOT = Path("/sys/fs/cgroup")


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
    """Groups with these limits, as far as this process may make them. See `join`."""
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
        yield Groups(tuple(made), frozenset().union(*bounded.values()), frozenset(needed))
    finally:
        for group in made:
            _remove(group)


def join(groups: Groups, pid: int) -> None:
    """Put a process into these groups; one that is dead already is fine. Takes some 10 ms.

    Raises: SandboxUnavailable where one that is needed does not take it.
    """
    for group in groups.places:
        try:
            (group / "cgroup.procs").write_text(str(pid))
        except ProcessLookupError:
            return
        except OSError as error:
            if group in groups.needed:
                raise SandboxUnavailable(
                    f"{group}: takes no process ({error.strerror}), so a sandbox would have no limits",
                    hint="Run perstack where it may manage control groups of its own, or choose another sandbox.",
                ) from error


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
    if (_ROOT / "cgroup.controllers").is_file():
        own = Path("/proc/self/cgroup").read_text().strip().rpartition("::/")[2]
        quota = f"{int(limits.cpus * 100_000)} 100000"
        # A group with processes in it may not pass controllers on, so the new one goes beside ours.
        parent = (_ROOT / own).parent if own else _ROOT
        yield parent, {"pids.max": tasks, "memory.swap.max": "0", "memory.max": memory, "cpu.max": quota}
        return
    yield _ROOT / "pids", {"pids.max": tasks}
    yield _ROOT / "memory", {"memory.limit_in_bytes": memory, "memory.memsw.limit_in_bytes": memory}
    yield _ROOT / "cpu", {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": str(int(limits.cpus * 100_000))}


def _remove(group: Path) -> None:
    """The kernel lets go of a group only after its last process was reaped."""
    for _ in range(50):
        try:
            group.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.01)
        else:
            return
