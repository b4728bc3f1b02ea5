"""A real terminal for tests: the process on a pseudo-terminal, what it draws read by pyte."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyte

KEYS = {
    "enter": b"\r", "escape": b"\x1b", "tab": b"\t", "up": b"\x1b[A", "down": b"\x1b[B", "f1": b"\x1bOP",
    **{f"ctrl+{letter}": bytes([ord(letter) - 96]) for letter in "abcdefghijklmnopqrstuvwxyz"},
}  # fmt: skip


class Terminal:
    """The process and what is on its screen. `raw` is every byte it wrote."""

    def __init__(self, arguments: Sequence[str], cwd: Path, env: Mapping[str, str], size: tuple[int, int]) -> None:
        columns, lines = size
        self.screen = pyte.Screen(columns, lines)
        self._stream: Any = pyte.ByteStream(self.screen)
        self.raw = b""
        self._fd, child = pty.openpty()
        fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.process = subprocess.Popen(
            arguments, cwd=cwd, env=dict(env), stdin=child, stdout=child, stderr=child, start_new_session=True
        )
        os.close(child)

    @property
    def text(self) -> str:
        """The screen, line by line."""
        return "\n".join(line.rstrip() for line in self.screen.display)

    def press(self, *keys: str) -> None:
        """Keys by name; anything else is typed as it is."""
        for key in keys:
            os.write(self._fd, KEYS.get(key, key.encode()))

    def read(self, seconds: float = 0.1) -> bool:
        """Take in all that the process has drawn; False where it has gone."""
        ready, _, _ = select.select([self._fd], [], [], seconds)
        if not ready:
            return True
        data = b""
        try:
            while ready and len(data) < 1 << 20:
                data += os.read(self._fd, 65536)
                ready, _, _ = select.select([self._fd], [], [], 0)
        except OSError:
            if not data:
                return False
        self.raw += data
        # pyte knows neither of these queries, and prints their tails.
        self._stream.feed(data.replace(b"\x1b[?2026$p", b"").replace(b"\x1b[?2048$p", b"").replace(b"\x1b[>1u", b""))
        return bool(data)

    def wait_for(self, words: str, seconds: float = 30.0) -> str:
        """Until the screen shows the words."""
        end = time.monotonic() + seconds
        while words not in self.text:
            alive = self.read() and time.monotonic() < end
            assert alive, f"{words!r} is not on the screen:\n{self.text}"
        return self.text

    def wait_end(self, seconds: float = 30.0) -> int:
        """The exit code of the process, its last words read."""
        end = time.monotonic() + seconds
        while self.read() and time.monotonic() < end:
            pass
        return self.process.wait(max(1.0, end - time.monotonic()))

    def hang_up(self, seconds: float = 30.0) -> int:
        """The window is closed: no more terminal for the process, and no signal either. Its exit code."""
        os.close(self._fd)
        self._fd = -1
        return self.process.wait(seconds)

    def close(self) -> None:
        """End it where it still runs."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self._fd >= 0:
            os.close(self._fd)
