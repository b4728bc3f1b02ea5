"""`exec`: real processes, their output, exit codes, environment and limits."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from perstack.skills.command import NO_OUTPUT, PROTECTED_ENV
from perstack.skills.truncation import MAX_OUTPUT
from tests.skills.kit import Bench

pytestmark = pytest.mark.anyio

TWO_STREAMS = "echo out; echo err >&2"


async def test_a_command_shows_its_output(tools: Bench) -> None:
    answer = await tools.ok("exec", command="sh", args=["-c", TWO_STREAMS])

    assert answer == {"output": "out\nerr\n", "exitCode": 0}


async def test_the_published_form_of_a_call_is_taken(tools: Bench) -> None:
    answer = await tools.ok(
        "exec", command="pwd", args=[], env={}, cwd=str(tools.root), stdout=True, stderr=True, timeout=10_000
    )

    assert answer["output"] == f"{tools.root}\n"


@pytest.mark.parametrize(("stdout", "stderr", "output"), [(True, False, "out\n"), (False, True, "err\n")])
async def test_only_the_wanted_streams_are_shown(tools: Bench, stdout: bool, stderr: bool, output: str) -> None:
    answer = await tools.ok("exec", command="sh", args=["-c", TWO_STREAMS], stdout=stdout, stderr=stderr)

    assert answer["output"] == output


async def test_silence_is_told(tools: Bench) -> None:
    assert (await tools.ok("exec", command="true"))["output"] == NO_OUTPUT


async def test_a_failure_shows_exit_code_and_both_streams(tools: Bench) -> None:
    answer = await tools.fails("exec", command="sh", args=["-c", f"{TWO_STREAMS}; exit 3"])

    assert answer == {
        "error": "Command failed with exit code 3.",
        "exitCode": 3,
        "stdout": "out\n",
        "stderr": "err\n",
    }


async def test_a_missing_program_is_told(tools: Bench) -> None:
    answer = await tools.fails("exec", command="no-such-program-here")

    assert answer["exitCode"] == 127
    assert "not found" in answer["error"]


async def test_death_by_signal_is_told(tools: Bench) -> None:
    answer = await tools.fails("exec", command="sh", args=["-c", "kill -9 $$"])

    assert answer["error"] == "Command failed with exit code 137 (signal 9)."


async def test_a_command_that_takes_too_long_is_stopped(tools: Bench) -> None:
    answer = await tools.fails("exec", command="sh", args=["-c", "echo begun; exec sleep 30"], timeout=300)

    assert answer["error"] == "Command timed out after 300ms."
    assert answer["stdout"] == "begun\n"


@pytest.mark.parametrize("limit_ms", [0, -5, 600_001])
async def test_a_time_limit_outside_the_bounds_is_refused(tools: Bench, limit_ms: int) -> None:
    assert "timeout must be from 1 to 600000" in await tools.refused("exec", command="true", timeout=limit_ms)


async def test_no_shell_reads_the_arguments(tools: Bench) -> None:
    answer = await tools.ok("exec", command="echo", args=["$HOME", "*", "; touch x", "a  b"])

    assert answer["output"] == "$HOME * ; touch x a  b\n"
    assert not (tools.root / "x").exists()


async def test_added_variables_arrive_and_protected_ones_do_not(tools: Bench) -> None:
    wanted = {"MY_FLAG": "1", "path": "/evil", **dict.fromkeys(PROTECTED_ENV, "/evil")}

    answer = await tools.ok(
        "exec", command=sys.executable, args=["-c", "import os; print(dict(os.environ))"], env=wanted
    )

    assert "'MY_FLAG': '1'" in answer["output"]
    assert "/evil" not in answer["output"]
    assert set(answer["ignoredEnv"]) == {"path", *PROTECTED_ENV}


@pytest.mark.parametrize("name", ["", "A=B", "A\0B"])
async def test_a_name_no_variable_can_have_is_refused(tools: Bench, name: str) -> None:
    assert "cannot be an environment variable" in await tools.refused("exec", command="true", env={name: "x"})


async def test_the_working_directory_is_inside_the_workspace(tools: Bench, tmp_path: Path) -> None:
    tools.write("pkg/file", "")
    (tools.root / "out").symlink_to(tmp_path)

    assert (await tools.ok("exec", command="pwd", cwd="pkg"))["output"] == f"{tools.root}/pkg\n"
    for bad in ("..", "/etc", "pkg/file", "nowhere", "out", ".git"):
        await tools.refused("exec", command="pwd", cwd=bad)


@pytest.mark.parametrize(("command", "args"), [("", []), ("  ", []), ("echo", ["a\0b"])])
async def test_a_command_no_system_can_run_is_refused(tools: Bench, command: str, args: list[str]) -> None:
    await tools.refused("exec", command=command, args=args)


async def test_huge_output_keeps_beginning_and_end(tools: Bench) -> None:
    code = "print('first'); [print('x' * 99) for _ in range(40000)]; print('last')"

    result = await tools.result("exec", command=sys.executable, args=["-c", code])

    output = json.loads(result.text)["output"]
    assert len(result.text) <= MAX_OUTPUT
    assert output.startswith("first\n")
    assert output.endswith("last\n")
    assert "... [truncated:" in output


async def test_long_streams_of_a_failure_share_the_room(tools: Bench) -> None:
    code = "import sys; print('o' * 50000 + 'O'); print('short', file=sys.stderr); sys.exit(1)"

    result = await tools.result("exec", command=sys.executable, args=["-c", code])

    answer = json.loads(result.text)
    assert answer["stderr"] == "short\n"
    assert answer["stdout"].endswith("O\n")
    assert 28_000 < len(result.text) <= MAX_OUTPUT


async def test_bytes_that_are_no_text_are_shown_as_marks(tools: Bench) -> None:
    answer = await tools.ok("exec", command="printf", args=["a\\377b"])

    assert answer["output"] == "a\ufffdb"
