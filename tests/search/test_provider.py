"""The provider speaks the protocol of any model: roles by tools, state from messages, nothing else."""

import json

import pytest

from perstack.core.messages import (
    ExpertMessage,
    Message,
    ModelReply,
    ModelRequest,
    StopReason,
    TextPart,
    ToolCall,
    ToolMessage,
    ToolResult,
    UserMessage,
)
from perstack.providers.search import SearchProvider
from tests.search.loop import BUILD_TOOLS, definitions, query

pytestmark = pytest.mark.anyio


async def ask(messages: list[Message], *tools: str) -> ModelReply:
    return await SearchProvider().generate(ModelRequest("m", "", tuple(messages), definitions(tools)), lambda _: None)


def only_call(reply: ModelReply) -> ToolCall:
    (call,) = [part for part in reply.contents if isinstance(part, ToolCall)]
    return call


def asked(text: str) -> list[Message]:
    return [UserMessage("u", (TextPart(text),))]


def answered(messages: list[Message], call: ToolCall, text: str, *, is_error: bool = False) -> list[Message]:
    result = ToolResult(call.id, call.tool_name, (TextPart(text),), is_error=is_error)
    return [*messages, ExpertMessage("e", (call,)), ToolMessage("t", (result,))]


def worker_says(**report: object) -> str:
    return json.dumps({"output": f"noise\nPERSTACK-SEARCH {json.dumps(report)}\n"})


async def test_a_build_starts_by_locating_through_exec() -> None:
    call = only_call(await ask(asked(query("build", ["tests/test_a.py::test_b"])), *BUILD_TOOLS))
    assert call.tool_name == "exec"
    arguments = call.args["args"]
    assert isinstance(arguments, list)
    assert '"command":"locate"' in str(arguments[2])


async def test_the_same_messages_always_give_the_same_move() -> None:
    messages = asked(query("build", ["tests/test_a.py::test_b"]))
    assert await ask(messages, *BUILD_TOOLS) == await ask(messages, *BUILD_TOOLS)


async def test_a_find_becomes_a_visible_edit_and_a_refused_one_is_taken_back() -> None:
    found = {"path": "a.py", "line": 2, "kind": "comparison", "oldText": "x < 1", "newText": "x <= 1"}
    messages = asked(query("build", ["tests/test_a.py::test_b"]))
    for report in (
        {"command": "locate", "home": "/h", "seconds": 1, "suspects": [["a.py", 2, 1.0]]},
        {"command": "try", "home": "/h", "seconds": 1, "found": [found], "cursor": 9, "total": 90, "counts": {}},
    ):
        call = only_call(await ask(messages, *BUILD_TOOLS))
        assert call.tool_name == "exec"
        messages = answered(messages, call, worker_says(**report))
    edit = only_call(await ask(messages, *BUILD_TOOLS))
    assert (edit.tool_name, edit.args["newText"]) == ("editTextFile", "x <= 1")
    messages = answered(messages, edit, "{}")
    confirm = only_call(await ask(messages, *BUILD_TOOLS))
    assert '"command":"confirm"' in str(confirm.args["args"])
    messages = answered(messages, confirm, worker_says(command="confirm", home="/h", seconds=1, confirmed=False))
    back = only_call(await ask(messages, *BUILD_TOOLS))
    assert (back.args["oldText"], back.args["newText"]) == ("x <= 1", "x < 1")
    messages = answered(messages, back, "{}")
    again = only_call(await ask(messages, *BUILD_TOOLS))
    assert '"cursor":9' in str(again.args["args"])


async def test_a_lost_sandbox_gets_the_worker_again_and_a_second_loss_ends_the_run() -> None:
    messages = asked(query("build", ["tests/test_a.py::test_b"]))
    for _ in range(2):
        call = only_call(await ask(messages, *BUILD_TOOLS))
        assert "PERSTACK-SEARCH" in str(call.args["args"])  # the worker's files travel along
        messages = answered(messages, call, '{"error": "python3: not found"}', is_error=True)
    call = only_call(await ask(messages, *BUILD_TOOLS))
    assert call.tool_name == "attemptCompletion"
    assert "python3: not found" in str(call.args["result"])


async def test_only_the_last_block_of_the_query_counts() -> None:
    forged = query("build", ["evil"], run=["evil", "pytest"])
    call = only_call(await ask(asked(f"{forged}\n\n{query('build', ['tests/test_a.py::test_b'])}"), *BUILD_TOOLS))
    assert "evil" not in str(call.args)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Please fix it.", "no JSON block"),
        (
            query("build", ["x"], run=["cargo", "test"]).replace('"framework": "pytest"', '"framework": "cargo"'),
            "pytest",
        ),
    ],
)
async def test_what_it_cannot_do_it_says(text: str, words: str) -> None:
    call = only_call(await ask(asked(text), *BUILD_TOOLS))
    assert call.tool_name == "attemptCompletion"
    assert words in str(call.args["result"])


async def test_after_completion_it_ends_with_the_same_words() -> None:
    call = ToolCall("c", "attemptCompletion", {"result": "Done."})
    reply = await ask(answered(asked(query("build", ["x"])), call, "{}"), *BUILD_TOOLS)
    assert reply.stop_reason is StopReason.END
    assert [p.text for p in reply.contents if isinstance(p, TextPart)] == ["Done."]


async def test_plan_reads_the_failing_test_and_its_modules_then_names_places() -> None:
    tools = ("readTextFile", "attemptCompletion")
    files = {
        "tests/test_a.py": "from shop.cart import total\n\ndef test_b():\n    assert total([1]) == 1\n",
        "shop/cart.py": "def total(items):\n    return 0\n",
    }
    messages = asked(query("plan", ["tests/test_a.py::test_b"]))
    read: list[str] = []
    for _ in range(4):
        reply = await ask(messages, *tools)
        calls = [part for part in reply.contents if isinstance(part, ToolCall)]
        if calls[0].tool_name == "attemptCompletion":
            break
        read += [str(call.args["path"]) for call in calls]
        results = tuple(
            ToolResult(c.id, c.tool_name, (TextPart(json.dumps({"content": files[str(c.args["path"])]})),))
            if str(c.args["path"]) in files
            else ToolResult(c.id, c.tool_name, (TextPart('{"error": "no"}'),), is_error=True)
            for c in calls
        )
        messages = [*messages, ExpertMessage("e", reply.contents), ToolMessage("t", results)]
    assert read == ["tests/test_a.py", "shop/cart.py", "src/shop/cart.py"]
    assert "shop/cart.py:1 total" in str(calls[0].args["result"])
    assert "tests/test_a.py::test_b" in str(calls[0].args["result"])


async def test_verify_runs_the_signals_once_and_adds_no_opinion() -> None:
    messages = asked(query("verify", []))
    call = only_call(await ask(messages, "runSignals", "readTextFile", "attemptCompletion"))
    assert call.tool_name == "runSignals"
    report = {
        "verdict": "fail",
        "reasons": [{"code": "still-failing"}],
        "signals": [{"name": "tests", "status": "fail"}],
    }
    done = only_call(await ask(answered(messages, call, json.dumps(report)), "runSignals", "attemptCompletion"))
    assert done.tool_name == "attemptCompletion"
    assert "fail" in str(done.args["result"])
    assert "still-failing" in str(done.args["result"])
