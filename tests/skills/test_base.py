"""The base skill as a whole: which tools it offers, how it treats calls, when work counts as done."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from perstack.core.experts import BASE_SKILL, BASE_TOOLS
from perstack.core.messages import ToolCall
from tests.skills.kit import Bench, bench

pytestmark = pytest.mark.anyio

READING = {"readTextFile", "readImageFile", "readPdfFile", "listDirectory", "getFileInfo", "healthCheck"}


async def offered(tools: Bench) -> list[str]:
    return [definition.name for definition in await tools.skill.definitions()]


async def test_every_base_tool_of_the_format_is_offered(tools: Bench) -> None:
    assert set(await offered(tools)) == set(BASE_TOOLS)
    assert tools.skill.name == BASE_SKILL


async def test_every_schema_is_a_closed_json_schema(tools: Bench) -> None:
    for definition in await tools.skill.definitions():
        jsonschema.Draft202012Validator.check_schema(definition.input_schema)
        assert definition.input_schema["additionalProperties"] is False
        assert definition.skill_name == BASE_SKILL
        assert definition.description


async def test_only_tools_that_leave_nothing_behind_may_run_twice(tools: Bench) -> None:
    twice = {definition.name for definition in await tools.skill.definitions() if definition.read_only}
    assert twice == READING | {"todo", "clearTodo"}


async def test_a_read_only_skill_has_no_tool_that_changes_the_workspace(tmp_path: Path) -> None:
    tools = bench(tmp_path / "work", read_only=True)

    assert set(await offered(tools)) == READING | {"attemptCompletion", "todo", "clearTodo"}
    assert "no tool" in await tools.refused("writeTextFile", path="a", text="b")
    assert not (tools.root / "a").exists()


@pytest.mark.parametrize(
    ("pick", "omit", "left"),
    [
        ((), ("exec",), set(BASE_TOOLS) - {"exec"}),
        (("todo", "attemptCompletion", "think"), (), {"todo", "attemptCompletion"}),
        (("todo", "exec"), ("exec",), {"todo"}),
    ],
)
async def test_omit_goes_before_pick(
    tmp_path: Path, pick: tuple[str, ...], omit: tuple[str, ...], left: set[str]
) -> None:
    assert set(await offered(bench(tmp_path / "work", pick=pick, omit=omit))) == left


async def test_a_tool_that_was_not_picked_cannot_be_called(tmp_path: Path) -> None:
    tools = bench(tmp_path / "work", pick=("todo",))

    answer = await tools.fails("exec", command="touch", args=["x"])

    assert answer == {"error": "UnknownTool", "message": 'There is no tool "exec". Available: todo.'}
    assert not (tools.root / "x").exists()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({}, '"path" is missing (a string)'),
        ({"path": None}, '"path" is missing (a string)'),
        ({"path": 3}, '"path" must be a string, got 3'),
        ({"path": "a", "from": "1"}, '"from" must be a whole number, got "1"'),
        ({"path": "a", "from": True}, '"from" must be a whole number, got true'),
        ({"path": "a", "form": 1}, 'unknown argument "form"'),
    ],
)
async def test_wrong_arguments_are_told_to_the_model(tools: Bench, args: dict[str, object], message: str) -> None:
    result = await tools.skill.call(ToolCall("id-7", "readTextFile", args))  # type: ignore[arg-type]

    assert (result.id, result.tool_name, result.is_error) == ("id-7", "readTextFile", True)
    answer = json.loads(result.text)
    assert answer["error"] == "InvalidArguments"
    assert message in answer["message"]
    assert "Arguments: path, from, to." in answer["message"]


@pytest.mark.parametrize(
    ("tool", "args"),
    [
        ("exec", {"command": "true", "args": "x"}),
        ("exec", {"command": "true", "args": ["x", 1]}),
        ("exec", {"command": "true", "env": {"A": 1}}),
        ("exec", {"command": "true", "stdout": "yes"}),
        ("todo", {"completedTodos": ["0"]}),
        ("todo", {"completedTodos": [True]}),
    ],
)
async def test_every_kind_of_argument_is_checked(tools: Bench, tool: str, args: dict[str, object]) -> None:
    assert (await tools.fails(tool, **args))["error"] == "InvalidArguments"  # type: ignore[arg-type]


async def test_all_problems_of_a_call_are_told_at_once(tools: Bench) -> None:
    message = await tools.refused("writeTextFile", path=1, txt="x")

    assert '"path" must be a string' in message
    assert 'unknown argument "txt"' in message
    assert '"text" is missing' in message


async def test_arguments_that_were_not_json_are_told(tools: Bench) -> None:
    result = await tools.skill.call(ToolCall("c", "exec", {}, problem="unexpected end"))

    assert result.is_error
    assert "not valid JSON: unexpected end" in result.text


async def test_completion_is_refused_while_to_dos_are_open(tools: Bench) -> None:
    assert await tools.ok("attemptCompletion", result="done") == {}
    await tools.ok("todo", newTodos=["read", "write"])

    answer = await tools.ok("attemptCompletion")

    assert [todo["title"] for todo in answer["remainingTodos"]] == ["read", "write"]
    assert len(tools.skill.remaining_todos) == 2
    await tools.ok("todo", completedTodos=[0, 1])
    assert await tools.ok("attemptCompletion") == {}
    assert not tools.skill.remaining_todos


async def test_to_dos_count_up_from_zero_and_start_again_when_cleared(tools: Bench) -> None:
    first = await tools.ok("todo", newTodos=["a", "b"], completedTodos=[0])
    assert first == {"todos": [{"id": 0, "title": "a", "completed": True}, {"id": 1, "title": "b", "completed": False}]}
    assert [todo["id"] for todo in (await tools.ok("todo", newTodos=["c"]))["todos"]] == [0, 1, 2]
    assert await tools.ok("clearTodo") == {"todos": []}
    assert [todo["id"] for todo in (await tools.ok("todo", newTodos=["d"]))["todos"]] == [0]


async def test_an_unknown_to_do_changes_nothing(tools: Bench) -> None:
    await tools.ok("todo", newTodos=["a"])

    message = await tools.refused("todo", newTodos=["b"], completedTodos=[0, 5])

    assert message == "There is no to-do with id 5. Ids go from 0 to 1."
    assert await tools.ok("todo") == {"todos": [{"id": 0, "title": "a", "completed": False}]}


async def test_two_runs_do_not_share_to_dos(tmp_path: Path) -> None:
    first, second = bench(tmp_path / "work"), bench(tmp_path / "work")
    await first.ok("todo", newTodos=["mine"])

    assert await second.ok("todo") == {"todos": []}


async def test_health_names_the_workspace_as_the_expert_sees_it(tools: Bench) -> None:
    answer = await tools.ok("healthCheck")

    assert (answer["status"], answer["workspace"]) == ("ok", str(tools.root))
    assert answer["uptime"].endswith("s")
