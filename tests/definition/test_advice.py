"""What a definition may say although it has no effect here, or others would refuse it: told, with its line."""

from __future__ import annotations

import pytest

from perstack.core.experts import BASE_SKILL, MANAGEMENT_TOOLS
from perstack.definition.load import load_config

EXPERT = '[experts.a]\ninstruction = "x"\n'
STDIO = '[experts.a.skills.s]\ntype = "mcpStdioSkill"\ncommand = "npx"\nargs = ["y"]\n'
BASE = f'[experts.a.skills."{BASE_SKILL}"]\ntype = "mcpStdioSkill"\ncommand = "npx"\n'
ASK = '[experts.a.skills.s]\ntype = "interactiveSkill"\n'
MANY = ", ".join(f'"n{number}"' for number in range(256))
LONG = "x" * 2049


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        (EXPERT + 'providerTools = ["webSearch", "mindReading"]', '3: "mindReading" has no effect: no provider'),
        (EXPERT + 'providerSkills = [{ type = "builtin", skillId = "pdf" }]', '3: "providerSkills" has no effect'),
        (EXPERT + "providerToolOptions = { webFetch = { maxUses = 1 } }", '3: "providerToolOptions" has no effect'),
        (EXPERT + 'tags = ["a", "b", "c", "d", "e", "f", "g", "h", "i"]', "3: more than 8 tags"),
        (
            '[experts."a@2.0.0"]\ninstruction = "x"\nversion = "1.0.0"',
            '3: differs from the version in the key, "2.0.0"; this one counts',
        ),
        (f'[experts.{"a" * 256}]\ninstruction = "x"', "1: a name of more than 255 characters"),
        ('[experts."@acme/tool.x"]\ninstruction = "x"', "1: a name with dots; an expert registry would refuse it"),
        (EXPERT + STDIO + f"pick = [{MANY}]", "7: more than 255 entries"),
        (EXPERT + STDIO + f"omit = [{MANY}]", "7: more than 255 entries"),
        (EXPERT + STDIO + f"requiredEnv = [{MANY}]", "7: more than 255 entries"),
        (EXPERT + STDIO + f'rule = "{LONG}"', "7: longer than 2048 characters"),
        (EXPERT + STDIO + f'description = "{LONG}"', "7: longer than 2048 characters"),
        (EXPERT + STDIO.replace("skills.s", f"skills.{'s' * 256}"), "3: a name of more than 255 characters"),
        (
            EXPERT + f'[experts.a.skills.s]\ntype = "mcpSseSkill"\nendpoint = "https://mcp.example.com/{LONG}"',
            "5: longer than 2048 characters",
        ),
        (EXPERT + ASK + "tools.'ask user' = { inputJsonSchema = '{}' }", "5: model providers take tool names of"),
        (
            EXPERT + ASK + f"""tools.t = {{ inputJsonSchema = '{{"description":"{'x' * 20480}"}}' }}""",
            "5: longer than 20480 characters",
        ),
        (EXPERT + BASE + 'requiredEnv = ["GH_TOKEN"]', "6: requiredEnv has no effect on the built-in base skill"),
        (EXPERT + BASE + f'packageName = "{BASE_SKILL}@0.0.34"', f'6: "{BASE_SKILL}@0.0.34": the version has no'),
        (EXPERT + BASE + f'args = ["-y", "{BASE_SKILL}@0.0.34"]', "6: \"@perstack/base@0.0.34\": the version has no"),
        (
            EXPERT + f'[experts.a.skills."{BASE_SKILL}"]\ntype = "mcpSseSkill"\nendpoint = "https://mcp.example.com/"',
            "5: has no effect: the built-in base tools are used",
        ),
    ],
)  # fmt: skip
def test_what_has_no_effect_or_is_refused_elsewhere_is_told_with_its_line(text: str, warning: str) -> None:
    [told] = load_config(text).warnings

    assert told.startswith(f"perstack.toml:{warning}")


def test_many_delegates_skills_and_tools_are_told() -> None:
    delegates = ", ".join(f'"n{number}"' for number in range(256))
    tools = "".join(f"tools.t{number} = {{ inputJsonSchema = '{{}}' }}\n" for number in range(256))
    skills = "".join(
        f'[experts.a.skills.s{number}]\ntype = "mcpStdioSkill"\ncommand = "x"\nargs = []\n' for number in range(256)
    )

    told = load_config(f"{EXPERT}delegates = [{delegates}]\n{ASK}{tools}{skills}").warnings

    assert [line.partition(" ")[0] for line in told] == ["perstack.toml:4:", "perstack.toml:3:", "perstack.toml:6:"]


def test_a_key_below_the_wrong_header_is_told_where_it_belongs() -> None:
    text = f'{EXPERT}{BASE}defaultModelTier = "low"\ndelegates = ["b"]\nmaxSteps = 3\n[experts.b]\ninstruction = "x"\n'

    place = '[experts.a.skills."@perstack/base"]'
    home = "it belongs to [experts.a]: move it up, directly below that header"
    top = "it belongs to the top level: move it above the first table"
    assert load_config(text).warnings == (
        f'perstack.toml:6: unknown key "defaultModelTier" in {place} ({home})',
        f'perstack.toml:7: unknown key "delegates" in {place} ({home})',
        f'perstack.toml:8: unknown key "maxSteps" in {place} ({top})',
    )


def test_picked_management_tools_are_known() -> None:
    picks = ", ".join(f'"{tool}"' for tool in MANAGEMENT_TOOLS)

    assert load_config(f"{EXPERT}{BASE}pick = [{picks}]").warnings == ()


def test_the_limits_themselves_are_fine() -> None:
    text = (
        EXPERT
        + 'tags = ["a", "b", "c", "d", "e", "f", "g", "h"]\n'
        + STDIO
        + f'rule = "{"x" * 2048}"\npick = [{", ".join(MANY.split(", ")[:255])}]\n'
    )

    assert load_config(text).warnings == ()


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        (
            "[github.commands.fix]\nenabled = true\nroles = ['admin', 'triage']",
            '3: the role "triage" lets people without write access start runs',
        ),
        (
            "[github.commands.run]\nroles = ['admin']\nenabled = false",
            '3: nobody may give "run": roles and teams have no effect',
        ),
        (
            "[github]\napproval = 'always'\ncommands.approve = { enabled = false }",
            '2: no fix can ever be approved: the command "approve" is switched off',
        ),
        ("[github]\non = ['push']\nassignee = 'fixer'", '3: has no effect: "on" has no "issues"'),
        ("[github]\non = ['push']\nverifyPullRequests = true", '3: has no effect: "on" has no "pull_request"'),
    ],
)
def test_rules_for_github_that_open_more_or_less_than_they_seem_to_are_told(text: str, warning: str) -> None:
    [told] = load_config(text).warnings

    assert told.startswith(f"perstack.toml:{warning}")


@pytest.mark.parametrize(
    "text",
    [
        "[github.commands.explain]\nroles = ['read']",
        "[github]\non = ['push']\nverifyPullRequests = false",
        "[github]\napproval = 'always'\ncommands = { fix = { enabled = false }, plan = { enabled = false } }",
    ],
)
def test_sensible_rules_for_github_are_not_talked_about(text: str) -> None:
    assert load_config(text).warnings == ()
