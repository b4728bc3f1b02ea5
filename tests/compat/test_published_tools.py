"""Published definitions and their tools: what is offered, what is called together, what failure looks like."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from perstack.core.errors import PerstackError, UserError
from perstack.core.experts import BASE_SKILL, BASE_TOOLS
from perstack.core.messages import FilePart, ImagePart, StopReason, ToolMessage
from perstack.testing import done, reply
from tests.compat.bench import Bench
from tests.compat.published import text_of

pytestmark = pytest.mark.anyio

GIF = b"GIF89a\x01\x00\x01\x00\x00\x00\x00;"
PDF = b"%PDF-1.4\n%%EOF\n"
ATTACKS = (
    "fetch_metadata", "access_internal", "read_sensitive", "symlink_attack", "bypass_proxy", "list_env",
    "exfiltrate_data", "dns_exfiltrate", "fetch_arbitrary", "harvest_and_exfiltrate_env",
)  # fmt: skip


async def test_only_picked_tools_are_offered(tmp_path: Path) -> None:
    bench = Bench.of(
        tmp_path,
        text_of("skills"),
        {"e2e-pick-tools": [reply(calls=[("readTextFile", {"path": "a.txt"})]), done("readTextFile is not available")]},
    )

    ended = await bench.run("e2e-pick-tools", "Read a.txt.")

    assert set(bench.tools_of()) == {"attemptCompletion", "todo"}
    assert "readTextFile not found" in repr(ended.payloads("resolveToolResults"))
    assert ended.outcome.text == "readTextFile is not available"


async def test_omitted_tools_are_not_offered(tmp_path: Path) -> None:
    bench = Bench.of(tmp_path, text_of("skills"), {"e2e-omit-tools": [done("OK")]})

    await bench.run("e2e-omit-tools")

    assert set(bench.tools_of()) == set(BASE_TOOLS) - {"exec"}


async def test_a_skill_whose_variable_has_no_value_is_left_out_and_said_so(tmp_path: Path) -> None:
    bench = Bench.of(
        tmp_path,
        text_of("skills"),
        {"e2e-multi-skill": [reply(calls=[("todo", {"newTodos": ["a"], "completedTodos": [0]})]), done("OK")]},
    )

    ended = await bench.run("e2e-multi-skill")

    assert ended.outcome.status == "completed"
    assert set(bench.tools_of()) == {"attemptCompletion", "todo"}
    assert "EXA_API_KEY" in repr(ended.payloads("skillStderr"))


async def test_a_tool_that_fails_is_told_to_the_model_and_the_run_completes(tmp_path: Path) -> None:
    read = reply(calls=[("readTextFile", {"path": "nowhere.txt"})])
    bench = Bench.of(tmp_path, text_of("error-handling"), {"e2e-tool-error-recovery": [read, done("error")]})

    ended = await bench.run("e2e-tool-error-recovery", "nowhere.txt")

    assert "File nowhere.txt does not exist." in repr(ended.payloads("resolveToolResults"))
    assert ended.outcome.status == "completed"


@pytest.mark.slow
async def test_a_skill_that_cannot_start_ends_the_run_before_the_model_is_asked(tmp_path: Path) -> None:
    bench = Bench.of(tmp_path, text_of("errors"), {"e2e-mcp-error": [done("OK")]})

    with pytest.raises(PerstackError, match="broken-skill"):
        await bench.run("e2e-mcp-error")

    assert not bench.requests


async def test_an_unknown_provider_is_refused_by_name(tmp_path: Path) -> None:
    host = {"model_provider": None, "provider": "invalid-provider"}
    bench = Bench.of(tmp_path, text_of("errors"), host=host)

    with pytest.raises(UserError, match='unknown provider "invalid-provider"'):
        await bench.run("e2e-invalid-provider")


async def test_a_bug_hunt_reads_and_reports(tmp_path: Path) -> None:
    bench = Bench.of(
        tmp_path,
        text_of("bug-finder"),
        {
            "bug-finder": [
                reply(calls=[("listDirectory", {"path": "."})]),
                reply(calls=[("readTextFile", {"path": "a.ts"}), ("getFileInfo", {"path": "a.ts"})]),
                done("## Bug #1"),
            ]
        },
    )
    (bench.workspace / "a.ts").write_text("for (let i = 0; i <= list.length; i++) {}\n")

    ended = await bench.run("bug-finder", "Find 1 bug in .")

    assert set(bench.tools_of()) == {"listDirectory", "readTextFile", "getFileInfo", "attemptCompletion"}
    assert "list.length" in repr(bench.requests[2].messages)
    assert ended.outcome.text == "## Bug #1"


async def test_a_greeting_needs_no_tool_and_the_base_skill_no_time(tmp_path: Path) -> None:
    bench = Bench.of(tmp_path, text_of("lockfile"), {"e2e-lockfile": [reply("Hello.")]})

    ended = await bench.run("e2e-lockfile")

    (connected,) = ended.payloads("skillConnected")
    assert (connected["skillName"], connected["spawnDurationMs"]) == (BASE_SKILL, 0)
    assert connected["totalDurationMs"] < 100
    assert ended.told.types("startRun", "startGeneration", "completeRun") == [
        "startRun", "startGeneration", "completeRun",
    ]  # fmt: skip
    assert ended.payloads("completeRun")[0]["text"] == "Hello."


async def test_health_is_checked_and_the_run_completed(tmp_path: Path) -> None:
    script = [reply(calls=[("healthCheck", {})]), done("lockfile-test-ok")]
    bench = Bench.of(tmp_path, text_of("lockfile"), {"e2e-lockfile": script})

    ended = await bench.run("e2e-lockfile")

    (result,) = ended.payloads("resolveToolResults")[0]["toolResults"]
    assert json.loads(result["result"][0]["text"])["status"] == "ok"
    assert ended.outcome.text == "lockfile-test-ok"


@pytest.mark.parametrize(
    ("level", "tokens"),
    [("none", 0), ("minimal", 1024), ("low", 2048), ("medium", 5000), ("high", 10_000), (0, 0), (3000, 3000)],
)
async def test_a_reasoning_level_becomes_the_published_number_of_tokens(
    tmp_path: Path, level: str | int, tokens: int
) -> None:
    expert = "e2e-reasoning-anthropic-low"
    bench = Bench.of(tmp_path, text_of("reasoning-budget"), {expert: [done("1081")]})

    await bench.run(expert, reasoning_budget=level)

    assert bench.requests[0].reasoning_budget == tokens


async def test_without_a_level_the_budget_is_low(tmp_path: Path) -> None:
    expert = "e2e-reasoning-openai-high"
    bench = Bench.of(tmp_path, text_of("reasoning-budget"), {expert: [reply("1081", thinking="23 * 47")]})

    ended = await bench.run(expert)

    assert bench.requests[0].reasoning_budget == 2048
    assert ended.told.types("completeStreamingReasoning", "completeRun") == [
        "completeStreamingReasoning",
        "completeRun",
    ]


async def test_limits_of_steps_and_retries_stop_the_run(tmp_path: Path) -> None:
    turns = [reply(calls=[("todo", {"newTodos": ["more"]})])] * 10
    steps = Bench.of(tmp_path, text_of("skills"), {"e2e-pick-tools": turns})
    retries = Bench.of(tmp_path, text_of("skills"), {"e2e-pick-tools": [reply(stop=StopReason.END)] * 10})

    stopped = await steps.run("e2e-pick-tools", max_steps=3)
    failed = await retries.run("e2e-pick-tools", max_retries=2)

    assert (stopped.outcome.status, len(steps.requests)) == ("stoppedByExceededMaxSteps", 3)
    assert (failed.outcome.status, len(retries.requests)) == ("stoppedByError", 3)
    assert failed.outcome.error == "Max retries (2) exceeded: No tool call or text generated"


@pytest.mark.parametrize("expert", ["e2e-publish-test", "e2e-cli-simple"])
async def test_an_expert_that_only_completes_completes(tmp_path: Path, expert: str) -> None:
    bench = Bench.of(tmp_path, text_of("cli-commands"), {expert: [done("OK")]})

    ended = await bench.run(expert)

    assert (ended.outcome.status, ended.outcome.text) == ("completed", "OK")
    assert bench.tools_of() == ["attemptCompletion"]


@pytest.mark.slow
async def test_three_special_tools_of_one_reply_show_their_files_to_the_model(tmp_path: Path) -> None:
    calls = [
        ("readPdfFile", {"path": "e2e/fixtures/test.pdf"}),
        ("readImageFile", {"path": "e2e/fixtures/test.gif"}),
        ("web_search_exa", {"query": "test"}),
    ]
    bench = Bench.of(tmp_path, text_of("special-tools"), {"e2e-special-tools": [reply(calls=calls), done("OK")]})
    fixtures = bench.workspace / "e2e" / "fixtures"
    fixtures.mkdir(parents=True)
    (fixtures / "test.pdf").write_bytes(PDF)
    (fixtures / "test.gif").write_bytes(GIF)

    ended = await bench.stand_in(exa=["web_search_exa"]).run("e2e-special-tools")

    assert len(ended.payloads("callTools")[0]["toolCalls"]) == 3
    results = bench.requests[1].messages[-1]
    assert isinstance(results, ToolMessage)
    parts = [type(part) for result in results.results for part in result.contents]
    assert FilePart in parts
    assert ImagePart in parts
    assert [result.tool_name for result in results.results] == [tool for tool, _ in calls]


@pytest.mark.slow
@pytest.mark.parametrize(("expert", "waits"), [("e2e-lazy-init-all-false", True), ("e2e-lazy-init-mixed", False)])
async def test_only_a_lazy_skill_lets_the_run_start_before_it(tmp_path: Path, expert: str, waits: bool) -> None:
    bench = Bench.of(tmp_path, text_of("lazy-init"), {expert: [done("OK")]}).stand_in(attacker=["list_env"])

    ended = await bench.run(expert)

    types = [(event.type, event.payload.get("skillName")) for event in ended.events]
    start = types.index(("startRun", None))
    assert types.index(("skillConnected", BASE_SKILL)) < start
    assert (("skillConnected", "attacker") in types[:start]) is waits
    assert ended.outcome.status == "completed"


@pytest.mark.slow
async def test_every_expert_of_the_attack_suite_reaches_its_tools(tmp_path: Path) -> None:
    for number, tool in enumerate(ATTACKS):
        root = tmp_path / tool
        root.mkdir()
        bench = Bench.of(root, text_of("docker-attack-scenarios")).stand_in(attacker=ATTACKS)
        expert = list(bench.config.experts)[-10:][number]
        bench.script = {expert: [reply(calls=[(tool, {})]), done("blocked")]}

        ended = await bench.run(expert, "Try it.")

        assert f'"tool": "{tool}"' in repr(bench.requests[1].messages), expert
        assert ended.outcome.text == "blocked"
