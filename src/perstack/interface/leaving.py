"""How this process ends when it is told to: with one line and the exit code of an interruption, at any moment.

Loaded before everything else, so it imports nothing that takes time. Ends no work: a command that is at work gets a
KeyboardInterrupt, or what its event loop makes of one, and cleans up.
"""

from __future__ import annotations

import atexit
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from itertools import pairwise

INTERRUPTED = 130
_LINE = "perstack: interrupted\n"
_DOCUMENT = '{"error": "interrupted", "hint": "", "exitCode": 130}\n'
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_UNTOUCHED = (signal.SIG_DFL, signal.default_int_handler)


def wants_document(arguments: Sequence[str]) -> bool:
    """Whether a command line asks for JSON, also one that cannot be parsed."""
    options = list(arguments[: arguments.index("--")] if "--" in arguments else arguments)
    return "--format=json" in options or "--json" in options or ("--format", "json") in pairwise(options)


def listen() -> None:
    """From here on a signal ends the process at once: nothing is at work, so nothing has to be cleaned up.

    Signals that somebody wants otherwise (`nohup`, a shell's background job) are left as they are.
    """
    atexit.register(_deafen)
    for number in _SIGNALS:
        if signal.getsignal(number) in _UNTOUCHED:
            signal.signal(number, leave)


def leave_no_core() -> None:
    """A crash leaves no picture of this process's memory, in which keys are: 1 byte stops programs that collect too."""
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    if most:
        resource.setrlimit(resource.RLIMIT_CORE, (1, most))


def work() -> None:
    """From here on a signal interrupts what is at work, as Ctrl-C does. Without `listen`, nothing changes."""
    for number in _SIGNALS:
        if signal.getsignal(number) is leave:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else _interrupt)
            sys.unraisablehook = _unraisable


def heard() -> tuple[int, ...]:
    """The signals that interrupt what is at work, in the thread that gets them."""
    if threading.current_thread() is not threading.main_thread():
        return ()
    return tuple(number for number in _SIGNALS if signal.getsignal(number) in (signal.default_int_handler, _interrupt))


def rest() -> None:
    """From here on only words are written: a signal ends the process at once again. Without `listen`, as before."""
    if sys.unraisablehook is _unraisable:
        for number in heard():
            signal.signal(number, leave)


def heed_nothing() -> None:
    """From here on the last words of an interruption are written, and it is told once. Without `listen`, as before."""
    if sys.unraisablehook is _unraisable:
        for number in heard():
            signal.signal(number, signal.SIG_IGN)


def finish(code: int) -> None:
    """What remains is the interpreter's own end: a signal shortens it, and changes the exit code no more.

    After an interruption there is nothing to wait for; Python would end itself by SIGINT where it came during `exec`.
    """
    if code == INTERRUPTED:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError, AttributeError):
                continue
        atexit._run_exitfuncs()  # folders that live as long as the process
        os._exit(code)
    for number in _SIGNALS:
        if signal.getsignal(number) in {leave, _interrupt, signal.default_int_handler}:
            signal.signal(number, _ended(code))


def leave(_number: int, _frame: object) -> None:
    """End this process here and now, with a word. Written past all buffers and modules: some may be half loaded."""
    new_line = "\x1b[?25h\n" if os.isatty(2) else ""  # what was drawn may hide the cursor, and there is a `^C`
    for stream, text in ((2, new_line + _LINE), (1, _DOCUMENT if wants_document(sys.argv[1:]) else "")):
        try:
            os.write(stream, text.encode())
        except OSError:
            continue  # nobody reads it
    os._exit(INTERRUPTED)


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _ended(code: int) -> Callable[[int, object], None]:
    def leave(_number: int, _frame: object) -> None:
        os._exit(code)

    return leave


def _deafen() -> None:
    """The last that an ending interpreter calls: it then gives signals back, and one would change the exit code."""
    for number in _SIGNALS:
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_IGN)


def _unraisable(found: sys.UnraisableHookArgs) -> None:
    """Python drops an interrupt that comes while it tidies up an object, and would go on as if nobody had asked."""
    if isinstance(found.exc_value, KeyboardInterrupt):
        leave(signal.SIGINT, None)
    sys.__unraisablehook__(found)
