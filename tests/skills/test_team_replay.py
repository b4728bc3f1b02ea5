"""For any sequence of management calls, the team read back from the recorded calls is the live one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perstack.core.experts import BASE_SKILL, MANAGEMENT_TOOLS, Expert
from perstack.core.messages import ToolCall, ToolResult
from perstack.definition.load import load_config, read_experts
from perstack.skills.base import base_skill
from perstack.skills.team import Team
from perstack.skills.team_trust import refuse_reach, refuse_wider
from perstack.testing import LocalSession

PICKS = ", ".join(f'"{tool}"' for tool in MANAGEMENT_TOOLS)
DEFINITION = "".join(
    f"""
[experts."{key}"]
instruction = "Build."
delegates = {delegates}
[experts."{key}".skills."{BASE_SKILL}"]
type = "mcpStdioSkill"
command = "npx"
pick = [{PICKS}]
[experts."{key}".skills.search]
type = "mcpStdioSkill"
command = "npx"
packageName = "search-server"
requiredEnv = {env}
allowedDomains = ["api.example.com"]
"""
    for key, delegates, env in (("lead", '["@lead/a"]', '["A_KEY", "B_KEY"]'), ("@lead/a", "[]", '["A_KEY"]'))
)
KEYS = ("lead", "@lead/a", "@lead/b", "@lead/c", "other", "@other/d")
NAMES = st.sampled_from(KEYS)
CALLERS = st.sampled_from(KEYS[:3])
PERMISSIONS = {
    "requiredEnv": st.lists(st.sampled_from(["A_KEY", "B_KEY", "C_KEY"]), max_size=2),
    "allowedDomains": st.lists(st.sampled_from(["api.example.com", "evil.example.net"]), max_size=1),
}
STDIO = {"type": st.just("mcpStdioSkill")}
SKILLS = st.one_of(
    st.fixed_dictionaries(
        {**STDIO, "command": st.just("npx"), "packageName": st.just("search-server")}, optional=PERMISSIONS
    ),
    st.fixed_dictionaries(
        {**STDIO, "command": st.just("python3"), "args": st.just(["server.py"])}, optional=PERMISSIONS
    ),
)
BASE = st.fixed_dictionaries(
    {"type": st.just("mcpStdioSkill"), "command": st.just("npx")},
    optional={"pick": st.lists(st.sampled_from(MANAGEMENT_TOOLS))},
)
ARGUMENTS: Mapping[str, st.SearchStrategy[dict[str, Any]]] = {
    "createExpert": st.fixed_dictionaries(
        {"key": NAMES, "instruction": st.just("x")},
        optional={
            "delegates": st.lists(NAMES, max_size=1),
            "skills": st.fixed_dictionaries({"search": SKILLS}, optional={BASE_SKILL: BASE}),
        },
    ),
    "addSkill": SKILLS.map(lambda skill: {"name": "more", **skill}),
    "removeSkill": st.fixed_dictionaries({"skillName": st.sampled_from(["search", "more", BASE_SKILL])}),
    "addDelegate": st.fixed_dictionaries({"expertKey": NAMES}),
    "removeDelegate": st.fixed_dictionaries({"expertKey": NAMES}),
    "addDelegateFromConfig": st.fixed_dictionaries({"configPath": st.just("team.toml"), "delegateExpertKey": NAMES}),
}
CALLS = st.lists(
    st.sampled_from(("createExpert", "createExpert", *MANAGEMENT_TOOLS)).flatmap(
        lambda tool: st.tuples(CALLERS, st.just(tool), ARGUMENTS[tool])
    ),
    max_size=12,
)
FILE = '[experts.other]\ninstruction = "x"\ndelegates = ["@other/d"]\n[experts."@other/d"]\ninstruction = "y"\n'


async def played(team: Team, calls: list[tuple[str, str, dict[str, Any]]]) -> list[tuple[str, ToolCall, ToolResult]]:
    """Make the calls of experts that are there, each with the tools it was given."""
    made: list[tuple[str, ToolCall, ToolResult]] = []
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "team.toml").write_text(FILE)
        for number, (caller, tool, args) in enumerate(calls):
            if caller in team.experts:
                skill = base_skill(team.experts[caller], folder, LocalSession(folder), team=team)
                call = ToolCall(f"call_{number}", tool, args, BASE_SKILL)
                made.append((caller, call, await skill.call(call)))
    return made


@pytest.mark.slow
@given(CALLS)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_log_rebuilds_the_team_and_nobody_gets_more_than_the_lead_had(
    calls: list[tuple[str, str, dict[str, Any]]],
) -> None:
    configured: Mapping[str, Expert] = load_config(DEFINITION).experts
    live, rebuilt = Team(configured, read_experts), Team(configured, read_experts)

    rebuilt.restore(anyio.run(played, live, calls))

    assert rebuilt.state == live.state
    for expert in live.experts.values():
        refuse_wider(expert, configured["lead"])
        refuse_reach(live.experts, expert.delegates, configured["lead"])
