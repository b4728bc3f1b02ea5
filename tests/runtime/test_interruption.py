"""Calls that were under way when a process ended: which are made again, and what the model is told of the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from perstack.core.events import Event
from perstack.core.json import Json
from perstack.core.messages import ModelReply, ModelRequest, ToolMessage, ToolResult
from perstack.runtime.fold import fold
from perstack.testing import Collect, FunctionSkill, counting_ids, done, failing, reply
from tests.runtime.running import Bench

pytestmark = pytest.mark.anyio

THREE = reply(calls=[("write", {"n": 1}), ("look", {}), ("write", {"n": 2})])


class Cut(Collect):
    """Keeps events up to the `nth` of a type, then the process ends."""

    def __init__(self, kind: str, nth: int = 1) -> None:
        super().__init__()
        self._kind, self._left, self._over = kind, nth, False

    def __call__(self, event: Event) -> None:
        if self._over:
            raise KeyboardInterrupt
        super().__call__(event)
        self._left -= event.type == self._kind
        self._over = self._left == 0


def tools() -> FunctionSkill:
    return FunctionSkill({"look": lambda _: "seen", "write": lambda args: f"wrote {args['n']}"}, read_only=("look",))


def script(request: ModelRequest) -> ModelReply:
    return done("ok") if isinstance(request.messages[-1], ToolMessage) else THREE


async def resumed(cut: Cut) -> tuple[list[str], tuple[ToolResult, ...]]:
    """Run until `cut`, resume; the calls made by the second process, and the results the model got."""
    with pytest.raises(KeyboardInterrupt):
        await Bench(script, skill=tools(), collect=cut).run()
    sink = Collect()
    sink.events.extend(cut.events)
    again = Bench(script, skill=tools(), collect=sink, new_id=counting_ids("r"))
    await again.runner.resume(again.request(), fold(cut.events))
    last = again.scripted().requests[0].messages[-1]
    assert isinstance(last, ToolMessage)
    assert fold(sink.events).latest_run() is not None
    made = [f"{call.tool_name} {call.args.get('n', '')}".strip() for call in again.skill.called]
    return made[:-1], last.results


async def test_an_unsafe_call_is_recorded_before_it_is_made_with_the_results_before_it() -> None:
    bench = Bench(script, skill=tools())
    await bench.run()
    records = [event.payload for event in bench.events if event.type == "startToolCall"]
    assert [record["toolCallId"] for record in records] == ["call_1", "call_3"]
    assert records[0]["partialToolResults"] == []
    assert str(records[1]["partialToolResults"]).count("textPart") == 2
    resolved = bench.collect.first("resolveToolResults").payload["toolResults"]
    assert isinstance(resolved, list)
    assert [item["id"] for item in resolved] == ["call_1", "call_2", "call_3"]
    assert all(item["result"] for item in resolved), "watchers see every result whole"


async def test_safe_and_hopeless_calls_leave_no_record() -> None:
    calls = [("look", {}), ("fly", {}), ("attemptCompletion", {"result": "r"})]
    bench = Bench([reply(calls=calls), reply("ok")], skill=tools())
    await bench.run()
    assert bench.collect.types("startToolCall") == []


async def test_a_call_that_never_began_is_simply_made() -> None:
    made, results = await resumed(Cut("callTools"))
    assert made == ["write 1", "look", "write 2"]
    assert [result.is_error for result in results] == [False, False, False]


async def test_a_call_that_began_is_not_made_again_and_the_model_is_told() -> None:
    made, results = await resumed(Cut("startToolCall"))
    assert made == ["look", "write 2"]
    assert [result.is_error for result in results] == [True, False, False]
    assert "may or may not have taken effect" in results[0].text


async def test_results_on_record_are_kept_when_a_later_call_is_cut_off() -> None:
    made, results = await resumed(Cut("startToolCall", 2))
    assert made == []
    assert [result.text.split()[0] for result in results] == ["wrote", "seen", "The"]


async def test_a_failed_call_on_record_still_keeps_a_completion_back() -> None:
    skill = FunctionSkill({"break": failing("no"), "write": lambda _: "written"})
    calls: Sequence[tuple[str, Mapping[str, Json]]] = [
        ("break", {}), ("write", {}), ("attemptCompletion", {"result": "early"})
    ]  # fmt: skip
    bench = Bench([reply(calls=calls), reply("late")], skill=skill)
    assert (await bench.run()).text == "late"
    assert [call.tool_name for call in skill.called] == ["break", "write"]


async def test_a_skill_that_remembers_learns_what_it_did_before() -> None:
    class Counting(FunctionSkill):
        def restore(self, past: Sequence[tuple[object, ToolResult]]) -> None:
            self.past = [result.text for _, result in past]

    cut = Cut("startGeneration", 2)
    with pytest.raises(KeyboardInterrupt):
        await Bench(script, skill=tools(), collect=cut).run()
    skill = Counting({"write": lambda _: ""})
    again = Bench(script, skill=skill, new_id=counting_ids("r"))
    await again.runner.resume(again.request(), fold(cut.events))
    assert skill.past == ["wrote 1", "seen", "wrote 2"]
