"""Several delegates at once: bounded, in call order, independent of each other's failures, cancellable, resumable."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import anyio
import pytest

from perstack.core.contracts import Tell
from perstack.core.errors import BudgetExceeded, InfrastructureError, SandboxUnavailable
from perstack.core.json import Json
from perstack.core.messages import Delta, ExpertMessage, ModelReply, ModelRequest, ToolMessage
from perstack.core.usage import Usage
from perstack.runtime.delegation import PARALLEL, parallel_at
from perstack.runtime.driver import TokenBudget
from perstack.runtime.fold import fold
from perstack.runtime.state import RunStatus
from perstack.testing import FunctionSkill, counting_ids, done, expert, experts, reply
from tests.runtime.running import Bench

pytestmark = pytest.mark.anyio

NAMES = tuple("bcdefghijklm")
TEAM = experts(expert("a", "I am A.", delegates=NAMES), *(expert(name, f"I am {name.upper()}.") for name in NAMES))


def who(request: ModelRequest) -> str:
    return next(key for key in TEAM if f"I am {key.upper()}." in request.system)


def working(*names: str) -> Callable[[ModelRequest], ModelReply]:
    """A lead that asks `names` in one reply; each of them calls its tool `work` and hands on what it answers."""

    def script(request: ModelRequest) -> ModelReply:
        last = request.messages[-1]
        if isinstance(last, ToolMessage):
            return done(last.results[0].text if who(request) != "a" else "A")
        return reply(calls=[(name, {"query": "q"}) for name in names] if who(request) == "a" else [("work", {})])

    return script


def results(bench: Bench) -> list[tuple[str, bool]]:
    """What the lead got from its delegates, in the order it sees."""
    last = bench.scripted().requests[-1].messages[-1]
    assert isinstance(last, ToolMessage)
    return [(result.text, result.is_error) for result in last.results]


async def test_no_more_than_the_limit_run_at_once_and_all_run() -> None:
    running = most = 0
    full = anyio.Event()

    async def work(_: Mapping[str, Json]) -> str:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == PARALLEL:
            full.set()
        with anyio.fail_after(5):
            await full.wait()
        await anyio.lowlevel.checkpoint()
        running -= 1
        return "worked"

    bench = Bench(working(*NAMES), child_skills={name: FunctionSkill({"work": work}) for name in NAMES})
    outcome = await bench.run(TEAM["a"], experts=TEAM)
    assert most == PARALLEL
    assert results(bench) == [("worked", False)] * len(NAMES)
    assert outcome.usage == Usage(10 * (2 * len(NAMES) + 2), 5 * (2 * len(NAMES) + 2))
    assert outcome.steps == 5, "parallel branches count from the same base and the highest is kept"


async def test_delegates_of_delegates_run_side_by_side_less_and_less() -> None:
    assert [parallel_at(depth) for depth in range(6)] == [8, 4, 2, 1, 1, 1]
    running = most = 0

    async def work(_: Mapping[str, Json]) -> str:
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _turn in range(20):
            await anyio.lowlevel.checkpoint()
        running -= 1
        return "worked"

    team = experts(
        expert("a", "I am A.", delegates=("b",)), expert("b", "I am B.", delegates=NAMES[1:]),
        *(TEAM[name] for name in NAMES[1:]),
    )  # fmt: skip
    asks = {"a": ("b",), "b": NAMES[1:]}

    def script(request: ModelRequest) -> ModelReply:
        name = who(request)
        if isinstance(request.messages[-1], ToolMessage):
            return done(name)
        return reply(calls=[(one, {"query": "q"}) for one in asks[name]] if name in asks else [("work", {})])

    bench = Bench(script, child_skills={name: FunctionSkill({"work": work}) for name in NAMES[1:]})
    assert (await bench.run(team["a"], experts=team)).text == "a"
    assert most == 4


async def test_results_are_in_the_order_of_the_calls_whoever_ends_first() -> None:
    last_done = anyio.Event()

    def work(name: str) -> FunctionSkill:
        async def run(_: Mapping[str, Json]) -> str:
            if name == "d":
                last_done.set()
            with anyio.fail_after(5):
                await last_done.wait()
            return f"{name} worked"

        return FunctionSkill({"work": run})

    bench = Bench(working("b", "c", "d"), child_skills={name: work(name) for name in "bcd"})
    await bench.run(TEAM["a"], experts=TEAM)
    assert [text for text, _ in results(bench)] == ["b worked", "c worked", "d worked"]


async def test_a_failing_branch_is_told_and_the_others_finish() -> None:
    def fail(_: Mapping[str, Json]) -> str:
        raise InfrastructureError("the server is gone")

    class NoStart(FunctionSkill):
        async def open(self, tell: Tell) -> None:
            raise InfrastructureError("no such program")

    skills = {"b": FunctionSkill({"work": fail}), "c": NoStart(), "d": FunctionSkill({"work": lambda _: "fine"})}
    bench = Bench(working("b", "c", "d"), child_skills=skills)
    outcome = await bench.run(TEAM["a"], experts=TEAM)
    assert results(bench) == [
        ("Delegation to b failed: the server is gone", True),
        ("Delegation to c failed: no such program", True),
        ("fine", False),
    ]
    assert sorted(bench.collect.tagged("stopRunByError")) == ["stopRunByError:b", "stopRunByError:c"]
    assert sorted(bench.collect.tagged("startRun")) == [
        "startRun:a", "startRun:a", "startRun:b", "startRun:c", "startRun:d"
    ]  # fmt: skip
    assert outcome.usage == Usage(50, 25), "what a failed branch has cost is counted"


async def test_a_dead_sandbox_in_one_branch_ends_the_job_and_stops_the_others() -> None:
    started = anyio.Event()

    async def die(_: Mapping[str, Json]) -> str:
        await started.wait()
        raise SandboxUnavailable("the engine stopped")

    async def wait(_: Mapping[str, Json]) -> str:
        started.set()
        await anyio.sleep_forever()
        return ""

    bench = Bench(
        working("b", "c"), child_skills={"b": FunctionSkill({"work": die}), "c": FunctionSkill({"work": wait})}
    )
    with anyio.fail_after(5), pytest.raises(SandboxUnavailable, match="the engine stopped"):
        await bench.run(TEAM["a"], experts=TEAM)
    assert all(skill.closed for skill in bench.opened)


async def test_the_budget_is_shared_by_all_branches() -> None:
    skills = {name: FunctionSkill({"work": lambda _: "x"}) for name in NAMES}
    bench = Bench(working("b", "c", "d"), child_skills=skills, tokens=TokenBudget(50))
    with pytest.raises(BudgetExceeded):
        await bench.run(TEAM["a"], experts=TEAM)
    assert len(bench.scripted().requests) <= 6


class Waiting:
    """A provider that answers the lead and lets every delegate wait for ever."""

    def __init__(self, *names: str) -> None:
        self.script, self.names = working(*names), names
        self.waiting, self.left = 0, 0
        self.all_wait = anyio.Event()

    @property
    def name(self) -> str:
        return "waiting"

    async def generate(self, request: ModelRequest, on_delta: Callable[[Delta], None]) -> ModelReply:
        if who(request) == "a":
            return self.script(request)
        self.waiting += 1
        if self.waiting == len(self.names):
            self.all_wait.set()
        try:
            await anyio.sleep_forever()
        finally:
            self.left += 1
        raise AssertionError

    async def close(self) -> None: ...


async def test_cancelling_a_job_stops_every_branch_and_it_can_be_resumed() -> None:
    provider = Waiting("b", "c", "d")
    bench, tasks = Bench(provider), len(anyio.get_running_tasks())
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: bench.run(TEAM["a"], experts=TEAM))
            await provider.all_wait.wait()
            group.cancel_scope.cancel()
    assert provider.left == 3
    assert len(anyio.get_running_tasks()) == tasks, "no branch is left behind"
    assert all(skill.closed for skill in bench.opened)
    job = fold(bench.events)
    assert [run.status for run in job.runs.values()] == [RunStatus.STOPPED_BY_DELEGATE, *[RunStatus.PROCEEDING] * 3]
    skills = {name: FunctionSkill({"work": lambda _: "worked"}) for name in "bcd"}
    again = Bench(working("b", "c", "d"), child_skills=skills, new_id=counting_ids("r"))
    outcome = await again.runner.resume(again.request(TEAM["a"], experts=TEAM), job)
    assert (outcome.status, outcome.text) == ("completed", "A")
    assert results(again) == [("worked", False)] * 3


async def test_a_crash_in_one_branch_keeps_what_the_others_have_done() -> None:
    finished = anyio.Event()

    def fine(_: Mapping[str, Json]) -> str:
        return "b worked"

    async def crash(_: Mapping[str, Json]) -> str:
        with anyio.fail_after(5):
            await finished.wait()
        raise KeyError("a bug")

    bench = Bench(
        working("b", "c"), child_skills={"b": FunctionSkill({"work": fine}), "c": FunctionSkill({"work": crash})}
    )
    events = bench.collect.events

    async def watch() -> None:
        while not any(event.type == "completeRun" for event in events):
            await anyio.lowlevel.checkpoint()
        finished.set()

    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        with pytest.raises(KeyError, match="a bug"):
            await bench.run(TEAM["a"], experts=TEAM)
    job = fold(bench.events)
    skills = {"b": FunctionSkill(), "c": FunctionSkill({"work": lambda _: "c worked"})}
    again = Bench(working("b", "c"), child_skills=skills, new_id=counting_ids("r"))
    outcome = await again.runner.resume(again.request(TEAM["a"], experts=TEAM), job)
    assert outcome.status == "completed"
    (lead,) = [request for request in again.scripted().requests if who(request) == "a"]
    assert not [request for request in again.scripted().requests if who(request) == "b"], "b had completed"
    last = lead.messages[-1]
    assert isinstance(last, ToolMessage)
    assert last.results[0].text == "b worked"
    assert "may or may not have taken effect" in last.results[1].text
    assert isinstance(lead.messages[-2], ExpertMessage)
