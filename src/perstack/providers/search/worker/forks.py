"""Run a function in a forked child with limits, and read what it reports line by line. Knows no tests."""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    Emit = Callable[[Any], None]

_MEMORY = 2 << 30  # bytes a child may grow by


@dataclass(frozen=True)
class Outcome:
    """What a child reported. `done` is False where it was killed or crashed; then `reports` may be short."""

    reports: list[Any]
    done: bool
    seconds: float


def in_fork(action: Callable[[Emit], None], *, wall_s: float, cpu_s: float) -> Outcome:
    """Run `action` in a child of its own process group; kill it at the limits (seconds)."""
    began = time.monotonic()
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # forking beside threads: the child only runs tests and exits
        pid = os.fork()
    if pid == 0:
        os.close(reader)
        _child(action, writer, cpu_s)
    os.close(writer)
    try:
        reports, done = _read(reader, began + wall_s)
    finally:
        os.close(reader)
        _bury(pid)
    return Outcome(reports, done, time.monotonic() - began)


def _child(action: Callable[[Emit], None], writer: int, cpu_s: float) -> None:
    """Never returns."""
    try:
        os.setpgid(0, 0)
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_PROF, cpu_s)
        _limit_memory()

        def emit(value: Any) -> None:
            _write(writer, json.dumps(value).encode() + b"\n")

        action(emit)
        _write(writer, b"\n")
    except BaseException:  # noqa: BLE001  # a candidate may raise anything; the parent only sees a short report
        if os.environ.get("PERSTACK_SEARCH_DEBUG"):
            traceback.print_exc()
    finally:
        os._exit(0)


def _limit_memory() -> None:
    try:
        with open("/proc/self/statm", encoding="ascii") as stream:  # noqa: PTH123  # hot path
            size = int(stream.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + _MEMORY, size + _MEMORY))
    except (OSError, ValueError):
        return  # no /proc or a lower limit already: the sandbox's own limit holds


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _read(reader: int, deadline: float) -> tuple[list[Any], bool]:
    """Reports until the empty line that ends them, the end of the stream or the deadline."""
    buffer = b""
    reports: list[Any] = []
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([reader], [], [], left)[0]:
            return reports, False
        data = os.read(reader, 1 << 16)
        if not data:
            return reports, False
        buffer += data
        *lines, buffer = buffer.split(b"\n")
        for line in lines:
            if not line:
                return reports, True
            reports.append(json.loads(line))


def _bury(pid: int) -> None:
    """Kill the child's group (it may have left processes behind) and reap the child."""
    for kill in (os.killpg, os.kill):
        try:
            kill(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue
    os.waitpid(pid, 0)
