"""A job of thirty steps in a process that kills itself, and its resumption in another: `python -m … FOLDER`.

Asks on stdin, one JSON line each: {"folder", "kill_after" (0: never) , "in_call"}: run until the end or the kill.
{"folder", "resume": true}: go on from the log in a fresh process. Each is a fork of this process, so that imports
are paid once. Answers one JSON line: the signal that ended the process, or 0.
"""

from __future__ import annotations

import gc
import itertools
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio

from perstack.core.contracts import Skill
from perstack.core.events import STREAMING_EVENTS, Event
from perstack.core.experts import Expert
from perstack.core.json import Json
from perstack.core.messages import Delta, ExpertMessage, ModelReply, ModelRequest, TextPart, UserMessage
from perstack.core.storage import JobRecord
from perstack.runtime.driver import Runner, RunRequest
from perstack.runtime.fold import fold
from perstack.runtime.state import RunStatus
from perstack.runtime.store import JobStore
from perstack.testing import FunctionSkill, done, expert, experts, reply

JOB = "job"
EFFECTS = "effects"
TEAM = experts(
    expert("a", "I am A.", delegates=("b", "c", "d")),
    expert("b", "I am B.", delegates=("c",)),
    expert("c", "I am C."),
    expert("d", "I am D.", delegates=("c",)),
)


def story(who: str, query: str, turn: int) -> ModelReply:
    """What an expert replies in its n-th turn; every writing call and every query of a job is one of its kind."""

    def write(part: int = 1) -> tuple[str, Mapping[str, Json]]:
        return "write", {"token": f"{query}:{turn}:{part}"}

    def ask(whom: str, part: int = 1) -> tuple[str, Mapping[str, Json]]:
        return whom, {"query": f"{query}.{turn}{whom}{part}"}

    look: tuple[str, Mapping[str, Json]] = ("look", {})
    turns: dict[str, list[list[tuple[str, Mapping[str, Json]]]]] = {
        "A": [
            [write()], [write(1), look, look, write(2)], [ask("b")], [ask("b"), ask("c"), ask("c", 2)],
            [write(), look, ask("d")], [write()], [ask("c")],
        ],
        "B": [[ask("c")], [write(), look]],
        "C": [[look, write()]],
        "D": [[ask("c", 1), ask("c", 2)]],
    }  # fmt: skip
    mine = turns[who]
    return reply(f"{query} {turn}", mine[turn]) if turn < len(mine) else done(f"{who} did {query}")


class Model:
    """Replies by who asks and what it has seen, so that asking again gives the same. Says nothing once."""

    name = "story"

    async def generate(self, request: ModelRequest, _on_delta: Callable[[Delta], None]) -> ModelReply:
        """The next reply of whoever asks."""
        who = request.system.partition("I am ")[2][0]
        first, last = request.messages[0], request.messages[-1]
        assert isinstance(first, UserMessage)
        query = "".join(part.text for part in first.contents if isinstance(part, TextPart))
        turn = sum(isinstance(message, ExpertMessage) for message in request.messages)
        if who == "A" and turn == 5 and not isinstance(last, UserMessage):
            return reply()
        return story(who, query, turn)

    async def close(self) -> None: ...


class Killing:
    """The log, and the kill right after the n-th stored event."""

    def __init__(self, log: Callable[[Event], None], kill_after: int) -> None:
        self._log = log
        self._left = kill_after

    def __call__(self, event: Event) -> None:
        self._log(event)
        if event.type not in STREAMING_EVENTS:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def job(folder: Path, *, kill_after: int = 0, in_call: int = 0, resume: bool = False) -> None:
    """Run the job, or go on with it. `in_call`: kill in the n-th writing call, after its effect."""
    store = JobStore(folder, str)
    if not resume:
        store.create(JobRecord(JOB, "a", 1))
    effects = os.open(folder / EFFECTS, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    calls = itertools.count(1)

    def write(args: Mapping[str, Json]) -> str:
        os.write(effects, f"{args['token']}\n".encode())
        if next(calls) == in_call:
            os.kill(os.getpid(), signal.SIGKILL)
        return f"wrote {args['token']}"

    async def skills_for(_: Expert) -> tuple[Skill, ...]:
        return (FunctionSkill({"look": lambda _: "seen", "write": write}, read_only=("look",)),)

    async def main() -> None:
        state = fold(store.read(JOB).events)
        log = store.open_log(JOB)
        ids = itertools.count(1)
        runner = Runner(
            Model(),
            Killing(log, kill_after),
            new_id=lambda: f"{'r' if resume else 'e'}{next(ids)}",
            now_ms=lambda: time.time_ns() // 1_000_000,
            skills_for=skills_for,
        )
        request = RunRequest(TEAM["a"], "Q", "m", JOB, experts=TEAM, max_steps=60)
        run = state.latest_run()
        if run is None:
            await runner.run(request)
        elif run.status is not RunStatus.COMPLETED:
            await runner.resume(request, state)
        log.close()

    anyio.run(main)


def main() -> None:
    """Serve until stdin ends."""
    with TemporaryDirectory() as warm:
        job(Path(warm))  # whatever is loaded on first use is loaded once
    gc.disable()  # what is made here is small, and a collection would copy the pages that forks share
    for line in sys.stdin:
        asked = json.loads(line)
        folder = Path(asked.pop("folder"))
        child = os.fork()
        if child == 0:
            job(folder, **asked)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(json.dumps(os.waitstatus_to_exitcode(status)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
