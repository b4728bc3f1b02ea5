"""Whether the kernel killed processes of a sandbox for its memory limit, as its control group counts them. Reads only.

Where the group cannot be read (it is hidden, or its numbers are another PID namespace's) an engine is asked, which says
it once. Where there is none either (limits per process) an exit code says no more than that something was killed.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

MEMORY = "memory"
_KILLED = 137  # 128 + SIGKILL

_ROOT = Path("/sys/fs/cgroup")
_COUNTED = ("memory.events", "memory.oom_control")  # version 2, version 1
_KILLS = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)


@dataclass(slots=True)
class MemoryWatch:
    """Counts over the groups of one sandbox, from one command to the next; without groups, what `ask` knows."""

    groups: tuple[Path, ...] = ()
    ask: Callable[[], Awaitable[bool]] | None = None
    _before: int = 0
    _told: bool = False

    def begin(self) -> None:
        """A command is about to run."""
        self._before = self._kills()

    def counted(self) -> bool:
        """Whether a group counts a process that was killed since then."""
        return self._kills() > self._before

    async def killed(self, code: int) -> bool:
        """Whether a process was killed since then. `code` is the command's exit code."""
        if self.groups or self.ask is None or self._told or code != _KILLED:
            return self.counted()
        self._told = await self.ask()
        return self._told

    def _kills(self) -> int:
        return sum(map(_kills, self.groups))


def of_process(pid: int, name: str, proc: Path = Path("/proc"), root: Path = _ROOT) -> tuple[Path, ...]:
    """The group that counts for a process with this number; empty unless its path holds `name`.

    Another PID namespace may have given the number to somebody else.
    """
    with contextlib.suppress(OSError):
        for line in (proc / str(pid) / "cgroup").read_text("ascii", "replace").splitlines():
            _, controllers, path = [*line.split(":", 2), "", ""][:3]
            place = path.lstrip("/")
            if name not in path or controllers not in ("", MEMORY):
                continue
            group = root / controllers / place
            if any((group / file).is_file() for file in _COUNTED):
                return (group,)
    return ()


def _kills(group: Path) -> int:
    for file in _COUNTED:
        with contextlib.suppress(OSError):
            if found := _KILLS.search((group / file).read_text("ascii", "replace")):
                return int(found[1])
    return 0


def watched_groups(groups: Sequence[Path]) -> MemoryWatch:
    """A watch over those of the groups that count."""
    return MemoryWatch(tuple(group for group in groups if any((group / file).is_file() for file in _COUNTED)))
