"""Management tools: experts that make experts, within what their author gave them, and a team the log can rebuild."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from perstack.core.errors import InvariantBroken, UserError
from perstack.core.experts import BASE_SKILL, MANAGEMENT_TOOLS
from perstack.core.json import Json
from perstack.core.messages import TextPart, ToolCall, ToolResult
from perstack.definition.load import load_config, read_experts
from perstack.skills.base import BaseSkill, base_skill
from perstack.skills.team import Team, TeamState, apply_call
from perstack.testing import LocalSession

pytestmark = pytest.mark.anyio

ALL = ", ".join(f'"{name}"' for name in (*MANAGEMENT_TOOLS, "attemptCompletion", "exec"))
DEFINITION = f"""
[experts.lead]
instruction = "Build a team."
delegates = ["helper", "@lead/old"]
[experts.lead.skills."@perstack/base"]
type = "mcpStdioSkill"
command = "npx"
packageName = "@perstack/base"
pick = [{ALL}]
[experts.lead.skills.search]
type = "mcpStdioSkill"
command = "npx"
packageName = "search-server"
requiredEnv = ["SEARCH_KEY", "SEARCH_USER"]
allowedDomains = ["api.example.com", "*.example.org"]
pick = ["find", "read", "drop"]
omit = ["drop"]
[experts.lead.skills.remote]
type = "mcpSseSkill"
endpoint = "https://mcp.example.com/sse"
[experts.helper]
instruction = "Help."
[experts."@lead/old"]
instruction = "Old."
[experts.deploy]
instruction = "Deploys."
[experts.deploy.skills.cloud]
type = "mcpStdioSkill"
command = "npx"
packageName = "cloud-server"
requiredEnv = ["CLOUD_KEY"]
[experts.through]
instruction = "Calls deploy."
delegates = ["deploy"]
[experts.other]
instruction = "Leads another team."
"""
SEARCH: Mapping[str, Json] = {
    "type": "mcpStdioSkill",
    "command": "npx",
    "packageName": "search-server",
    "pick": ["find"],
}


@dataclass
class Bench:
    """One team, the base skills of its experts, and every call that was made."""

    root: Path
    team: Team = field(default_factory=lambda: Team(load_config(DEFINITION).experts, read_experts))
    calls: list[tuple[str, ToolCall, ToolResult]] = field(default_factory=list)

    def skill(self, caller: str) -> BaseSkill:
        return base_skill(self.team.experts[caller], self.root, LocalSession(self.root), team=self.team)

    async def call(self, tool: str, caller: str = "lead", /, **args: Any) -> ToolResult:
        call = ToolCall(f"call_{len(self.calls)}", tool, args, BASE_SKILL)
        result = await self.skill(caller).call(call)
        self.calls.append((caller, call, result))
        return result

    async def ok(self, tool: str, caller: str = "lead", /, **args: Any) -> Any:
        result = await self.call(tool, caller, **args)
        assert not result.is_error, result.text
        return json.loads(result.text)

    async def refused(self, tool: str, caller: str = "lead", /, **args: Any) -> str:
        before = self.team.state
        result = await self.call(tool, caller, **args)
        assert result.is_error, result.text
        assert self.team.state == before
        return str(json.loads(result.text)["message"])


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def test_management_tools_are_offered_only_where_pick_names_them(bench: Bench) -> None:
    async def offered(caller: str) -> set[str]:
        return {definition.name for definition in await bench.skill(caller).definitions()}

    assert set(MANAGEMENT_TOOLS) <= await offered("lead")
    assert not set(MANAGEMENT_TOOLS) & await offered("helper")


async def test_a_created_expert_has_the_base_skill_and_can_be_called(bench: Bench) -> None:
    created = await bench.ok("createExpert", key="@lead/write", instruction="Write.", description="Writes.")
    added = await bench.ok("addDelegate", expertKey="@lead/write")

    assert created == {"expertKey": "@lead/write"}
    assert added == {"delegateToolName": "write"}
    expert = bench.team.experts["@lead/write"]
    assert (expert.instruction, expert.description, list(expert.skills)) == ("Write.", "Writes.", [BASE_SKILL])
    assert bench.team.experts["lead"].delegates == ("helper", "@lead/old", "@lead/write")


async def test_the_view_of_the_team_grows_where_it_is_held(bench: Bench) -> None:
    held = bench.team.experts
    count = len(held)

    await bench.ok("createExpert", key="writer", instruction="Write.")

    assert "writer" in held
    assert len(held) == len(list(held)) == count + 1


async def test_what_was_added_can_be_taken_away_again(bench: Bench) -> None:
    assert await bench.ok("removeDelegate", expertKey="helper") == {"removed": "helper"}
    assert await bench.ok("removeSkill", skillName="search") == {"removed": "search"}
    assert bench.team.experts["lead"].delegates == ("@lead/old",)
    assert "search" not in bench.team.experts["lead"].skills

    assert await bench.ok("addDelegate", expertKey="helper") == {"delegateToolName": "helper"}
    assert await bench.ok("addSkill", name="search", requiredEnv=["SEARCH_KEY"], **SEARCH) == {"skillName": "search"}
    assert bench.team.experts["lead"].skills["search"].required_env == ("SEARCH_KEY",)


@pytest.mark.parametrize(
    ("args", "why"),
    [
        ({"key": "Bad Key"}, "Invalid expert key format: Bad Key"),
        ({"key": "@lead/x", "instruction": ""}, "instruction: must have at least 1 character"),
        ({"key": "@lead/x", "instruction": "x" * 20481}, "must have at most 20480 characters"),
        ({"key": "@lead/x", "defaultModelTier": "best"}, 'expected "low", "middle" or "high"'),
        ({"key": "@lead/x", "delegates": ["@lead/x"]}, "cannot delegate to itself"),
        ({"key": "@lead/x", "delegates": ["lead"]}, "cannot call its own coordinator"),
        ({"key": "@lead/x", "delegates": ["nowhere"]}, 'There is no expert "nowhere"'),
        ({"key": "@lead/x", "skills": {"s": {"type": "mcpStdioSkill", "command": "x"}}}, "no packageName or args"),
        ({"key": "@lead/x", "skills": {"s": {"typ": "x"}}}, "required, but missing"),
        ({"key": "helper"}, 'There is an expert "helper" already'),
        ({"key": "@other/x"}, "belongs to another team"),
    ],
)
async def test_the_rules_of_a_definition_hold_for_created_experts(
    bench: Bench, args: dict[str, Json], why: str
) -> None:
    assert why in await bench.refused("createExpert", **{"instruction": "x", **args})


async def test_a_key_the_definition_only_names_cannot_be_taken(tmp_path: Path) -> None:
    dangling = DEFINITION.replace('["deploy"]', '["ghost"]')
    bench = Bench(tmp_path, Team(load_config(dangling).experts, read_experts))

    assert "only its author can define it" in await bench.refused("createExpert", key="ghost", instruction="x")


@pytest.mark.parametrize(
    ("skill", "why"),
    [
        ({**SEARCH, "requiredEnv": ["CLOUD_KEY"]}, "what one of your own skills has"),
        ({**SEARCH, "allowedDomains": ["evil.example.net"]}, "what one of your own skills has"),
        ({**SEARCH, "pick": []}, "what one of your own skills has"),
        ({**SEARCH, "pick": ["find", "write"]}, "what one of your own skills has"),
        ({**SEARCH, "pick": ["drop"]}, "what one of your own skills has"),
        ({**SEARCH, "allowedDomains": ["*.com"]}, "what one of your own skills has"),
        ({**SEARCH, "allowedDomains": ["example.org"]}, "what one of your own skills has"),
        (
            {"type": "mcpStdioSkill", "command": "sh", "args": ["x"], "requiredEnv": ["SEARCH_KEY"]},
            "that starts the same program",
        ),
        (
            {"type": "mcpStdioSkill", "command": "sh", "args": ["x"], "allowedDomains": ["api.example.com"]},
            "that starts the same program",
        ),
        ({"type": "mcpStdioSkill", "command": "npx", "packageName": "other"}, "packages are fetched only where"),
        ({"type": "mcpStdioSkill", "command": "/usr/bin/uvx", "args": ["other"]}, "packages are fetched only where"),
        ({"type": "mcpSseSkill", "endpoint": "https://mcp.example.net/sse"}, "only an endpoint that one of your own"),
        ({"type": "mcpSseSkill", "endpoint": "https://127.0.0.1/sse"}, "must be a public HTTPS URL"),
    ],
)
async def test_a_skill_never_reaches_further_than_those_of_its_maker(
    bench: Bench, skill: dict[str, Json], why: str
) -> None:
    assert why in await bench.refused("addSkill", name="mine", **skill)
    assert why in await bench.refused("createExpert", key="@lead/x", instruction="x", skills={"mine": skill})


@pytest.mark.parametrize(
    "skill",
    [
        {**SEARCH, "requiredEnv": ["SEARCH_USER"], "allowedDomains": ["eu.example.org", "api.example.com"]},
        {**SEARCH, "pick": ["find", "read"]},
        {**SEARCH, "pick": ["find", "drop"], "omit": ["drop"]},
        {"type": "mcpSseSkill", "endpoint": "https://mcp.example.com/sse", "rule": "Ask first."},
        {"type": "mcpStdioSkill", "command": "python3", "args": ["server.py"]},
        {"type": "interactiveSkill", "tools": {"askUser": {"inputJsonSchema": "{}"}}},
    ],
)
async def test_a_skill_within_the_limits_is_added_and_handed_on(bench: Bench, skill: dict[str, Json]) -> None:
    await bench.ok("addSkill", name="mine", **skill)
    await bench.ok("createExpert", key="@lead/x", instruction="x", skills={"mine": skill})

    assert bench.team.experts["lead"].skills["mine"] == bench.team.experts["@lead/x"].skills["mine"]


async def test_what_an_expert_may_hand_on_shrinks_from_maker_to_maker(bench: Bench) -> None:
    base: Json = {"type": "mcpStdioSkill", "command": "npx", "packageName": "@perstack/base", "pick": ["addSkill"]}
    await bench.ok("createExpert", key="@lead/x", instruction="x", skills={BASE_SKILL: base, "search": SEARCH})

    why = await bench.refused("addSkill", "@lead/x", name="more", **SEARCH, requiredEnv=["SEARCH_KEY"])

    assert "what one of your own skills has" in why


async def test_management_tools_are_handed_on_only_by_who_has_them(tmp_path: Path) -> None:
    picks = DEFINITION.replace(ALL, '"createExpert"')
    bench = Bench(tmp_path, Team(load_config(picks).experts, read_experts))
    base: Json = {"type": "mcpStdioSkill", "command": "npx", "packageName": "@perstack/base", "pick": ["addDelegate"]}

    why = await bench.refused("createExpert", key="@lead/x", instruction="x", skills={BASE_SKILL: base})

    assert "Management tools can only be handed on" in why


@pytest.mark.parametrize("target", ["deploy", "through"])
async def test_no_way_leads_to_an_expert_that_may_do_more(bench: Bench, target: str) -> None:
    assert '"deploy" may do more than you' in await bench.refused("addDelegate", expertKey=target)
    assert '"deploy" may do more than you' in await bench.refused(
        "createExpert", key="@lead/x", instruction="x", delegates=[target]
    )


@pytest.mark.parametrize(
    ("tool", "args", "why"),
    [
        ("addDelegate", {"expertKey": "lead"}, "cannot delegate to itself"),
        ("addDelegate", {"expertKey": "nobody"}, 'There is no expert "nobody"'),
        ("removeDelegate", {"expertKey": "other"}, 'You have no delegate "other"'),
        ("removeSkill", {"skillName": BASE_SKILL}, "cannot be removed"),
        ("removeSkill", {"skillName": "none"}, 'You have no skill "none"'),
        ("addSkill", {"name": "long", "rule": "x" * 60_000, **SEARCH}, "characters, 60000 are taken"),
        ("addSkill", {"name": "search", **SEARCH}, 'You have a skill "search" already'),
    ],
)
async def test_what_makes_no_sense_is_refused(bench: Bench, tool: str, args: dict[str, Json], why: str) -> None:
    assert why in await bench.refused(tool, **args)


async def test_two_tools_never_share_a_name(bench: Bench) -> None:
    await bench.ok("createExpert", key="@lead/helper", instruction="x")
    await bench.ok("createExpert", key="exec", instruction="x")

    assert 'You have a tool "helper" already' in await bench.refused("addDelegate", expertKey="@lead/helper")
    assert 'You have a tool "exec" already' in await bench.refused("addDelegate", expertKey="exec")
    tools = {"old": {"inputJsonSchema": "{}"}}
    assert 'You have a tool "old" already' in await bench.refused(
        "addSkill", name="ask", type="interactiveSkill", tools=tools
    )


async def test_the_number_and_the_size_of_created_experts_have_limits(bench: Bench) -> None:
    for number in range(19):
        await bench.ok("createExpert", key=f"@lead/e{number}", instruction="x" * 20_480)
    assert "400000 characters" in await bench.refused("createExpert", key="@lead/big", instruction="x" * 20_480)
    for number in range(19, 32):
        await bench.ok("createExpert", key=f"@lead/e{number}", instruction="x")
    assert "which is the limit" in await bench.refused("createExpert", key="@lead/more", instruction="x")


async def test_an_expert_of_a_file_is_taken_over_with_its_delegates(bench: Bench) -> None:
    (bench.root / "team.toml").write_text(
        '[experts.game]\ninstruction = "Lead."\ndelegates = ["@game/draw", "helper"]\n'
        '[experts."@game/draw"]\ninstruction = "Draw."\ndelegates = ["@game/test"]\n'
        '[experts."@game/test"]\ninstruction = "Test."\ndelegates = ["@game/draw"]\n'
        '[experts.helper]\ninstruction = "Help."\n[experts.unused]\ninstruction = "x"\n'
    )

    answer = await bench.ok("addDelegateFromConfig", configPath="team.toml", delegateExpertKey="game")

    assert (answer["delegateToolName"], list(answer["experts"])) == ("game", ["game", "@game/draw", "@game/test"])
    assert "unused" not in bench.team.experts
    assert bench.team.experts["@game/test"].delegates == ("@game/draw",)
    assert bench.team.experts["lead"].delegates[-1] == "game"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("x = ", "not valid TOML"),
        ("model = 'x'", "defines no experts"),
        ("[experts.b]\ninstruction = 'x'", 'defines no expert "a"'),
        ("[experts.a]\ninstruction = ''", "must have at least 1 character"),
        ("[experts.a]\ninstruction = 'x'\ndelegates = ['nowhere']", 'There is no expert "nowhere"'),
        ("[experts.a]\ninstruction = 'x'\ndelegates = ['deploy']", "may do more than you"),
        ("[experts.a]\ninstruction = 'x'\nsince = 1979-05-27", "unknown key"),
        (
            "[experts.a]\ninstruction = 'x'\nskills.s = { type = 'mcpStdioSkill', command = 'npx', packageName = 'y' }",
            "packages are fetched only where",
        ),
    ],
)
async def test_a_file_of_the_workspace_is_trusted_no_more_than_the_model(bench: Bench, content: str, why: str) -> None:
    (bench.root / "team.toml").write_text(content)

    assert why in await bench.refused("addDelegateFromConfig", configPath="team.toml", delegateExpertKey="a")


async def test_a_file_outside_the_workspace_is_not_read(bench: Bench) -> None:
    assert "outside" in await bench.refused("addDelegateFromConfig", configPath="../x.toml", delegateExpertKey="a")


async def test_the_recorded_calls_rebuild_the_team(bench: Bench) -> None:
    (bench.root / "team.toml").write_text('[experts.game]\ninstruction = "Lead."\n')
    await bench.ok("createExpert", key="@lead/write", instruction="Write.", version=None)
    await bench.ok("addDelegate", expertKey="@lead/write")
    await bench.refused("addDelegate", expertKey="deploy")
    await bench.ok("addSkill", name="again", **SEARCH)
    await bench.ok("addDelegateFromConfig", configPath="team.toml", delegateExpertKey="game")
    await bench.ok("removeSkill", skillName="search")
    await bench.ok("removeDelegate", expertKey="helper")
    await bench.call("exec", command="true")
    (bench.root / "team.toml").unlink()

    rebuilt = Team(load_config(DEFINITION).experts, read_experts)
    rebuilt.restore(bench.calls)

    assert rebuilt.state == bench.team.state


async def test_applying_a_call_changes_nothing_that_is_held(bench: Bench) -> None:
    await bench.ok("createExpert", key="@lead/write", instruction="Write.")
    first = TeamState.of(load_config(DEFINITION).experts)

    second = apply_call(first, *bench.calls[0], read_experts)

    assert "@lead/write" not in first.experts
    assert second.made == {"@lead/write": "lead"}


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ('"SEARCH_KEY", ', "", "what one of your own skills has"),
        ('packageName = "search-server"', 'packageName = "another-server"', "what one of your own skills has"),
        ('"SEARCH_USER"', '"OTHER"', ""),
    ],
)
async def test_what_the_definition_no_longer_allows_is_not_brought_back(
    bench: Bench, before: str, after: str, why: str
) -> None:
    mine: Json = {**SEARCH, "requiredEnv": ["SEARCH_KEY"]}
    await bench.ok("createExpert", key="@lead/x", instruction="x", skills={"mine": mine})
    changed = Team(load_config(DEFINITION.replace(before, after)).experts, read_experts)

    if not why:
        changed.restore(bench.calls)
        return
    with pytest.raises(UserError, match="the definition allows less than when this job began") as caught:
        changed.restore(bench.calls)
    assert why in caught.value.message
    assert "@lead/x" not in changed.experts


async def test_an_expert_the_definition_has_by_now_is_the_definitions(bench: Bench) -> None:
    await bench.ok("createExpert", key="@lead/new", instruction="The model's.")
    later = DEFINITION + '[experts."@lead/new"]\ninstruction = "The author\'s."\n'
    team = Team(load_config(later).experts, read_experts)

    team.restore([*bench.calls, ("gone", *bench.calls[0][1:])])

    assert team.experts["@lead/new"].instruction == "The author's."


async def test_a_recorded_answer_that_no_tool_wrote_is_told(bench: Bench) -> None:
    await bench.ok("createExpert", key="@lead/new", instruction="x")
    caller, call, result = bench.calls[0]
    for text in ("no JSON", "[]"):
        broken = replace(result, contents=(TextPart(text),))
        with pytest.raises(InvariantBroken, match="the recorded answer of createExpert"):
            apply_call(bench.team.state, caller, call, broken, read_experts)
