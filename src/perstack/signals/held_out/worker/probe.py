"""Evaluates calls of the project for the verifier, in a plain process. Imports nothing of perstack.

No test runner is loaded, no test file is there, and nothing says that this is a check. Values go to the verifier as
plain data with the type they have: what an object says about its own equality has no part in it.
"""
# os.path is loaded anyway; pathlib would be one more module that the code under test can touch.
# ruff: noqa: ARG001, BLE001, ICN001, UP017, PTH100, PTH120, S307

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perstack.signals.pytest.worker.perstack_channel import Emit, open_channel
    from perstack.signals.pytest.worker.perstack_sources import with_roots, write_versions
else:
    from perstack_channel import open_channel  # these lie beside this script
    from perstack_sources import with_roots, write_versions

CALL_S = 0.25
DEPTH, SIZE = 8, 2000
YEARS_S = 25 * 365 * 86400


class Slow(BaseException):
    """A call took too long; not an Exception, so that the code under test does not catch it."""


def on_alarm(number: int, frame: Any) -> None:
    raise Slow


class Encoder:
    """One value as plain data: kind, then content. Gives up on what is too large."""

    def __init__(self) -> None:
        self._left = SIZE

    def encode(self, value: Any, depth: int = DEPTH) -> list[Any]:
        self._left -= 1
        if depth < 0 or self._left < 0:
            return ["large"]
        kind = type(value)
        if value is None:
            return ["none"]
        if isinstance(value, int):
            return ["n", int.__repr__(value) if kind is not bool else str(int(value))]
        if isinstance(value, float):
            return ["f", float.__repr__(value)]
        if isinstance(value, str):
            return ["s", str.__getitem__(value, slice(None))[:20000]]
        if isinstance(value, (bytes, bytearray)):
            return ["y", bytes(value).hex()[:20000]]
        return self._container(value, depth - 1) or self._object(value, depth - 1)

    def _container(self, value: Any, depth: int) -> list[Any]:
        if isinstance(value, list):
            return ["l", [self.encode(item, depth) for item in list.__iter__(value)]]
        if isinstance(value, tuple):
            return ["t", [self.encode(item, depth) for item in tuple.__iter__(value)]]
        if isinstance(value, set):
            return ["S", sorted((self.encode(item, depth) for item in set.__iter__(value)), key=json.dumps)]
        if isinstance(value, frozenset):
            return ["S", sorted((self.encode(item, depth) for item in frozenset.__iter__(value)), key=json.dumps)]
        if isinstance(value, dict):
            pairs = [[self.encode(k, depth), self.encode(v, depth)] for k, v in dict.items(value)]
            return ["d", sorted(pairs, key=json.dumps)]
        return []

    def _object(self, value: Any, depth: int) -> list[Any]:
        kind = type(value)
        bases = ["%s.%s" % (base.__module__, base.__qualname__) for base in kind.__mro__]  # noqa: UP031
        if any(base in ("collections.UserList", "collections.UserDict", "collections.UserString") for base in bases):
            return self.encode(value.data, depth)
        if "decimal.Decimal" in bases or "fractions.Fraction" in bases:
            try:
                return ["q", *map(str, value.as_integer_ratio())]
            except (ValueError, OverflowError, AttributeError):
                return ["large"]
        if any(base.startswith("datetime.") for base in bases) or "pathlib.PurePath" in bases:
            return ["o", bases[0], ["s", str(value)]]
        if isinstance(value, BaseException):
            return ["o", bases[0], ["t", [self.encode(item, depth) for item in value.args]]]
        if callable(value) or (not hasattr(value, "__dict__") and not hasattr(kind, "__slots__")):
            return ["large"]
        names = [name for base in kind.__mro__ for name in _slots(base)]
        found = {name: getattr(value, name) for name in names if not name.startswith("_") and hasattr(value, name)}
        found.update((name, item) for name, item in dict(getattr(value, "__dict__", {})).items() if name[:1] != "_")
        return ["o", bases[0], ["d", [[["s", name], self.encode(found[name], depth)] for name in sorted(found)]]]


def _slots(kind: Any) -> list[str]:
    slots = vars(kind).get("__slots__", ())
    return [slots] if isinstance(slots, str) else [str(name) for name in slots]


def outcome(text: str, names: dict[str, Any]) -> list[Any]:
    """What an expression gives: its value, or the classes of what it raises."""
    signal.setitimer(signal.ITIMER_REAL, CALL_S)
    try:
        value = eval(compile(text, "<call>", "eval"), dict(names))
        return ["value", Encoder().encode(value)]
    except Slow:
        return ["slow"]
    except BaseException as error:
        return ["raised", [kind.__name__ for kind in type(error).__mro__]]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


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
    import datetime

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

    changed = {
        id(real): Later, id(real_day): LaterDay, id(time.time): ahead(time.time),
        id(time.time_ns): ahead(time.time_ns, 10**9), id(time.monotonic): ahead(time.monotonic),
        id(time.perf_counter): ahead(time.perf_counter),
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
        self._until = self._clock() + request["seconds"]

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
        for index, group in enumerate(self._groups):
            for number, example in enumerate(group["examples"]):
                self._ask(kind, index, number, example["call"])
                if kind == "first":
                    self._ask("expected", index, number, example["expected"])

    def neighbours(self) -> None:
        """Calls near to them, as many as there is time for."""
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
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    emit: Emit = open_channel(request["socket"], request.pop("nonce"))
    here = os.path.dirname(os.path.abspath(__file__))
    kept = [entry for entry in sys.path if entry and os.path.abspath(entry) != here]
    sys.path[:] = with_roots([request["workspace"], *kept], request["roots"])
    write_versions(request["version_files"])
    signal.signal(signal.SIGALRM, on_alarm)
    sys.argv = ["app"]
    os.environ.pop("PYTHONPATH", None)
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
