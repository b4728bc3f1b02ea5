"""Published definitions with delegates and questions: the order of events that callers rely on."""

from __future__ import annotations

from pathlib import Path

import pytest

from perstack.core.errors import UserError
from perstack.testing import done, reply
from tests.compat.bench import Bench
from tests.compat.published import text_of

pytestmark = pytest.mark.anyio

ORDER = ("startRun", "callDelegate", "stopRunByDelegate", "completeRun", "retry")


async def test_a_chain_of_three_experts_tells_its_events_in_the_published_order(tmp_path: Path) -> None:
    first, second, third = "e2e-delegate-chain", "e2e-delegate-level1", "e2e-delegate-level2"
    bench = Bench.of(
        tmp_path,
        text_of("delegate-chain"),
        {
            first: [reply(calls=[(second, {"query": "test"})]), done("OK")],
            second: [reply(calls=[(third, {"query": "test"})]), done("OK")],
            third: [done("OK")],
        },
    )

    ended = await bench.run(first)

    assert ended.outcome.status == "completed"
    assert ended.order(*ORDER) == [
        f"startRun:{first}", f"callDelegate:{first}", f"stopRunByDelegate:{first}",
        f"startRun:{second}", f"callDelegate:{second}", f"stopRunByDelegate:{second}",
        f"startRun:{third}", f"completeRun:{third}",
        f"startRun:{second}", f"completeRun:{second}",
        f"startRun:{first}", f"completeRun:{first}",
    ]  # fmt: skip


async def test_a_delegate_sees_its_query_and_nothing_else(tmp_path: Path) -> None:
    bench = Bench.of(
        tmp_path,
        text_of("delegate-chain"),
        {
            "e2e-delegate-level1": [reply(calls=[("e2e-delegate-level2", {"query": "only this"})]), done("OK")],
            "e2e-delegate-level2": [done("OK")],
        },
    )

    await bench.run("e2e-delegate-level1", "a secret of the caller")

    child = bench.requests[1]
    assert "secret" not in child.system + repr(child.messages)
    assert "only this" in repr(child.messages)


async def test_two_delegates_of_one_reply_run_together_and_the_job_goes_on_later(tmp_path: Path) -> None:
    parent, math, text = "e2e-parallel-delegate", "e2e-delegate-math", "e2e-delegate-text"
    both = reply(calls=[(math, {"query": "test"}), (text, {"query": "test"})])
    bench = Bench.of(
        tmp_path,
        text_of("parallel-delegate"),
        {
            parent: [both, done("OK"), reply("Both said it.")],
            math: [done("Math result: 5")],
            text: [done("Text result: olleh")],
        },
    )

    ended = await bench.run(parent)
    later = await bench.run(parent, "What did they say?", job_id=ended.job_id, proceed=True)

    (call,) = ended.payloads("callDelegate")
    assert [one["toolName"] for one in call["toolCalls"]] == [math, text]
    assert sorted(ended.order("completeRun")) == sorted(f"completeRun:{key}" for key in (math, text, parent))
    assert "Math result: 5" in repr(bench.requests[3].messages)
    assert "Text result: olleh" in repr(bench.requests[3].messages)
    assert [event["text"] for event in later.payloads("completeRun")] == ["Both said it."]


async def test_a_question_stops_the_run_and_its_answer_ends_it(tmp_path: Path) -> None:
    ask = reply(calls=[("askUser", {"question": "confirm?"})])
    bench = Bench.of(tmp_path, text_of("continue-resume"), {"e2e-continue": [ask, done("OK")]})

    stopped = await bench.run("e2e-continue")
    answered = await bench.run("e2e-continue", "yes", job_id=stopped.job_id, answer=True)

    assert stopped.outcome.status == "stoppedByInteractiveTool"
    assert stopped.told.types("startRun", "callInteractiveTool", "stopRunByInteractiveTool") == [
        "startRun", "callInteractiveTool", "stopRunByInteractiveTool",
    ]  # fmt: skip
    (stop,) = stopped.payloads("stopRunByInteractiveTool")
    assert stop["checkpoint"]["id"]
    (start,) = answered.payloads("startRun")
    assert start["initialCheckpoint"]["status"] == "stoppedByInteractiveTool"
    assert len(answered.payloads("completeRun")) == 1


async def test_a_tool_of_older_days_is_told_to_the_model_and_the_run_goes_on(tmp_path: Path) -> None:
    script = [
        reply(calls=[("think", {"thought": "processing"})]),
        reply(calls=[("askUser", {"question": "confirm?"})]),
        done("OK"),
    ]
    bench = Bench.of(tmp_path, text_of("continue-resume"), {"e2e-resume": script})

    stopped = await bench.run("e2e-resume")
    before = stopped.payloads("continueToNextStep")[0]["nextCheckpoint"]["id"]
    branch = await bench.run("e2e-resume", "Ask again.", job_id=stopped.job_id, proceed=True, checkpoint=before)

    assert "think not found" in repr(stopped.payloads("resolveToolResults"))
    assert stopped.outcome.status == branch.outcome.status == "stoppedByInteractiveTool"


async def test_a_delegate_that_is_nowhere_fails_the_run_before_the_model_is_asked(tmp_path: Path) -> None:
    bench = Bench.of(tmp_path, text_of("error-handling"))

    with pytest.raises(UserError, match="nonexistent-expert"):
        await bench.run("e2e-invalid-delegate", "test")

    assert not bench.requests


@pytest.mark.slow
async def test_mixed_calls_of_one_reply_are_taken_in_the_published_order(tmp_path: Path) -> None:
    parent, helper = "e2e-mixed-tools", "e2e-helper"
    mixed = reply(
        calls=[
            ("askUser", {"question": "confirm?"}),
            (helper, {"query": "test"}),
            ("web_search_exa", {"query": "test"}),
        ]
    )
    bench = Bench.of(tmp_path, text_of("mixed-tools"), {parent: [mixed, done("OK")], helper: [done("OK")]})

    stopped = await bench.stand_in(exa=["web_search_exa"]).run(parent)
    answered = await bench.run(parent, "yes", job_id=stopped.job_id, answer=True)

    kinds = ("callTools", "resumeToolCalls", "callInteractiveTool", "stopRunByInteractiveTool")
    assert stopped.order(*ORDER, *kinds) == [
        f"startRun:{parent}", f"callTools:{parent}", f"callDelegate:{parent}", f"stopRunByDelegate:{parent}",
        f"startRun:{helper}", f"callTools:{helper}", f"completeRun:{helper}",
        f"startRun:{parent}", f"resumeToolCalls:{parent}", f"callInteractiveTool:{parent}",
        f"stopRunByInteractiveTool:{parent}",
    ]  # fmt: skip
    assert [call["toolName"] for call in stopped.payloads("callTools")[0]["toolCalls"]] == [
        "web_search_exa", helper, "askUser",
    ]  # fmt: skip
    delegating = stopped.payloads("stopRunByDelegate")[0]["checkpoint"]
    (found,) = delegating["partialToolResults"]
    assert (found["skillName"], found["toolName"]) == ("exa", "web_search_exa")
    checkpoint = stopped.payloads("stopRunByInteractiveTool")[0]["checkpoint"]
    assert checkpoint["status"] == "stoppedByInteractiveTool"
    assert (len(checkpoint["partialToolResults"]), len(checkpoint["pendingToolCalls"])) == (2, 1)
    assert answered.outcome.status == "completed"
    told = repr(bench.requests[-1].messages)
    assert all(text in told for text in ('"tool": "web_search_exa"', "OK", "yes"))
