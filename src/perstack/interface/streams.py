"""The standard streams of this process: always there, and named where they fail. What they say is not decided here.

Loaded before everything else, so it imports nothing that takes time.
"""

from __future__ import annotations

import io
import os
import select
import sys
from typing import TextIO

STDOUT = "stdout"
_PATIENCE_S = 5.0


def secure() -> None:
    """From here on no file takes the number of a closed stream, and words on stderr change nothing by being lost.

    What cannot be written to stdout is an OSError that names it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number
    sys.stdout = _over(sys.stdout, _Stream(1, STDOUT))
    sys.stderr = _over(sys.stderr, _Stream(2, ""))


def _over(stream: TextIO | None, raw: _Stream) -> TextIO:
    if stream is None:  # it was closed
        return io.TextIOWrapper(io.BufferedWriter(raw), encoding="utf-8")
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


class _Stream(io.RawIOBase):
    """Writes to a file number. Without a name, what cannot be written is dropped."""

    def __init__(self, number: int, name: str) -> None:
        super().__init__()
        self.name = name or f"<{number}>"
        self._number = number
        self._is_named = bool(name)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._number

    def isatty(self) -> bool:
        return os.isatty(self._number)

    def write(self, data: object) -> int:
        """How many bytes were taken. Raises: OSError with the stream's name."""
        view = memoryview(data)  # type: ignore[arg-type]  # what a buffered writer hands over
        try:
            return self._written(view)
        except OSError as error:
            if self._is_named:
                raise OSError(error.errno, error.strerror, self.name) from error
            return len(view)

    def _written(self, view: memoryview) -> int:
        try:
            return os.write(self._number, view)
        except BlockingIOError:  # another program made the terminal so
            select.select([], [self._number], [], _PATIENCE_S)
            return os.write(self._number, view)
