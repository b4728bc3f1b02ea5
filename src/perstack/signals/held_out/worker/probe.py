"""Evaluates calls of the project for the verifier, in a plain process. Imports nothing of perstack.

No test runner is loaded, no test file is there, and nothing says that this is a check. Values go to the verifier as
plain data with the type they have: what an object says about its own equality has no part in it.
"""
# os.path is loaded anyway; pathlib would be one more module that the code under test can touch.
# ruff: noqa: ARG001, BLE001, ICN001, UP017, PTH100, PTH120, S307

from __future__ import annotations

import datetime
import importlib
import json
import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perstack.signals.held_out.worker.perstack_encoding import Encoder
    from perstack.signals.pytest.worker.perstack_channel import Emit, open_channel
    from perstack.signals.pytest.worker.perstack_sources import with_roots, write_versions
else:
    from perstack_channel import open_channel  # these lie beside this script
    from perstack_encoding import Encoder
    from perstack_sources import with_roots, write_versions

CALL_S, EXAMPLES_S = 0.25, 3.0
YEARS_S = 25 * 365 * 86400


class Slow(BaseException):
    """A call took too long; not an Exception, so that the code under test does not catch it."""


def on_alarm(number: int, frame: Any) -> None:
    raise Slow


def outcome(text: str, names: dict[str, Any]) -> list[Any]:
    """What an expression gives: its value, or the classes of what it raises."""
    signal.setitimer(signal.ITIMER_REAL, CALL_S)
    try:
        value = eval(compile(text, "<call>", "eval"), dict(names))
    except Slow:
        return ["slow"]
    except BaseException as error:
        return ["raised", [kind.__name__ for kind in type(error).__mro__]]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    try:
        return ["value", Encoder().encode(value)]
    except Exception:
        return ["value", ["large"]]  # an object that cannot be looked at says nothing


def bring(wanted: list[list[str]]) -> dict[str, Any]:
    """Import what the expressions name."""
    found: dict[str, Any] = {}
    for name, module, attribute in wanted:
        target = importlib.import_module(module)
        if attribute and not hasattr(target, attribute):
            target = importlib.import_module(module + "." + attribute)
        elif attribute:
            target = getattr(target, attribute)
        found[name] = target
    return found


def shift_clock(workspace: str) -> None:
    """Let the project's modules see a clock that is years ahead."""
    real, real_day = datetime.datetime, datetime.date

    class Later(datetime.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return real.now(tz) + datetime.timedelta(seconds=YEARS_S)

        @classmethod
        def utcnow(cls) -> Any:
            return real.now(datetime.timezone.utc).replace(tzinfo=None) + datetime.timedelta(0, YEARS_S)

    class LaterDay(datetime.date):
        @classmethod
        def today(cls) -> Any:
            return real_day.today() + datetime.timedelta(seconds=YEARS_S)

    def ahead(function: Any, scale: int = 1) -> Any:
        return lambda: function() + YEARS_S * scale

    def at(function: Any) -> Any:
        return lambda moment=None: function(time.time() if moment is None else moment)

    changed = {
        id(real): Later, id(real_day): LaterDay, id(time.time): ahead(time.time),
        id(time.time_ns): ahead(time.time_ns, 10**9), id(time.monotonic): ahead(time.monotonic),
        id(time.perf_counter): ahead(time.perf_counter), id(time.localtime): at(time.localtime),
        id(time.gmtime): at(time.gmtime), id(time.ctime): at(time.ctime),
        id(time.asctime): lambda moment=None, made=time.asctime, now=time.localtime: made(moment or now(time.time())),
        id(time.strftime): lambda form, moment=None, made=time.strftime, now=time.localtime: made(
            form, moment or now(time.time())
        ),
    }  # fmt: skip
    for module in [*sys.modules.values()]:
        file = getattr(module, "__file__", None) or ""
        if os.path.realpath(file).startswith(workspace + os.sep) or module in (time, datetime):
            for name, value in list(vars(module).items()):
                if id(value) in changed:
                    setattr(module, name, changed[id(value)])


class Session:
    """The questions of one request, put to the project in their order."""

    def __init__(self, request: dict[str, Any], emit: Emit) -> None:
        self._groups, self._neighbours, self._emit = request["groups"], request["neighbours"], emit
        self._clock = time.monotonic
        self._until = request["seconds"]

    def load(self) -> None:
        """Import what is asked about."""
        for index, group in enumerate(self._groups):
            try:
                group["space"] = bring(group["names"])
            except BaseException as error:
                self._emit({"type": "unloaded", "group": index, "message": type(error).__name__})
                group["space"] = None

    def examples(self, kind: str) -> None:
        """Every call of the tests, and at first what it should give."""
        until = self._clock() + EXAMPLES_S
        for index, group in enumerate(self._groups):
            for number, example in enumerate(group["examples"]):
                if self._clock() > until:
                    return
                self._ask(kind, index, number, example["call"])
                if kind == "first":
                    self._ask("expected", index, number, example["expected"])

    def neighbours(self) -> None:
        """Calls near to them, as many as there is time for."""
        self._until += self._clock()
        for index, number, text in self._neighbours:
            if self._clock() > self._until:
                break
            self._ask("neighbour", index, number, text)

    def _ask(self, kind: str, group: int, number: int, text: str) -> None:
        space = self._groups[group]["space"]
        if space is not None and text:
            self._emit({"type": kind, "group": group, "number": number, "outcome": outcome(text, space)})


def main() -> None:
    """Read the request, evaluate, report, leave."""
    leave = os._exit
    request = json.loads(sys.stdin.buffer.read())
    os.chdir(request["home"])
    # not before the start: packages of the user's own are found by the home
    os.environ["HOME"] = os.environ["TMPDIR"] = request["home"]
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    emit: Emit = open_channel(request["socket"], request.pop("nonce"))
    here = os.path.dirname(os.path.abspath(__file__))
    kept = [entry for entry in sys.path if entry and os.path.abspath(entry) != here]
    sys.path[:] = with_roots([request["workspace"], *kept], request["roots"])
    write_versions(request["version_files"])
    signal.signal(signal.SIGALRM, on_alarm)
    sys.argv = ["app"]
    os.environ.pop("PYTHONPATH", None)
    os.environ.pop("PYTHONHASHSEED", None)  # runs of suites have one
    session = Session(request, emit)
    session.load()
    session.examples("first")
    session.neighbours()
    session.examples("again")
    shift_clock(os.path.realpath(request["workspace"]))
    session.examples("later")
    emit({"type": "finish", "exit": 0})
    sys.stdout.flush()
    leave(0)


if __name__ == "__main__":
    main()
