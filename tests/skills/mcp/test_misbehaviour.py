"""A server that crashes, lies, floods or hangs costs its own calls and nothing else."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from perstack.core.contracts import Service
from perstack.core.experts import SkillSpec
from perstack.core.json import JsonObject
from perstack.core.messages import ToolResult
from perstack.skills.mcp.contract import Patience, SkillUnavailable
from perstack.skills.mcp.skill import StdioSkill
from tests.skills.mcp.serving import HOSTILE, Told, call, connected, names, server, texts

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

IMPATIENT = Patience(start_s=1.0, call_s=1.0)


async def refused_start(*argv: str, patience: Patience | None = None) -> tuple[str, Told]:
    """Why a server cannot be opened."""
    async with server(argv, patience=patience or Patience(start_s=20.0)) as (skill, told):
        with pytest.raises(SkillUnavailable) as refused:
            await skill.open(told)
        assert await skill.definitions() == ()
    return str(refused.value), told


async def test_a_crash_in_the_middle_of_a_call_is_an_error_result_and_the_next_call_starts_the_server_again() -> None:
    async with connected(HOSTILE) as (skill, told):
        crashed = await call(skill, "exit", code=3)
        assert crashed.is_error
        assert crashed.text.splitlines() == [
            'Error calling tool exit: the server of skill "reference" is gone: it ended with exit code 3.',
            "It is started again with the next call.",
        ]
        assert texts(await call(skill, "echo", text="again")) == ["again"]
        starts = ["skillStarting", "skillConnected"]
        assert told.kinds() == [*starts, "skillDisconnected", *starts]
        assert "I have had enough" in told.said()


async def test_a_server_killed_from_outside_between_two_calls_is_started_again() -> None:
    async with connected(HOSTILE) as (skill, told):
        pid = int(texts(await call(skill, "pid"))[0])
        os.kill(pid, signal.SIGKILL)
        await told.until(lambda: "skillDisconnected" in told.kinds())
        assert int(texts(await call(skill, "pid"))[0]) != pid
        await told.until_said("is gone: it was ended by signal 9")


async def test_calls_under_way_all_learn_of_a_crash() -> None:
    results: list[ToolResult] = []

    async def one(name: str, **args: str) -> None:
        results.append(await call(skill, name, **args))

    async with connected(HOSTILE) as (skill, _):
        async with anyio.create_task_group() as tasks:
            for _number in range(5):
                tasks.start_soon(one, "die")
        assert len(results) == 5
        assert all(result.is_error and "signal 9" in result.text for result in results)


async def test_a_server_that_keeps_crashing_is_given_up_and_the_run_goes_on() -> None:
    async with connected(HOSTILE, patience=Patience(restarts=1)) as (skill, _):
        assert "exit code 3" in (await call(skill, "exit")).text
        assert "exit code 3" in (await call(skill, "exit")).text
        given_up = await call(skill, "echo", text="hello")
        assert given_up.is_error
        assert 'the server of skill "reference" ended 2 times and is not started again' in given_up.text


async def test_a_crash_shows_even_while_a_child_holds_the_output_open() -> None:
    async with connected((*HOSTILE, "babbles")) as (skill, _):
        assert "exit code 3" in (await call(skill, "exit")).text


async def test_a_server_that_closes_its_output_is_gone() -> None:
    async with connected(HOSTILE) as (skill, _):
        assert "it closed its input or output" in (await call(skill, "close")).text


async def test_a_program_that_ends_at_once_is_told_with_its_last_words() -> None:
    message, told = await refused_start(*HOSTILE, "exits")
    assert message == (
        'the server of skill "reference" did not start: it ended with exit code 4\n'
        "Its last lines:\ncannot read the configuration"
    )
    assert told.kinds() == ["skillStarting"]


async def test_a_missing_program_is_told() -> None:
    message, _ = await refused_start("no-such-program-here")
    assert "its program is not there (exit code 127)" in message


async def test_a_server_that_never_answers_is_given_up_in_time() -> None:
    message, _ = await refused_start(*HOSTILE, "silent", patience=IMPATIENT)
    assert message == 'the server of skill "reference" did not start: it did not start within 1 s'


async def test_a_sandbox_that_is_never_ready_is_given_up_in_its_own_time() -> None:
    @asynccontextmanager
    async def never() -> AsyncIterator[Service]:
        await anyio.sleep_forever()
        yield NotImplemented

    async with anyio.create_task_group() as tasks:
        skill = StdioSkill(SkillSpec("slow"), never, tasks=tasks, patience=Patience(prepare_s=0.2, start_s=60))
        with pytest.raises(SkillUnavailable, match=r"its sandbox and its package were not ready within 0\.2 s"):
            await skill.open(Told())


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("wrong-protocol", "Unsupported protocol version from the server: 1999-01-01"),
        ("refuses", "not today"),
        ("bad-list", "the server's answer breaks the protocol: tools.0"),
    ],
)
async def test_a_server_that_does_not_speak_the_protocol_is_refused(mode: str, words: str) -> None:
    message, _ = await refused_start(*HOSTILE, mode)
    assert words in message


async def test_a_slow_start_is_waited_for_by_all_calls_and_happens_once(tmp_path: Path) -> None:
    go = tmp_path / "go"
    async with server((*HOSTILE, "waits", str(go)), lazy_init=True) as (skill, told):
        await skill.open(told)
        assert await skill.definitions() == ()
        results: list[ToolResult] = []

        async def one(text: str) -> None:
            results.append(await call(skill, "echo", text=text))

        async with anyio.create_task_group() as tasks:
            for text in ("a", "b", "c"):
                tasks.start_soon(one, text)
            await told.until(lambda: "skillStarting" in told.kinds())
            go.touch()
        assert sorted(result.text for result in results) == ["a", "b", "c"]
        assert told.kinds() == ["skillStarting", "skillConnected"]
        assert "echo" in await names(skill)


async def test_what_is_no_protocol_on_standard_output_is_told_and_passed_over() -> None:
    async with connected((*HOSTILE, "garbage")) as (skill, told):
        assert texts(await call(skill, "echo", text="hello")) == ["hello"]
        said = told.said()
        assert "(on standard output) Welcome!" in said
        assert len([line for line in said if line.startswith("(on standard output)")]) == 5
        assert max(map(len, said)) <= 2_000


async def test_standard_error_without_end_neither_fills_the_log_nor_stops_the_calls() -> None:
    async with connected((*HOSTILE, "babbles")) as (skill, told):
        assert texts(await call(skill, "echo", text="hello")) == ["hello"]
        assert len(told.said()) < 400


async def test_what_is_left_out_of_standard_error_is_counted() -> None:
    async with connected(HOSTILE) as (skill, told):
        await call(skill, "babble", lines=20_000)
    assert "line 0" in told.said()
    left_out = [line for line in told.said() if line.endswith("lines left out]")]
    counted = sum(int(line[1:].split()[0].replace(",", "")) for line in left_out)
    shown = [line for line in told.said() if line.startswith("line ")]
    assert len(shown) <= 300
    assert counted >= 1_000


async def test_a_huge_answer_is_cut_in_the_middle() -> None:
    async with connected(HOSTILE) as (skill, _):
        result = await call(skill, "huge", size=8_000_000)
        assert len(result.text) <= 30_000
        assert "[truncated: " in result.text


async def test_a_message_without_end_ends_its_server_and_not_our_memory() -> None:
    async with connected(HOSTILE) as (skill, _):
        assert "it sent a line of more than 33,554,432 bytes" in (await call(skill, "endless")).text
        assert texts(await call(skill, "echo", text="alive")) == ["alive"]


async def test_a_flood_of_questions_ends_its_server() -> None:
    async with connected(HOSTILE) as (skill, _):
        assert "questions without taking the answers" in (await call(skill, "questions")).text


async def test_a_call_without_an_answer_is_cancelled_at_the_server(tmp_path: Path) -> None:
    note = tmp_path / "note"
    async with connected(HOSTILE, patience=Patience(call_s=1.0)) as (skill, _):
        result = await call(skill, "hang", note=str(note))
        assert texts(result) == ["Error calling tool hang: no answer within 1 s; the call was cancelled."]
        # The server answers the next call only after it has written down what it got.
        assert texts(await call(skill, "echo", text="alive")) == ["alive"]
        assert note.read_text() == "notifications/cancelled True"


async def test_a_cancelled_caller_cancels_its_call_at_the_server(tmp_path: Path) -> None:
    note = tmp_path / "note"
    async with connected(HOSTILE) as (skill, told):
        async with anyio.create_task_group() as tasks:

            async def wait() -> None:
                await call(skill, "hang", note=str(note))

            tasks.start_soon(wait)
            await told.until_said("called")
            tasks.cancel_scope.cancel()
        assert texts(await call(skill, "echo", text="alive")) == ["alive"]
        assert note.read_text() == "notifications/cancelled True"


@pytest.mark.parametrize(
    ("tool", "args", "words"),
    [
        ("refuse", {}, "Error calling tool refuse: no such thing"),
        ("malformed", {}, "Error calling tool malformed: the server's answer breaks the protocol"),
        ("fail", {}, "the disk is full"),
        ("nobody", {}, 'Error calling tool nobody: the server of skill "reference" has no such tool any more.'),
        ("echo", {"text": "\ud800"}, "Error calling tool echo: the arguments hold characters that are no text."),
    ],
)
async def test_a_failed_call_is_an_error_result_with_clean_words(tool: str, args: JsonObject, words: str) -> None:
    async with connected(HOSTILE) as (skill, _):
        result = await call(skill, tool, **args)
        assert result.is_error
        assert result.text.startswith(words)
        assert texts(await call(skill, "echo", text="alive")) == ["alive"]


async def test_half_a_character_in_a_result_is_no_reason_to_lose_it() -> None:
    async with connected(HOSTILE) as (skill, _):
        assert texts(await call(skill, "half")) == ["cut here: ?"]


async def test_a_tool_that_returns_nothing_is_said_to_with_its_arguments() -> None:
    async with connected(HOSTILE) as (skill, _):
        assert texts(await call(skill, "nothing", a=1)) == ['Tool nothing returned nothing with arguments: {"a":1}']
        assert texts(await call(skill, "echo", text="")) == ["Error: No content"]


async def test_sampling_elicitation_and_roots_are_refused() -> None:
    async with connected(HOSTILE) as (skill, _):
        assert (await call(skill, "ask")).text.splitlines() == [
            "sampling/createMessage: Sampling not supported",
            "elicitation/create: Elicitation not supported",
            "roots/list: List roots not supported",
        ]


async def test_a_server_has_the_values_it_is_given_and_no_others() -> None:
    async with connected(HOSTILE, env={"API_TOKEN": "t-1"}) as (skill, _):
        seen = json.loads((await call(skill, "env")).text)
        assert seen.pop("API_TOKEN") == "t-1"
        assert set(seen) <= {"PATH", "LC_CTYPE"}


async def test_the_name_a_server_gives_itself_is_cleaned() -> None:
    async with connected(HOSTILE) as (_, told):
        assert told.first("skillConnected")["serverInfo"] == {"name": "hostile", "version": "1.0"}


async def test_answers_that_fit_no_question_change_nothing() -> None:
    async with connected(HOSTILE) as (skill, _):
        assert texts(await call(skill, "junk")) == ["the real one"]
        assert texts(await call(skill, "echo", text="alive")) == ["alive"]


async def test_a_server_of_the_newest_revision_needs_no_handshake_and_gets_no_input() -> None:
    async with connected((*HOSTILE, "modern")) as (skill, _):
        assert await names(skill) == {"echo", "ask"}
        assert texts(await call(skill, "echo", text="hello")) == ["hello"]
        asked = await call(skill, "ask")
        assert asked.is_error
        assert "there is nobody to give it" in asked.text
