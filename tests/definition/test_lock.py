"""The lock file: what is written is read again, damage is told with its line, drift is noticed skill by skill."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perstack.core.errors import UserError
from perstack.core.experts import BASE_SKILL, Expert, SkillSpec
from perstack.core.json import Json
from perstack.core.messages import ToolDefinition
from perstack.definition.lock import (
    Lock,
    LockedPackage,
    LockedSkill,
    differences,
    known_tools,
    locked_expert,
)
from perstack.definition.lock_file import parse_lock, read_lock
from perstack.definition.lock_text import render_lock

SEARCH = SkillSpec("search", command="uvx", package_name="searcher", required_env=("KEY",), pick=("find",), rule="Ask.")
ASK = SkillSpec("ask", "interactiveSkill", tools={"askUser": ("Ask.", '{"type":"object"}')})
REMOTE = SkillSpec("remote", "mcpSseSkill", endpoint="https://mcp.example.com/sse", omit=("drop",))
FIND = ToolDefinition(
    "find",
    "Finds\n\ttabs, “quotes” and \x7f.",
    {
        "type": "object",
        "properties": {"query": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}},
        "required": ["query"],
        "additionalProperties": False,
    },
    "search",
    read_only=True,
)
QUESTION = ToolDefinition("askUser", "Ask.", {"type": "object"}, "ask")
GET = ToolDefinition("get", "", {"type": "object", "properties": {}}, "remote")
APP = Expert(
    "@app/reader",
    "Read.\r\nThen tell.",
    name="@app/reader",
    skills={BASE_SKILL: SkillSpec(BASE_SKILL), "search": SEARCH, "ask": ASK, "remote": REMOTE},
    delegates=("other",),
    tags=("a",),
)


def locked(expert: Expert = APP) -> Lock:
    tools = {"search": (FIND,), "ask": (QUESTION,), "remote": (GET,), BASE_SKILL: ()}
    package = LockedPackage("1.2.3", "sha256:abc")
    skills = {
        name: LockedSkill(spec, tools[name], package if name == "search" else LockedPackage())
        for name, spec in expert.skills.items()
    }
    return Lock(1_760_000_000_000, "perstack.toml", {expert.key: locked_expert(expert, skills)})


def changed(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1, old
    return text.replace(old, new)


def test_what_is_written_is_read_again_exactly_nulls_included() -> None:
    assert parse_lock(render_lock(locked())) == locked()


def test_equal_locks_give_equal_text_whatever_the_order_of_experts() -> None:
    one, two = Expert("a", "x"), Expert("b", "y")
    first, second = locked_expert(one, {}), locked_expert(two, {})
    assert render_lock(Lock(1, "p", {"a": first, "b": second})) == render_lock(Lock(1, "p", {"b": second, "a": first}))


def test_the_file_has_the_public_form_and_our_digests_beside_it() -> None:
    data = tomllib.loads(render_lock(locked()))
    assert (data["version"], data["generatedAt"], data["configPath"]) == ("1", 1_760_000_000_000, "perstack.toml")
    expert = data["experts"]["@app/reader"]
    assert {"key", "name", "version", "instruction", "skills", "delegates", "tags", "toolDefinitions"} <= expert.keys()
    (tool,) = [tool for tool in expert["toolDefinitions"] if tool["name"] == "find"]
    assert tool["skillName"] == "search"
    assert "default" not in tool["inputSchema"]["properties"]["query"], "TOML has no null"
    assert [tool["name"] for tool in expert["toolDefinitions"] if tool["skillName"] == "ask"] == ["askUser"]
    search = expert["skills"]["search"]
    assert (search["type"], search["command"], search["packageName"]) == ("mcpStdioSkill", "uvx", "searcher")
    assert (search["packageVersion"], search["packageIntegrity"]) == ("1.2.3", "sha256:abc")
    assert search["digest"].startswith("sha256:")
    assert data["integrity"].startswith("sha256:")
    assert expert["integrity"].startswith("sha256:")


def test_a_lock_of_another_harness_without_digests_is_taken_as_it_is() -> None:
    text = """
version = "1"
generatedAt = 1760000000000
configPath = "perstack.toml"
[experts.app]
key = "app"
name = "app"
version = "1.0.0"
instruction = "x"
delegates = []
tags = []
[[experts.app.toolDefinitions]]
skillName = "search"
name = "find"
[experts.app.toolDefinitions.inputSchema]
type = "object"
[experts.app.skills."search"]
type = "mcpStdioSkill"
name = "search"
command = "npx"
packageName = "searcher"
pick = []
omit = []
args = []
requiredEnv = []
lazyInit = false
"""
    expert = Expert("app", "x", skills={"search": SkillSpec("search", command="npx", package_name="searcher")})
    known = known_tools(parse_lock(text), expert)
    assert known.stale == ()
    assert known.tools["search"] == (ToolDefinition("find", "", {"type": "object"}, "search"),)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"Finds\\n', '"Loses\\n', "skills.search.digest: its tool definitions were changed"),
        ('command = "uvx"', 'command = "sh"', "@app/reader.integrity: its skills were changed"),
        ('"Read.\\r\\nThen tell."', '"Read."', "integrity: the file was changed after it was written"),
        ('packageVersion = "1.2.3"', 'packageVersion = "1.2.4"', "the file was changed after it was written"),
        ('version = "1"\n', 'version = "2"\n', 'version: expected "1", got "2"'),
        ("generatedAt = 1760000000000", 'generatedAt = "now"', 'generatedAt: expected a whole number, got "now"'),
        ('skillName = "search"', 'skillName = "nothing"', 'skillName: there is no skill "nothing"'),
        ('key = "@app/reader"', 'key = "other"', 'key: expected "@app/reader"'),
        ("\nreadOnly = true", "", "its tool definitions were changed"),
        ('inputSchemaJson = "{', 'inputSchemaJson = "[', "expected a string that holds a JSON object"),
        ("additionalProperties = false", "additionalProperties = 1979-05-27", "holds a date or a time"),
    ],
)
def test_damage_is_told_with_file_and_line_and_what_to_do(old: str, new: str, words: str) -> None:
    text = changed(render_lock(locked()), old, new)
    with pytest.raises(UserError) as caught:
        parse_lock(text, "here/perstack.lock")
    assert words in caught.value.message
    assert "here/perstack.lock:" in caught.value.message
    assert "perstack install" in caught.value.hint


def test_the_line_is_the_one_of_the_damage() -> None:
    text = changed(render_lock(locked()), 'command = "uvx"', "command = 3")
    line = text[: text.index("command = 3")].count("\n") + 1
    with pytest.raises(UserError, match=rf"perstack\.lock:{line}\)"):
        parse_lock(text)


@pytest.mark.parametrize("text", ["", "version = ", 'version = "1"\nx = [', "[" * 5000])
def test_what_is_no_lock_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(UserError, match=r"perstack\.lock.*damaged"):
        parse_lock(text)


def test_a_file_cut_anywhere_is_never_taken_for_whole() -> None:
    text = render_lock(locked())
    for length in range(0, len(text) - 1, 7):
        with pytest.raises(UserError):
            parse_lock(text[:length])


def test_a_missing_file_is_no_lock_and_an_unreadable_one_is_told(tmp_path: Path) -> None:
    assert read_lock(tmp_path / "perstack.lock") is None
    (tmp_path / "perstack.lock").write_bytes(b"\xff")
    with pytest.raises(UserError, match="cannot be read"):
        read_lock(tmp_path / "perstack.lock")


def test_tools_are_known_only_for_skills_that_are_still_defined_so() -> None:
    lock = locked()
    assert known_tools(lock, APP).tools == {"search": (FIND,), "remote": (GET,)}
    assert known_tools(lock, APP).stale == ()
    other = replace(APP, skills={**APP.skills, "search": replace(SEARCH, args=("--all",))})
    known = known_tools(lock, other)
    assert set(known.tools) == {"remote"}
    assert known.stale == (
        'skill "search" of expert "@app/reader" changed since perstack.lock; run `perstack install`',
    )


def test_a_new_rule_or_instruction_does_not_make_tools_unknown() -> None:
    other = replace(APP, instruction="Else.", skills={**APP.skills, "search": replace(SEARCH, rule="Never ask.")})
    assert set(known_tools(locked(), other).tools) == {"search", "remote"}


def test_an_expert_or_skill_that_is_not_locked_is_told() -> None:
    stranger = replace(APP, key="stranger")
    assert "does not know expert" in known_tools(locked(), stranger).stale[0]
    more = replace(APP, skills={**APP.skills, "new": SkillSpec("new", command="uvx", package_name="new")})
    assert 'no tools of skill "new"' in known_tools(locked(), more).stale[0]


def test_an_expert_without_servers_needs_no_lock() -> None:
    plain = Expert("plain", "x", skills={BASE_SKILL: SkillSpec(BASE_SKILL), "ask": ASK})
    assert known_tools(locked(), plain).stale == ()


def test_a_skill_whose_tools_were_not_collected_stays_so() -> None:
    expert = Expert("a", "x", skills={"search": SEARCH})
    lock = Lock(1, "p", {"a": locked_expert(expert, {"search": LockedSkill(SEARCH)})})
    assert parse_lock(render_lock(lock)) == lock
    assert known_tools(lock, expert).tools == {}


def test_a_server_without_tools_is_not_one_that_was_never_asked() -> None:
    expert = Expert("a", "x", skills={"search": SEARCH})
    lock = Lock(1, "p", {"a": locked_expert(expert, {"search": LockedSkill(SEARCH, ())})})
    assert known_tools(parse_lock(render_lock(lock)), expert).tools == {"search": ()}


def test_differences_name_expert_skill_and_tool() -> None:
    old = locked()
    assert differences(old, replace(old, generated_at=2)) == ()
    expert = replace(APP, version="2.0.0", skills={"search": SEARCH, "remote": REMOTE})
    tools = (replace(FIND, description="Otherwise."), ToolDefinition("more", "", {}, "search"))
    skills = {"search": LockedSkill(SEARCH, tools, LockedPackage("1.3.0")), "remote": LockedSkill(REMOTE, ())}
    new = Lock(2, "perstack.toml", {"@app/reader": locked_expert(expert, skills), "b": locked_expert(APP, {})})
    told = "\n".join(differences(old, new))
    for words in (
        'expert "b" was added',
        "version changed",
        'skill "ask": was removed',
        'tool "find" is defined otherwise',
        'tool "more" is new',
        'tool "get" is gone',
        "(1.2.3 → 1.3.0)",
    ):
        assert words in told


_SCHEMAS = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab.\"' é", max_size=4), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text("xyz$-", min_size=1), _SCHEMAS, max_size=4))
def test_any_schema_survives(schema: dict[str, Json]) -> None:
    expert = Expert("a", "x", skills={"search": SEARCH})
    tool = ToolDefinition("find", "", schema, "search")
    lock = Lock(1, "p", {"a": locked_expert(expert, {"search": LockedSkill(SEARCH, (tool,))})})
    assert parse_lock(render_lock(lock)) == lock
