"""Limits on a process tree through control groups (version 2, or 1), where this process may make them.

Where it may not, `rlimits` in the driver are all there is: then memory is bounded per process, not together.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from perstack.core.sandbox import Limits
from perstack.infrastructure.owned import is_gone, owned_name

_ROOT = Path("/sys/fs/cgroup")


@contextlib.contextmanager
def limited(limits: Limits) -> Iterator[tuple[Path, ...]]:
    """Groups with these limits; a process joins by writing its id to each group's `cgroup.procs`. May be empty."""
    made: list[Path] = []
    try:
        for parent, values in _plans(limits):
            group = parent / f"{owned_name()}-{secrets.token_hex(4)}"
            try:
                group.mkdir()
                made.append(group)
                for name, value in values.items():
                    (group / name).write_text(value)
            except OSError:
                continue  # not ours to limit, or the controller is not switched on here
        yield tuple(made)
    finally:
        for group in made:
            _remove(group)


def sweep() -> None:
    """Take away groups that a killed harness left; one with a process in it stays."""
    for parent, _ in _plans(Limits()):
        with contextlib.suppress(OSError):
            for group in [entry for entry in parent.iterdir() if is_gone(entry.name)]:
                with contextlib.suppress(OSError):
                    group.rmdir()


def _plans(limits: Limits) -> Iterator[tuple[Path, Mapping[str, str]]]:
    memory, tasks = str(limits.memory_mb * 1024 * 1024), str(limits.processes)
    if (_ROOT / "cgroup.controllers").is_file():
        own = Path("/proc/self/cgroup").read_text().strip().rpartition("::/")[2]
        quota = f"{int(limits.cpus * 100_000)} 100000"
        # A group with processes in it may not pass controllers on, so the new one goes beside ours.
        parent = (_ROOT / own).parent if own else _ROOT
        yield parent, {"pids.max": tasks, "memory.max": memory, "memory.swap.max": "0", "cpu.max": quota}
        return
    yield _ROOT / "pids", {"pids.max": tasks}
    yield _ROOT / "memory", {"memory.limit_in_bytes": memory}
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
