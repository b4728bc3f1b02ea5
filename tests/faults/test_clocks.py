"""The clock of the machine jumps, forwards and backwards: order, budgets and what is on record stay right."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from perstack.core.events import Event
from perstack.core.sandbox import Limits
from perstack.core.storage import JobRecord
from perstack.forge.github_pace import Waits, limit_wait
from perstack.infrastructure.sandbox.disk import watched
from perstack.runtime.driver import Runner
from perstack.runtime.fold import fold
from perstack.runtime.log import load_log
from perstack.runtime.store import JobStore
from perstack.testing import FunctionSkill, counting_ids, done, reply, scripted
from tests.runtime.running import Bench

pytestmark = pytest.mark.anyio
DAY_MS = 86_400_000
JUMPS = {
    "backwards": [0, 5, -DAY_MS, -DAY_MS, 1],
    "forwards": [0, 400 * DAY_MS, 3, 400 * DAY_MS],
    "both": [0, 10 * DAY_MS, -20 * DAY_MS, 30 * DAY_MS, 0],
}


def clock(steps: list[int]) -> Iterator[int]:
    now = 1_790_000_000_000
    while True:
        for step in steps:
            now += step
            yield now


@pytest.mark.threat("F9")
@pytest.mark.parametrize("jump", JUMPS)
async def test_a_run_under_a_jumping_clock_is_whole_and_in_order(tmp_path: Path, jump: str) -> None:
    ticks = clock(JUMPS[jump])
    store = JobStore(tmp_path, str)
    store.create(JobRecord("job", "tester", next(ticks)))
    log = store.open_log("job")
    seen: list[Event] = []

    def sink(event: Event) -> None:
        log(event)
        seen.append(event)

    script = [*(reply(calls=[("look", {})]) for _ in range(3)), done("ready")]
    bench = Bench(script, skill=FunctionSkill({"look": lambda _: "seen"}))
    bench.runner = Runner(scripted(*script), sink, new_id=counting_ids(), now_ms=lambda: next(ticks))
    await bench.run()
    log.close()
    found = load_log(tmp_path / "jobs" / "job" / "events.jsonl")
    assert found.problem == ""
    stored = [event.id for event in seen if event.id in {each.id for each in found.events}]
    assert [event.id for event in found.events] == stored
    (run,) = fold(found.events).runs.values()
    assert (run.status, run.text, run.step) == ("completed", "ready", 4)


@pytest.mark.parametrize(("date", "wait"), [("Mon, 23 Nov 2026 03:00:00 GMT", 60), ("", 3_660), ("soon", 3_660)])
def test_a_limit_ends_by_the_clock_of_who_counts_it(date: str, wait: int) -> None:
    asked = 1_795_402_800  # 03:00, and our own clock is an hour behind
    headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": f"{asked + 60}", "date": date}
    told = {"message": "API rate limit exceeded"}
    assert limit_wait(403, headers, told, attempt=1, waits=Waits(retry=0), now=asked - 3_600) == wait


async def test_a_clock_that_is_set_back_hides_nothing_from_the_limit_of_a_disk(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"x" * 100_000)
    with watched(Limits(disk_mb=1), [tmp_path]) as watch:
        await watch.begin()
        watch.since += 3_600_000_000_000  # the first command was an hour later, on the clock of then
        (tmp_path / "new").write_bytes(b"x" * 3_000_000)
        assert watch.used().size >= 3_000_000
