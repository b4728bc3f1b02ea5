"""A terminal that goes away: what is drawn then is lost, nobody waits for it, and the application is asked to end.

Textual's writing thread would die of the first failed write, its queue fill, and the application stand still; its
reading thread would read the end of input for ever. Not every terminal says by a signal that it goes.
"""

from __future__ import annotations

import os
import sys
from typing import IO, Any, cast

from textual.app import App
from textual.drivers.linux_driver import LinuxDriver


class Heedless:
    """A file for writing that fails once and is quiet from then on."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._gone = False

    def write(self, text: str) -> int:
        """As a file does; nothing where the terminal has gone."""
        return 0 if self._gone else self._tried(lambda: self._file.write(text))

    def flush(self) -> None:
        """As a file does."""
        if not self._gone:
            self._tried(self._file.flush)

    def fileno(self) -> int:
        """The terminal's."""
        return self._file.fileno()

    def _tried(self, act: Any) -> int:
        try:
            return act() or 0
        except OSError:
            self._gone = True
            return 0


class HeedlessDriver(LinuxDriver):
    """Draws as Textual's own does, on a file that never fails."""

    def __init__(self, app: App[Any], **options: Any) -> None:
        super().__init__(app, **options)
        self._file = cast(Any, Heedless(cast(IO[str], self._file)))


def has_gone() -> bool:
    """Whether the terminal that this process was started on is no more."""
    return sys.__stdin__ is not None and not os.isatty(sys.__stdin__.fileno())


def let_go() -> None:
    """Send to nowhere what is still written there, that the end of the process fails at nothing."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    os.close(nowhere)
