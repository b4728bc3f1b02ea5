"""The JSON Schema and the reference say what the loader takes."""

from __future__ import annotations

import re
import tomllib

import jsonschema
import pytest

from perstack.core.experts import BASE_TOOLS, MANAGEMENT_TOOLS
from perstack.definition.builtin import builtin_config
from perstack.definition.document import json_schema, reference
from perstack.definition.schema_harness import Document
from perstack.definition.tables import Table
from tests.definition.samples import FULL

VALIDATOR = jsonschema.Draft202012Validator(json_schema())


def subclasses(table: type[Table]) -> list[type[Table]]:
    return [one for child in table.__subclasses__() for one in (child, *subclasses(child))]


def test_the_schema_is_a_valid_json_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())


def test_the_schema_takes_a_full_definition() -> None:
    assert [error.message for error in VALIDATOR.iter_errors(tomllib.loads(FULL))] == []


@pytest.mark.parametrize(
    "text",
    [
        "unknown = 1",
        "maxSteps = 0",
        "maxSteps = '1'",
        "reasoningBudget = 'lots'",
        "[experts.a]\nversion = '1.0.0'",
        "[experts.a]\ninstruction = 'x'\ninstructions = 'y'",
        "[experts.a]\ninstruction = 'x'\n[experts.a.skills.s]\ntype = 'mcpSseSkill'",
        "[signals.s]\nrun = []",
        "[signals.s]\nrun = 'x'\npriority = 'maybe'",
        "[provider]\nproviderName = 'nobody'",
    ],
)
def test_the_schema_marks_what_the_loader_refuses_or_warns_about(text: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(tomllib.loads(text))


def test_the_reference_names_every_key_of_every_table() -> None:
    text = reference()
    for table in subclasses(Table):
        for name, field in table.model_fields.items():
            alias = field.alias or name
            assert re.search(rf"^{alias} = |[\[.]{alias}[\].]", text, re.MULTILINE), f"{table.__name__}.{alias}"


def test_the_reference_shows_defaults_required_keys_and_base_tools() -> None:
    text = reference()

    assert "maxSteps = integer, ≥ 1, default 100" in text
    assert re.search(r"^instruction = string, .*required", text, re.MULTILINE)
    assert '[experts."<key>".skills."<name>"]\ntype = "mcpSseSkill"' in text
    assert "[pipelines.<name>.budgets]" in text
    assert all(tool in text for tool in (*BASE_TOOLS, *MANAGEMENT_TOOLS))


def test_the_headings_of_the_reference_are_toml() -> None:
    headings = re.findall(r"^\[.*\]$", reference(), re.MULTILINE)
    assert len(headings) > 5
    for heading in headings:
        tomllib.loads(re.sub(r"<(\w+)>", r"\1", heading))


def test_the_schema_knows_every_key_the_shipped_experts_use() -> None:
    assert builtin_config().warnings == ()
    assert set(Document.model_fields) >= {"experts", "signals", "sandbox"}
