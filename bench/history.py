"""What keeping a history costs: a step with a free model and tool, the log's size, resuming, folding. Prints JSON.

All that is left of such a step is ours: deciding, writing, syncing, folding. Processor time, so that a busy machine
blurs it little; the best of several where it is a whole.
"""

from __future__ import annotations

import itertools
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import anyio

from perstack.core.events import Event
from perstack.core.json import Json
from perstack.core.messages import Delta, ModelReply, ModelRequest
from perstack.infrastructure.secrets import Redactor
from perstack.runtime.driver import Runner, RunRequest
from perstack.runtime.fold import fold
from perstack.runtime.log import EventLog, load_log
from perstack.testing import FunctionSkill, done, expert, reply

_OUTPUT = "x" * 1024
_EDGE = 100
_MANY = 100_000


class _Free:
    """A model that costs nothing and keeps nothing but when it was asked, in processor seconds."""

    name = "free"

    def __init__(self, steps: int) -> None:
        self.asked: list[float] = []
        self._steps = steps

    async def generate(self, _request: ModelRequest, _on_delta: Callable[[Delta], None]) -> ModelReply:
        self.asked.append(time.process_time())
        if len(self.asked) > self._steps:
            return done("ready")
        return reply(calls=[("edit", {"path": f"src/file-{len(self.asked)}.py"})])

    async def close(self) -> None: ...


async def _record(path: Path, steps: int) -> list[float]:
    """Write the log of a run with calls that may not be repeated; processor seconds of each step."""
    model = _Free(steps)
    ids = itertools.count(1)
    log = EventLog(path, Redactor(("not-a-secret-of-anyone",)).redact)
    runner = Runner(model, log, new_id=lambda: f"{next(ids):024x}", now_ms=lambda: time.time_ns() // 1_000_000)
    skill = FunctionSkill({"edit": lambda _: _OUTPUT})
    request = RunRequest(expert=expert(), query="Go.", model="m", job_id="bench", skills=(skill,), max_steps=steps + 2)
    outcome = await runner.run(request)
    log.close()
    if outcome.status != "completed":
        raise RuntimeError(f"the run ended as {outcome.status}: {outcome.error}")
    return [after - before for before, after in itertools.pairwise(model.asked)]


def _many(events: tuple[Event, ...]) -> list[Event]:
    """The first step of a run again and again, each with checkpoints of its own, as `_MANY` events."""
    first = next(n for n, event in enumerate(events) if event.type == "startGeneration")
    last = next(n for n, event in enumerate(events) if event.type == "continueToNextStep")
    made = list(events[:first])
    for number in itertools.count(1):
        for event in events[first : last + 1]:
            if len(made) == _MANY:
                return made
            made.append(event if event.type != "continueToNextStep" else replace(event, payload=_named(event, number)))
    raise AssertionError


def _named(event: Event, number: int) -> Mapping[str, Json]:
    return {
        "checkpoint": {**dict(event.payload["checkpoint"] or {}), "id": f"c{number}"},  # type: ignore[arg-type]
        "nextCheckpoint": {"id": f"n{number}", "stepNumber": number + 1},
    }


def _best(work: Callable[[], object], times: int) -> float:
    found = []
    for _ in range(times):
        started = time.process_time()
        work()
        found.append(time.process_time() - started)
    return min(found)


def main(steps: int, times: int) -> None:
    """Print milliseconds a step at the beginning and at the end, megabytes, and seconds to resume and to fold."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        path = Path(folder) / "events.jsonl"
        gaps = anyio.run(_record, path, steps)
        size = path.stat().st_size
        resume = _best(lambda: fold(load_log(path).events), times)
        many = _many(load_log(path).events)
    figures = {
        "first_ms": statistics.median(gaps[:_EDGE]) * 1000,
        "last_ms": statistics.median(gaps[-_EDGE:]) * 1000,
        "log_mb": size / 1_000_000,
        "resume_ms": resume * 1000,
        "fold_s": _best(lambda: fold(many), min(times, 3)),
    }
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
