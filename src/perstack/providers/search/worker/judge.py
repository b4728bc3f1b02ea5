"""Judge edits: targets first, then the tests that could break. Forks of a collected session, or of none.

Nothing is written to the workspace: edits live in the memory of a child that ends with its verdict.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from perstack.providers.search.worker.constants import constant_at, swap_constant
from perstack.providers.search.worker.forks import Outcome, in_fork
from perstack.providers.search.worker.session import PrivateTemp, Session, open_session
from perstack.providers.search.worker.source import Edit, Source
from perstack.providers.search.worker.swap import (
    Home,
    LiveFunctions,
    NotSwappable,
    home_of,
    outermost,
    override_imports,
)

if TYPE_CHECKING:
    from perstack.providers.search.worker.forks import Emit

WORSE, BROKEN, PLAUSIBLE, INVALID, STUCK, AGAIN = "worse", "broken", "plausible", "invalid", "stuck", "again"


@dataclass
class Facts:
    """What locating found, as judging needs it. `seconds` is by test id; paths are real paths."""

    arguments: list[str]
    root: str
    targets: list[str]
    passing: list[str]
    seconds: dict[str, float]
    covers: dict[str, dict[str, list[int]]]
    imports: dict[str, list[int]]
    texts: dict[str, str]
    _homes: dict[str, tuple[Source, list[Home]]] = field(default_factory=dict)

    def home(self, edit: Edit) -> Home | None:
        """The function an edit can be swapped into, or None where the module must be imported anew."""
        if edit.path not in self._homes:
            source = Source.parse(edit.path, self.texts[edit.path])
            self._homes[edit.path] = (source, outermost(source))
        source, homes = self._homes[edit.path]
        home = home_of(homes, source, edit)
        early = self.imports.get(edit.path, [])
        if home is None or any(home.body <= line < home.lines.stop for line in early):
            return None
        return home

    def constant(self, edit: Edit) -> int | None:
        """The module's assignment an edit is in, by index; None for any other place."""
        self.home(edit)
        return constant_at(self._homes[edit.path][0], edit)

    def witnesses(self, path: str, home: Home | None) -> list[str]:
        """Passing tests that run the function, in suite order; all where coverage or the function is unknown."""
        if home is None:
            return self.passing
        lines = set(home.lines)
        return [t for t in self.passing if t not in self.covers or lines & set(self.covers[t].get(path, ()))]

    def limits(self, ids: Sequence[str]) -> dict[str, float]:
        """Wall and processor seconds for a run of these tests, from what they took on the base."""
        known = sum(self.seconds.get(i, 0.1) for i in ids)
        return {"wall_s": min(60.0, 2.0 + 8 * known), "cpu_s": min(30.0, 0.3 + 4 * known)}


class FastJudge:
    """Judges edits of function bodies inside a collected session."""

    def __init__(self, facts: Facts, session: Session) -> None:
        self._facts = facts
        self._session = session
        self._live = LiveFunctions()
        gc.freeze()  # children share these pages as long as no collector writes to them

    def __call__(self, edit: Edit) -> str:
        """One verdict word; AGAIN where the edit needs the slow way."""
        facts = self._facts
        home = facts.home(edit)
        if home is None and facts.constant(edit) is None:
            return AGAIN
        verdict = self._run(edit, home, facts.targets)
        if verdict != PLAUSIBLE:
            return verdict
        verdict = self._run(edit, home, facts.witnesses(edit.path, home))
        return BROKEN if verdict in {WORSE, STUCK} else verdict

    def _run(self, edit: Edit, home: Home | None, ids: Sequence[str]) -> str:
        temp = PrivateTemp() if len(ids) > len(self._facts.targets) else None

        def action(emit: Emit) -> None:
            if temp:
                temp.enter()
            try:
                self._bring_in(edit, home)
            except (SyntaxError, ValueError):
                emit(INVALID)
                return
            except NotSwappable:
                emit(AGAIN)
                return
            emit(_passes(self._session, ids))

        outcome = in_fork(action, **self._facts.limits(ids))
        if temp:
            temp.remove()
        return _word(outcome)

    def _bring_in(self, edit: Edit, home: Home | None) -> None:
        """Raises: SyntaxError, ValueError, NotSwappable."""
        text = self._facts.texts[edit.path]
        constant = self._facts.constant(edit) if home is None else None
        new = compile(edit.apply(text), edit.path, "exec", dont_inherit=True)
        if home is not None:
            self._live.swap(edit.path, home, compile(text, edit.path, "exec", dont_inherit=True), new)
        elif constant is not None:
            swap_constant(edit.path, edit.apply(text), constant)


def _passes(session: Session, ids: Sequence[str]) -> str:
    """Run until one does not pass; a test that is gone did not pass."""
    count = 0
    for test in session.run(ids):
        if test["status"] != "passed":
            return WORSE
        count += 1
    return PLAUSIBLE if count == len(ids) else WORSE


def _word(outcome: Outcome) -> str:
    return str(outcome.reports[-1]) if outcome.done and outcome.reports else STUCK


def slow_judge(facts: Facts, edit: Edit) -> str:
    """Judge by importing everything anew in a child: any edit, at the price of a collection."""
    try:
        compile(edit.apply(facts.texts[edit.path]), edit.path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return INVALID
    verdict = _whole_run(facts, edit, facts.targets, [f"{facts.root}/{t}" for t in facts.targets])
    if verdict != PLAUSIBLE:
        return verdict
    verdict = _whole_run(facts, edit, facts.passing, [])
    return BROKEN if verdict in {WORSE, STUCK} else verdict


def _whole_run(facts: Facts, edit: Edit, ids: Sequence[str], selection: list[str]) -> str:
    temp = PrivateTemp()

    def action(emit: Emit) -> None:
        temp.enter()
        override_imports({edit.path: edit.apply(facts.texts[edit.path])})
        open_session([*facts.arguments, *selection], lambda session: emit(_passes(session, ids)))

    limits = facts.limits(ids)
    outcome = in_fork(action, wall_s=limits["wall_s"] + 10, cpu_s=limits["cpu_s"] + 5)
    temp.remove()
    if outcome.done and not outcome.reports:
        return WORSE  # pytest gave up before it ran a test
    return _word(outcome)


class Slot:
    """One process that judges one edit after the other. Talks JSON lines over a socket pair."""

    def __init__(self, facts: Facts, edits: Sequence[Edit]) -> None:
        self._ours, theirs = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            os.setpgid(0, 0)
            self._ours.close()
            _serve(theirs, facts, edits)
        with contextlib.suppress(OSError):  # the child was faster
            os.setpgid(self.pid, self.pid)
        theirs.close()
        self._lines = self._ours.makefile("r", encoding="utf-8")

    def fileno(self) -> int:
        """For select."""
        return self._ours.fileno()

    def give(self, index: int) -> None:
        """Ask for the verdict on an edit."""
        self._ours.sendall(f"{index}\n".encode())

    def take(self) -> tuple[int, str] | None:
        """The next verdict, waiting for it; None when the slot died."""
        line = self._lines.readline()
        if not line:
            return None
        index, word = json.loads(line)
        return int(index), str(word)

    def close(self) -> None:
        """End the process and the session it holds; a child still at work ends at its own limits."""
        self._ours.close()
        self._lines.close()
        os.killpg(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def _serve(channel: socket.socket, facts: Facts, edits: Sequence[Edit]) -> None:
    """Never returns. Fast verdicts come from a collected child process, slow ones from forks of this one."""
    try:
        near, far = socket.socketpair()
        if os.fork() == 0:
            channel.close()
            near.close()
            _serve_fast(far, facts, edits)
        far.close()
        fast = near.makefile("r", encoding="utf-8")
        for line in channel.makefile("r", encoding="utf-8"):
            edit = edits[int(line)]
            word = AGAIN
            if facts.home(edit) is not None or facts.constant(edit) is not None:
                near.sendall(line.encode())
                word = fast.readline().strip() or AGAIN
            if word == AGAIN:
                word = slow_judge(facts, edit)
            channel.sendall(json.dumps([int(line), word]).encode() + b"\n")
        near.close()
    except OSError:
        pass  # the other side is gone: nothing left to judge
    finally:
        os._exit(0)


def _serve_fast(channel: socket.socket, facts: Facts, edits: Sequence[Edit]) -> None:
    """Never returns. Collects once, then judges by forking."""

    def action(session: Session) -> None:
        judge = FastJudge(facts, session)
        for line in channel.makefile("r", encoding="utf-8"):
            channel.sendall(f"{judge(edits[int(line)])}\n".encode())

    try:
        open_session(facts.arguments, action)
    except OSError:
        pass  # the other side is gone
    finally:
        os._exit(0)
