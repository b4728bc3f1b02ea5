"""The `perstack` command: listens to signals first, then loads the command line and runs it."""

from __future__ import annotations

import gc
import importlib
import sys
from collections.abc import Sequence

from perstack.interface import leaving, streams

# Loaded when it is needed: what comes before it may be interrupted without a traceback.
_COMMAND_LINE = "perstack.interface.commandline"

# Modules make very many objects that all stay: looking for garbage among them every 700 is a tenth of a start.
_COLLECT_EVERY = 10_000


def main() -> None:
    """The console script. SIGTERM and SIGHUP end a command as Ctrl-C does: cleanly, with a word."""
    gc.set_threshold(_COLLECT_EVERY, 20, 20)
    leaving.listen()
    leaving.leave_no_core()
    streams.secure()
    code: int = importlib.import_module(_COMMAND_LINE).start(sys.argv[1:])
    leaving.finish(code)
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code. Errors are told on stderr, where asked for as JSON on stdout."""
    code: int = importlib.import_module(_COMMAND_LINE).run(list(arguments))
    return code
