"""Whole processes, timed from outside, and helpers that stay alive while something is measured."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

ROOT = Path(__file__).resolve().parent.parent
PERSTACK = str(Path(sys.executable).parent / "perstack")


class Broken(Exception):
    """A measurement that could not be made, and why."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A process that ended. `cpu_s` and `rss_mb` (highest resident size) are its own and its descendants'."""

    seconds: float
    cpu_s: float
    rss_mb: float


def environment(**more: str) -> dict[str, str]:
    """A small environment: nothing of the caller's that could steer Python or pytest."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR", "DOCKER_HOST") if name in os.environ}
    return {**kept, **more}


def measure(argv: Sequence[str], env: Mapping[str, str], cwd: Path = ROOT) -> Finished:
    """Run to the end.

    Raises: Broken with the end of stderr where the exit code is not 0.
    """
    started = time.perf_counter()
    with subprocess.Popen(
        argv, cwd=cwd, env=dict(env), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as child:
        assert child.stderr is not None
        said = child.stderr.read()
        _, status, used = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - started
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise Broken(f"{' '.join(argv[:4])} … exited with {child.returncode}: {said.decode(errors='replace')[-400:]}")
    return Finished(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def ask(module: str, *arguments: str, timeout_s: float = 240.0) -> Any:
    """The JSON that a module of this package prints.

    Raises: Broken where it fails.
    """
    argv = [sys.executable, "-m", module, *arguments]
    try:
        done = subprocess.run(
            argv, cwd=ROOT, env=environment(), capture_output=True, timeout=timeout_s, check=False, text=True
        )
    except subprocess.TimeoutExpired as error:
        raise Broken(f"{module} did not end within {timeout_s:.0f} s") from error
    if done.returncode:
        raise Broken(f"{module} exited with {done.returncode}: {done.stderr.strip()[-400:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


class Helper:
    """A process that answers one line with one line."""

    def __init__(self, child: subprocess.Popen[str]) -> None:
        self._child = child

    def line(self) -> str:
        """The next line it says.

        Raises: Broken where it ended instead.
        """
        assert self._child.stdout is not None
        said = self._child.stdout.readline()
        if not said:
            raise Broken(f"{self._child.args!r} ended with {self._child.wait()}")
        return said.strip()

    def ask(self, **request: object) -> Any:
        """Send a JSON line and wait for one.

        Raises: Broken.
        """
        assert self._child.stdin is not None
        self._child.stdin.write(json.dumps(request) + "\n")
        self._child.stdin.flush()
        return json.loads(self.line())


@contextmanager
def helper(module: str, *arguments: str) -> Iterator[Helper]:
    """A module of this package as a process that lives as long as the context."""
    argv = [sys.executable, "-m", module, *arguments]
    child = subprocess.Popen(
        argv, cwd=ROOT, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield Helper(child)
    finally:
        child.kill()
        child.communicate()


class Model:
    """The model server from outside: URLs of new sessions, and when their requests came."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._sessions = 0

    def session(self, steps: int, protocol: str = "anthropic") -> str:
        """The base URL of a new run with so many tool calls."""
        self._sessions += 1
        return f"{self._url}/s/{self._sessions}/{steps}" + ("" if protocol == "anthropic" else "/v1")

    def gaps_ms(self) -> list[float]:
        """Milliseconds between the requests of the newest session: one entry a step."""
        with urlopen(f"{self._url}/arrivals/{self._sessions}", timeout=10) as answer:  # noqa: S310  # our own server
            times = json.load(answer)
        return [(after - before) * 1000 for before, after in itertools.pairwise(times)]


@contextmanager
def model() -> Iterator[Model]:
    """A running model server."""
    with helper("bench.model_server") as server:
        yield Model(server.line())
