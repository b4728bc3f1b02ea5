"""A headless Chromium over its debugging pipe. Runs in the sandbox, which is why Chromium's own sandbox is off.

No port is opened: what the page runs cannot reach the pipe.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

_PROGRAMS = (
    "/usr/lib/chromium/chromium",
    "/usr/lib/chromium-browser/chromium-browser",
    "/usr/lib64/chromium-browser/chromium-browser",
    "/opt/google/chrome/chrome",
    "/usr/bin/chromium",
    "/usr/bin/chromium-browser",
    "/usr/bin/google-chrome",
)
_FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--no-default-browser-check", "--disable-extensions", "--disable-background-networking", "--disable-sync",
    "--disable-component-update", "--hide-scrollbars", "--mute-audio", "--force-device-scale-factor=1",
    "--force-color-profile=srgb", "--font-render-hinting=none", "--disable-lcd-text", "--lang=en-US",
    "--disable-blink-features=AutomationControlled", "--disable-features=Translate,PaintHolding",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost", "--remote-debugging-pipe",
)  # fmt: skip
_ANSWER_S = 30.0


class BrowserFailed(Exception):
    """Chromium is not there, died, or does not answer."""


class Browser:
    """One Chromium with a profile of its own. `call` speaks its DevTools protocol."""

    def __init__(self) -> None:
        program = next((path for path in _PROGRAMS if Path(path).is_file()), None)
        if program is None:
            raise BrowserFailed("Chromium is not in the sandbox: install the package chromium (in the image, or here)")
        self._profile = tempfile.mkdtemp(prefix="browser-")
        to_read, self._write = os.pipe()
        self._read, to_write = os.pipe()

        def place_pipes() -> None:
            one, two = fcntl.fcntl(to_read, fcntl.F_DUPFD, 10), fcntl.fcntl(to_write, fcntl.F_DUPFD, 10)
            os.dup2(one, 3)
            os.dup2(two, 4)

        environment = {**os.environ, "HOME": self._profile, "XDG_CONFIG_HOME": self._profile, "LC_ALL": "C.UTF-8"}
        self._child = subprocess.Popen(
            [program, *_FLAGS, f"--user-data-dir={self._profile}/profile", "about:blank"],
            env={**environment, "LANG": "C.UTF-8", "TZ": "UTC0"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            close_fds=False,  # descriptors 3 and 4 are the pipe; all others close on exec
            preexec_fn=place_pipes,  # noqa: PLW1509  # no thread runs yet
        )
        os.close(to_read)
        os.close(to_write)
        self._pending, self._count = b"", 0
        self._events: list[dict[str, Any]] = []

    def call(self, method: str, session: str = "", **parameters: Any) -> dict[str, Any]:
        """Call a method and return its result.

        Raises: BrowserFailed.
        """
        self._count += 1
        message: dict[str, Any] = {"id": self._count, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        try:
            os.write(self._write, json.dumps(message).encode() + b"\0")
        except OSError as error:
            raise BrowserFailed("Chromium died") from error
        until = time.monotonic() + _ANSWER_S
        while True:
            reply = self._receive(until)
            if reply.get("id") == self._count:
                if "error" in reply:
                    raise BrowserFailed(f"{method}: {reply['error'].get('message')}")
                return dict(reply.get("result", {}))
            self._events.append(reply)

    def forget(self) -> None:
        """Drop events that came in so far."""
        self._events.clear()

    def wait_for(self, event: str, session: str, limit: float) -> bool:
        """Wait for an event of a session; False when it did not come in time."""
        until = time.monotonic() + limit
        while True:
            for index, seen in enumerate(self._events):
                if seen.get("method") == event and seen.get("sessionId") == session:
                    del self._events[: index + 1]
                    return True
            self._events.clear()
            left = until - time.monotonic()
            if left <= 0 or not (b"\0" in self._pending or select.select([self._read], [], [], left)[0]):
                return False
            self._events.append(self._receive(until + 1))

    def _receive(self, until: float) -> dict[str, Any]:
        while b"\0" not in self._pending:
            if not select.select([self._read], [], [], max(0.0, until - time.monotonic()))[0]:
                raise BrowserFailed(f"Chromium did not answer within {_ANSWER_S:g} s")
            data = os.read(self._read, 1 << 20)
            if not data:
                raise BrowserFailed("Chromium died")
            self._pending += data
        message, _, self._pending = self._pending.partition(b"\0")
        return dict(json.loads(message))

    def end(self) -> None:
        """Kill it and delete its profile."""
        self._child.kill()
        self._child.wait()
        shutil.rmtree(self._profile, ignore_errors=True)
