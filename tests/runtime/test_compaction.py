"""A run whose history outgrows its model's window: nothing overflows, nothing dangles, nothing is lost for good."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import pytest

from perstack.context.occupancy import messages_tokens
from perstack.core.errors import NO_MEDIA, TOO_LONG, ProviderError
from perstack.core.events import Event
from perstack.core.experts import ContextSpec
from perstack.core.messages import (
    ExpertMessage,
    ImagePart,
    Message,
    ModelReply,
    ModelRequest,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolMessage,
    ToolResult,
)
from perstack.core.storage import CHAIN_SEED, LogContents
from perstack.core.usage import Usage
from perstack.providers.facts import Traits
from perstack.providers.scripted import ScriptedProvider
from perstack.runtime.fold import fold
from perstack.runtime.replay import check
from perstack.runtime.replay_rerun import rerun
from perstack.runtime.wire import int_of, object_of
from perstack.testing import FunctionSkill, done, expert, experts, reply
from tests.runtime.running import Bench

Part = ThinkingPart | TextPart | ToolCall
pytestmark = pytest.mark.anyio

WINDOW = 12_000
READ = FunctionSkill(
    {
        "read": lambda args: f"file {args['n']}: " + "some words of a source file; " * 120,
        "runSignals": lambda _: '{"verdict": "fail", "reasons": ["tests/test_a.py::test_b"]}',
    },
    read_only=("read",),
)


class Reader:
    """Reads one file a step, decides something now and then, and remembers every request."""

    name = "model"

    def __init__(self, steps: int, refuse_over: int = 0) -> None:
        self.requests: list[ModelRequest] = []
        self.asked_for_summary = 0
        self.refused = 0
        self._steps = steps
        self._refuse_over = refuse_over
        self._step = 0

    async def generate(self, request: ModelRequest, _on_delta: object) -> ModelReply:
        size = messages_tokens(request.messages)
        last = request.messages[-1]
        if "about to be replaced by a summary" in str(last):
            self.asked_for_summary += 1
            return reply("SUMMARY: all files are fine so far.", usage=Usage(size, 20))
        if self._refuse_over and size > self._refuse_over:
            self.refused += 1
            raise ProviderError("prompt is too long", status=400, kind=TOO_LONG)
        self.requests.append(request)
        self._step += 1
        if self._step > self._steps:
            return done("all read")
        calls: list[tuple[str, Mapping[str, int]]] = [("read", {"n": self._step})]
        if self._step == 2:
            calls = [("runSignals", {})]
        said = f"Decision {self._step}: keep going." if self._step in (3, 4) else ""
        made = reply(said, calls=calls, thinking=f"thought {self._step}", usage=Usage(size + 400, 60))
        return ModelReply(
            tuple(_named(part, self._step) for part in made.contents), made.stop_reason, made.usage, made.model
        )

    async def close(self) -> None: ...


def _named(part: Part, step: int) -> Part:
    return ToolCall(f"c{step}", part.tool_name, part.args) if isinstance(part, ToolCall) else part


def bench(model: object, window: int | None = WINDOW) -> Bench:
    return Bench(model, skill=READ, traits_for=lambda _: Traits(window=window, output=2_000))  # type: ignore[arg-type]


def whole(messages: Sequence[Message]) -> bool:
    """Whether every call has its result right after it, and every result its call right before it."""
    pairs = zip(messages, (*messages[1:], None), strict=True)
    return all(
        {c.id for c in one.tool_calls} == {r.id for r in following.results}
        for one, following in pairs
        if isinstance(one, ExpertMessage) and one.tool_calls and isinstance(following, ToolMessage)
    ) and not any(
        isinstance(two, ToolMessage) and not isinstance(one, ExpertMessage) for one, two in itertools.pairwise(messages)
    )


def log_of(run: Bench) -> LogContents:
    return LogContents(tuple(run.events), CHAIN_SEED, 0)


def of_kind(run: Bench, kind: str) -> list[Event]:
    return [event for event in run.events if event.type == kind]


async def long_run(steps: int = 40) -> tuple[Bench, Reader]:
    model = Reader(steps)
    run = bench(model)
    outcome = await run.run(query="The task, word for word.")
    assert (outcome.status, outcome.text) == ("completed", "all read")
    return run, model


async def test_no_call_is_longer_than_the_window_and_none_dangles() -> None:
    run, model = await long_run()
    compactions = of_kind(run, "compactContext")
    assert 1 < len(compactions) < 15, "it is made rarely enough for caches to be of use"
    for request in model.requests:
        assert messages_tokens(request.messages) + request.max_output_tokens < WINDOW
        assert whole(request.messages)
        assert "The task, word for word." in str(request.messages[0])
    shares = [object_of(event.payload.get("occupancy")) for event in of_kind(run, "startGeneration")]
    assert int_of(shares[0]["tokens"]) > 300, "the first call is estimated"
    assert all(int_of(one["tokens"]) < WINDOW for one in shares)
    assert any(one.get("warning") for one in shares)
    assert any("to save room" in str(event.payload) for event in of_kind(run, "progress"))


async def test_what_counts_is_kept_word_for_word_and_the_model_sums_up_the_rest() -> None:
    run, model = await long_run()
    last = str(model.requests[-1].messages)
    assert model.asked_for_summary
    for words in ("Decision 3: keep going.", "Decision 4", "tests/test_a.py::test_b", "SUMMARY: all files are fine"):
        assert words in last, words
    usage = sum((int_of(object_of(e.payload["usage"])["outputTokens"]) for e in of_kind(run, "compactContext")), 0)
    assert usage == 20 * model.asked_for_summary, "its cost is on record"


async def test_between_compactions_each_call_extends_the_last() -> None:
    run, model = await long_run()
    broken = [
        number
        for number, (one, two) in enumerate(itertools.pairwise(model.requests))
        if two.messages[: len(one.messages)] != one.messages or two.system != one.system
    ]
    assert len(broken) == len(of_kind(run, "compactContext"))


async def test_the_log_replays_and_folds_to_the_same_state() -> None:
    run, _ = await long_run()
    assert check(log_of(run)).ok
    report = await rerun(log_of(run), experts(expert()))
    assert report.ok, report.difference
    events = run.events
    at = next(number for number, event in enumerate(events) if event.type == "compactContext")
    before, after = fold(events[:at]).latest_run(), fold(events[: at + 1]).latest_run()
    assert before is not None
    assert after is not None
    assert len(after.outputs) > len(before.outputs)
    assert messages_tokens(after.history) < messages_tokens(before.history)


async def test_an_output_left_out_can_be_read_again_after_a_resume_too() -> None:
    run, model = await long_run(25)
    cut = [n for n, event in enumerate(run.events) if event.type == "continueToNextStep"][-3]
    job = fold(run.events[: cut + 1])
    again = bench(ScriptedProvider([reply(calls=[("readToolOutput", {"id": "out-1", "limit": 50})]), done("ok")]))
    await again.runner.resume(again.request(), job)
    requests = again.scripted().requests
    assert "readToolOutput" in [tool.name for tool in requests[0].tools]
    assert requests[1].messages[: len(requests[0].messages)] == requests[0].messages
    result = requests[1].messages[-1]
    assert isinstance(result, ToolMessage)
    assert result.results[0].text.startswith("file 1: some words of a source file")
    assert "characters 0 to 50" in result.results[0].text
    assert model.requests[0].tools != requests[0].tools


async def test_a_refused_call_is_made_shorter_and_asked_again_without_knowing_the_window() -> None:
    model = Reader(20, refuse_over=8_000)
    run = bench(model, window=None)
    outcome = await run.run()
    assert (outcome.text, model.refused > 0) == ("all read", True)
    told = of_kind(run, "compactContext")
    assert {event.payload["reason"] for event in told} >= {"refused"}
    assert model.refused < 4, "what was refused once is not tried again"
    assert all(whole(request.messages) for request in model.requests)
    assert (await rerun(log_of(run), experts(expert()))).ok


async def test_one_output_larger_than_the_window_is_cut_with_a_note_and_can_be_read_in_pieces() -> None:
    run = Bench(
        ScriptedProvider(
            [
                reply(calls=[("dump", {})], usage=Usage(500, 20)),
                reply(calls=[("readToolOutput", {"id": "out-1", "offset": 10_000, "limit": 100})], usage=Usage()),
                done("ok"),
            ]
        ),
        skill=FunctionSkill({"dump": lambda _: "x1 " * 4_000_000}),
        traits_for=lambda _: Traits(window=6_000, output=1_000),
    )
    outcome = await run.run()
    assert outcome.text == "ok"
    assert all(messages_tokens(request.messages) < 6_000 for request in run.scripted().requests)
    assert "Left out to save room" in str(run.scripted().requests[1].messages)


async def test_a_task_longer_than_the_window_is_one_clear_error_and_no_call() -> None:
    run = Bench([reply("never")], traits_for=lambda _: Traits(window=4_000))
    outcome = await run.run(query="many words of a task " * 2_000)
    assert outcome.status == "stoppedByError"
    assert "the model reads 4,000" in outcome.error
    assert run.scripted().requests == []


async def test_a_model_that_refuses_images_gets_a_note_and_goes_on() -> None:
    def answer(request: ModelRequest) -> ModelReply:
        if "ImagePart" in str(request.messages):
            raise ProviderError("this model does not support image input", status=400, kind=NO_MEDIA)
        return done("seen") if len(request.messages) > 1 else reply(calls=[("look", {})])

    image = ToolResult("", "look", (TextPart("a.png"), ImagePart("aGk=", "image/png")))
    run = Bench(answer, skill=FunctionSkill({"look": lambda _: image}))
    outcome = await run.run()
    assert (outcome.text, outcome.troubles) == ("seen", {"refused-media": 1})
    said = str(run.scripted().requests[-1].messages)
    assert "a.png" in said, "the words beside the image stay"
    assert "image/png. The model's server refused an image or a file: this model does not support image" in said
    report = await rerun(log_of(run), experts(expert()))
    assert report.ok, report.difference


async def test_a_model_that_is_known_to_read_no_images_is_told_so_at_once() -> None:
    image = ToolResult("", "look", (TextPart("a.png"), ImagePart("aGk=", "image/png")))
    replies = [reply(calls=[("look", {})]), done("ok")]
    run = Bench(replies, skill=FunctionSkill({"look": lambda _: image}), traits_for=lambda _: Traits(images=False))
    await run.run()
    said = str(run.scripted().requests[-1].messages)
    assert "this model reads no images" in said
    assert "ImagePart" not in said


async def test_a_provider_that_is_no_language_model_is_not_asked_for_a_summary() -> None:
    model = Reader(30)
    run = bench(model)
    await run.run(context=ContextSpec(summary="facts"))
    assert model.asked_for_summary == 0
    assert {event.payload.get("by") for event in of_kind(run, "compactContext")} >= {"rules"}
