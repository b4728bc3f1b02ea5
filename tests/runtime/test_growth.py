"""Cost over many steps and behaviour at the edges of time: growth, concurrency, cancellation."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping

import anyio
import pytest

from perstack.core.errors import SandboxUnavailable
from perstack.core.json import Json, compact
from perstack.core.messages import Delta, ModelReply, ModelRequest
from perstack.testing import FunctionSkill, done, expert, experts, reply
from tests.runtime.running import Bench

pytestmark = pytest.mark.anyio


class Sleeping:
    """A provider that says when it was asked and then never answers."""

    def __init__(self) -> None:
        self.asked = anyio.Event()
        self.left = False

    @property
    def name(self) -> str:
        return "sleeping"

    async def generate(self, request: ModelRequest, on_delta: Callable[[Delta], None]) -> ModelReply:
        self.asked.set()
        try:
            await anyio.sleep_forever()
        finally:
            self.left = True
        raise AssertionError

    async def close(self) -> None: ...


@pytest.mark.slow
async def test_a_thousand_steps_cost_what_a_hundred_cost_ten_times() -> None:
    async def written(steps: int) -> tuple[int, int]:
        bench = Bench(
            lambda request: done() if len(request.messages) >= 2 * steps - 1 else reply(calls=[("look", {})]),
            skill=FunctionSkill({"look": lambda _: "seen"}),
        )
        await bench.run(max_steps=steps)
        return len(bench.events), sum(len(compact(event.to_json())) for event in bench.events)

    (few, few_bytes), (many, many_bytes) = await written(100), await written(1000)
    assert many <= 10 * few
    assert many_bytes <= 10.3 * few_bytes  # numbers have more digits


async def test_the_prefix_a_provider_may_keep_never_changes() -> None:
    bench = Bench(
        [reply(calls=[("look", {})]), reply(calls=[("look", {})]), done()],
        skill=FunctionSkill({"look": lambda _: "seen"}),
    )
    await bench.run()
    requests = bench.scripted().requests
    for before, after in itertools.pairwise(requests):
        assert all(a is b for a, b in zip(before.messages, after.messages, strict=False))
        assert (before.system, before.run_id) == (after.system, after.run_id)
        assert before.tools is after.tools


async def test_neighbouring_read_only_calls_run_together_and_others_keep_their_order() -> None:
    order: list[str] = []
    both = anyio.Event()

    async def read(args: Mapping[str, Json]) -> str:
        order.append(f"read {args['n']}")
        if len(order) == 2:
            both.set()
        with anyio.fail_after(5):
            await both.wait()
        return str(args["n"])

    def write(args: Mapping[str, Json]) -> str:
        order.append(f"write {args['n']}")
        return "written"

    skill = FunctionSkill({"read": read, "write": write}, read_only=("read",))
    calls: list[tuple[str, Mapping[str, Json]]] = [
        ("read", {"n": 1}), ("read", {"n": 2}), ("write", {"n": 3}), ("write", {"n": 4}), ("read", {"n": 5})
    ]  # fmt: skip
    bench = Bench([reply(calls=calls), done()], skill=skill)
    await bench.run()
    assert order == ["read 1", "read 2", "write 3", "write 4", "read 5"]
    results = bench.collect.first("resolveToolResults").payload["toolResults"]
    assert isinstance(results, list)
    assert [result["id"] for result in results] == [f"call_{n}" for n in range(1, 6)]


async def test_a_dead_sandbox_in_one_of_parallel_calls_is_raised_as_itself() -> None:
    async def wait(_: Mapping[str, Json]) -> str:
        await anyio.sleep_forever()
        return ""

    def die(_: Mapping[str, Json]) -> str:
        raise SandboxUnavailable("gone")

    skill = FunctionSkill({"wait": wait, "die": die}, read_only=("wait", "die"))
    bench = Bench([reply(calls=[("wait", {}), ("die", {})])], skill=skill)
    with anyio.fail_after(5), pytest.raises(SandboxUnavailable, match="gone"):
        await bench.run()


async def test_cancelling_closes_the_skills_of_delegates_and_emits_nothing_afterwards() -> None:
    provider = Sleeping()
    team = experts(expert("a", "I am A.", delegates=("b",)), expert("b", "I am B."))
    bench = Bench(provider)
    script = iter([reply(calls=[("b", {"query": "q"})])])
    asleep = provider.generate

    async def first_then_sleep(request: ModelRequest, on_delta: Callable[[Delta], None]) -> ModelReply:
        return next(script, None) or await asleep(request, on_delta)

    provider.generate = first_then_sleep  # type: ignore[method-assign]
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: bench.run(team["a"], experts=team))
            await provider.asked.wait()
            group.cancel_scope.cancel()
    assert provider.left
    assert [skill.closed for skill in bench.opened] == [True]
    assert not bench.skill.closed
    assert bench.collect.types()[-1] == "skillDisconnected"
    assert bench.collect.types("completeRun", "stopRunByError") == []
