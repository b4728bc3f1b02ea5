"""The limits of a running sandbox as this machine's control groups tell them, found by its PID namespace. Reads only.

Where its processes belong to other users, or its kernel is another one, nothing is found.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_FILES = {
    "memory": ("memory.max", "memory.limit_in_bytes"),
    "pids": ("pids.max",),
    "cpu": ("cpu.max", "cpu.cfs_quota_us"),
}


def group_limits(namespace: str, proc: Path = Path("/proc"), root: Path = _ROOT) -> dict[str, str]:
    """File name → its first word, of the groups of a process whose `ns/pid` link is `namespace`."""
    for folder in _processes(proc):
        with contextlib.suppress(OSError):
            if str((folder / "ns" / "pid").readlink()) == namespace:
                return dict(_limits((folder / "cgroup").read_text("ascii", "replace"), root))
    return {}


def _processes(proc: Path) -> Iterator[Path]:
    with contextlib.suppress(OSError):
        yield from (folder for folder in proc.iterdir() if folder.name.isdecimal())


def _limits(groups: str, root: Path) -> Iterator[tuple[str, str]]:
    for line in groups.splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        for controller in controllers.split(",") if controllers else _FILES:
            place = (root / controllers if controllers else root) / path.lstrip("/")
            if not place.is_dir() and controllers:
                place = root / controller / path.lstrip("/")
            for name in _FILES.get(controller, ()):
                with contextlib.suppress(OSError):
                    yield name, (place / name).read_text("ascii").split()[0]
