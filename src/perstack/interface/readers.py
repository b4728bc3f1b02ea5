"""Whoever reads our output may go away (`| head`): that changes neither what was done nor its exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def reader_may_leave() -> Iterator[None]:
    """For a block that only prints: what it has still to say is dropped when nobody reads it."""
    try:
        yield
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit):  # Rich ends the program in place of the error
        drop_output()


def drop_output() -> None:
    """Send what is still to be written to stdout nowhere: else the interpreter's own last flush fails again."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
