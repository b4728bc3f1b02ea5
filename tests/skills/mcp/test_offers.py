"""Whatever a server lists, what a model is offered is acceptable to a model API."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from hypothesis import given, settings
from hypothesis import strategies as st

from perstack.core.experts import SkillSpec
from perstack.core.json import Json
from perstack.core.messages import ToolDefinition
from perstack.skills.mcp.contract import Listed
from perstack.skills.mcp.offers import MAX_DESCRIPTION, MAX_SCHEMA, MAX_TOOLS, catalogue, differences, kept

SPEC = SkillSpec("s")
OBJECT = {"type": "object"}

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
SCHEMAS = ANY_JSON | st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("type", "properties", "anyOf", "required", "$schema"), ANY_JSON)
)
TOOLS = st.builds(Listed, st.text(max_size=70), st.text(max_size=50), SCHEMAS, st.booleans())


@settings(deadline=None, max_examples=50)
@given(st.lists(TOOLS, max_size=8))
def test_every_offered_tool_is_acceptable_and_leads_back_to_its_own_name(listed: list[Listed]) -> None:
    offer = catalogue(listed, SPEC)
    names = [tool.name for tool in offer.definitions]
    assert len(set(names)) == len(names)
    assert set(offer.own_names) == set(names)
    assert {offer.own_names[name] for name in names} <= {tool.name for tool in listed}
    assert len(names) + len(offer.remarks) >= len(listed)
    for tool in offer.definitions:
        assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", tool.name)
        assert tool.input_schema["type"] == "object"
        properties = tool.input_schema["properties"]
        assert isinstance(properties, Mapping)
        assert all(re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", name) for name in properties)
        assert not {"anyOf", "oneOf", "allOf"} & set(tool.input_schema)
        assert tool.skill_name == "s"
    assert catalogue(listed, SPEC) == offer


def test_a_tool_keeps_its_good_name_where_another_one_is_mapped_to_it() -> None:
    offer = catalogue([Listed("a.b", "", OBJECT), Listed("a_b", "", OBJECT), Listed("", "", OBJECT)], SPEC)
    first, second, third = (tool.name for tool in offer.definitions)
    assert second == "a_b"
    assert first.startswith("a_b_")
    assert third.startswith("tool_")
    assert offer.own_names[first] == "a.b"


def test_lists_words_and_schemas_have_limits() -> None:
    many = catalogue([Listed(f"t{number}", "", OBJECT) for number in range(MAX_TOOLS + 5)], SPEC)
    assert len(many.definitions) == MAX_TOOLS
    assert f"only the first {MAX_TOOLS}" in many.remarks[-1]
    long = catalogue([Listed("t", "d" * 100_000, {"type": "object", "title": "t" * 40_000})], SPEC).definitions[0]
    assert len(long.description) == MAX_DESCRIPTION
    assert len(json.dumps(dict(long.input_schema))) < MAX_SCHEMA / 10


def test_hidden_words_in_a_schema_are_taken_out() -> None:
    schema: Json = {"type": "object", "properties": {"a": {"description": "A number.\u200b\U000e0041\x1b[8mhidden"}}}
    assert catalogue([Listed("t", "", schema)], SPEC).definitions[0].input_schema["properties"] == {
        "a": {"description": "A number.hidden"}
    }


def test_omit_is_stronger_than_pick_also_for_tools_of_a_lock_file() -> None:
    spec = SkillSpec("s", pick=("a", "b"), omit=("b",))
    tools = [ToolDefinition(name, "", OBJECT, "other", read_only=True) for name in "abc"]
    assert kept(tools, spec) == (ToolDefinition("a", "", {**OBJECT, "properties": {}}, "s", read_only=True),)
    assert [tool.name for tool in catalogue([Listed(name, "", OBJECT) for name in "abc"], spec).definitions] == ["a"]


def test_a_tool_that_was_renamed_for_models_is_kept_from_a_lock_file_by_its_own_name() -> None:
    spec = SkillSpec("s", pick=("get.time", "get time", "plain"), omit=("set.time",))
    offered = catalogue([Listed(name, "", OBJECT) for name in ("get.time", "get time", "set.time", "plain")], spec)
    assert len(offered.definitions) == 3
    assert kept(offered.definitions, spec) == offered.definitions


def test_words_of_a_lock_file_are_cleaned_like_those_of_a_server() -> None:
    tools = [
        ToolDefinition("fine", "Good.\u200b\U000e0041\x1b[8mhidden", {"type": "object", "properties": {}}, "s"),
        ToolDefinition("no good name", "", OBJECT, "s"),
        ToolDefinition("array", "", {"type": "array"}, "s"),
    ]
    found = kept(tools, SPEC)
    assert [(tool.name, tool.description) for tool in found] == [("fine", "Good.hidden")]


def test_differences_name_each_tool_once() -> None:
    def tool(name: str, words: str = "", **schema: str) -> ToolDefinition:
        return ToolDefinition(name, words, {"type": "object", **schema})

    before = [tool("same"), tool("gone"), tool("words", "one"), tool("schema", title="one")]
    now = [tool("schema", "other", title="two"), tool("words", "two"), tool("same"), tool("new")]
    assert differences(before, now) == (
        "gone is gone",
        "new is new",
        "words has another description",
        "schema has other arguments",
    )
    assert differences(before, before) == ()
