"""A small repository, `perstack` as a process on it, and what can be broken around it: a disk, an engine, a time."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

PATIENCE_S = 60.0
# Mounts a small disk of its own namespace at $2 with options $1, runs the rest, leaves in $3 what is on the disk then.
_ON_DISK = 'mount -t tmpfs -o "$1" none "$2" && at=$2 left=$3; shift 3; "$@"; code=$?; ls -A "$at" >"$left"; exit $code'


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    def is_told(self, code: int) -> bool:
        """Whether this is one clear error of that exit code, and nothing of a bug."""
        whole = self.out + self.err
        said = [line for line in self.err.splitlines() if line.startswith("perstack: ")]
        return self.code == code and len(said) == 1 and "Traceback" not in whole and "BUG" not in whole


@dataclass
class Bench:
    """A checkout with a right fix in its working tree, and a temporary folder of its own."""

    checkout: Path
    temporary: Path
    sandbox: str = "bubblewrap"
    more: dict[str, str] = field(default_factory=dict)

    def argv(self, *arguments: str) -> list[str]:
        """The command line, without options for `finish` and the like."""
        return [sys.executable, "-m", "perstack", *arguments, "--sandbox", self.sandbox]

    def env(self) -> dict[str, str]:
        """The whole environment of the command."""
        path = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
        home = {"HOME": str(self.checkout.parent), "TMPDIR": str(self.temporary), "LC_ALL": "C.UTF-8"}
        return {"PATH": path, **home, **self.more}

    def __call__(self, *arguments: str, before: Sequence[str] = ()) -> Ended:
        done = subprocess.run(
            [*before, *self.argv(*arguments)],
            cwd=self.checkout, env=self.env(), capture_output=True, text=True, timeout=PATIENCE_S, check=False,
        )  # fmt: skip
        return Ended(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """The command under way."""
        return subprocess.Popen(
            self.argv(*arguments),
            cwd=self.checkout, env=self.env(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def works(self, *arguments: str) -> bool:
        """Whether the same thing, undisturbed, comes to its verdict."""
        done = self("verify", *arguments)
        return done.code == 0 and "verdict: pass" in done.out

    def left(self) -> list[str]:
        """What is in the temporary folder."""
        return sorted(entry.name for entry in self.temporary.iterdir())


def on_disk(options: str, at: Path, left: Path) -> list[str]:
    """Words before a command: it sees a disk of that size at `at`; in `left` is what stayed there."""
    own = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    return [*own, "sh", "-c", _ON_DISK, "sh", options, str(at), str(left)]


def processes_with(word: str) -> list[int]:
    """Living processes that have a word on their command line."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if word.encode() in place.read_bytes() and int(place.parent.name) != os.getpid():
                found.append(int(place.parent.name))
    return found


def until_gone(word: str) -> list[int]:
    """The same, once they had a moment to go."""
    end = time.monotonic() + 5
    while (found := processes_with(word)) and time.monotonic() < end:
        time.sleep(0.02)
    return found


def signalled_at_line(bench: Bench, which: signal.Signals, word: str, *arguments: str) -> Ended:
    """The command, which gets a signal when `word` is in its log of events."""
    child = bench.start(*arguments)
    try:
        end = time.monotonic() + PATIENCE_S
        while word and not any(word in log.read_text() for log in bench.checkout.glob("**/events.jsonl")):
            assert child.poll() is None, child.communicate()[1]
            assert time.monotonic() < end
            time.sleep(0.005)
        child.send_signal(which)
        out, err = child.communicate(timeout=PATIENCE_S)
    finally:
        child.kill()
    return Ended(child.returncode, out, err)


class Engine:
    """Stands before Docker's socket, and is gone after `requests` of them: every connection breaks, none is taken.

    With an `answer` it stays, and answers every later request with that; an empty one is the end of its connection.
    """

    def __init__(
        self, folder: Path, requests: int, answer: bytes | None = None, real: str = "/var/run/docker.sock"
    ) -> None:
        self.path = folder / "engine.sock"
        self.address = f"unix://{self.path}"
        self.seen = 0
        self._most = requests
        self._answer = answer
        self._real = real
        self._server = socket.socket(socket.AF_UNIX)
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()

    def __enter__(self) -> Engine:
        self._server.bind(str(self.path))
        self._server.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """Be gone."""
        with self._lock:
            self.path.unlink(missing_ok=True)
            for each in (self._server, *self._open):
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
                each.close()
            self._open.clear()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                engine = socket.socket(socket.AF_UNIX)
                engine.connect(self._real)
                with self._lock:
                    self._open += [client, engine]
                threading.Thread(target=self._pass, args=(client, engine, True), daemon=True).start()
                threading.Thread(target=self._pass, args=(engine, client, False), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, is_asked: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if is_asked and b" HTTP/1.1\r\n" in data:
                    self.seen += 1
                    if self._most and self.seen > self._most:
                        if self._answer:
                            source.sendall(self._answer)
                            continue
                        if self._answer is None:
                            self.stop()
                        break
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)
