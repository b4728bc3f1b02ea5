"""The documentation of the format says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from perstack.core.errors import UserError
from perstack.core.experts import BASE_TOOLS, MANAGEMENT_TOOLS
from perstack.definition.load import load_config, validate_config
from perstack.infrastructure.remote import HOST
from perstack.skills.team_trust import MAX_CHARACTERS, MAX_CREATED, MAX_DELEGATES, MAX_SKILLS

PAGE = (Path(__file__).parents[2] / "docs" / "perstack-toml.md").read_text("utf-8")
EXAMPLES = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.splitlines()[0][:20])
def test_an_example_is_valid_without_a_warning(example: str) -> None:
    assert validate_config(example).warnings == ()


def test_all_examples_together_are_one_valid_file() -> None:
    order = sorted(EXAMPLES[1:], key=lambda example: not example.startswith("model"))

    assert validate_config("\n".join(order)).signals


def test_the_shown_error_is_what_is_printed() -> None:
    shown = re.search(r"```text\n(.*?)```", PAGE, re.DOTALL)
    text = 'model = "x"\n[experts.app]\ninstruction = "x"\ndefaultModelTier = "hihg"\n\n\n[signals.tests]\n'
    with pytest.raises(UserError) as caught:
        load_config(text)

    assert shown is not None
    assert caught.value.message == shown[1].rstrip("\n")


def test_every_base_tool_is_described() -> None:
    assert all(f"`{tool}`" in PAGE for tool in (*BASE_TOOLS, *MANAGEMENT_TOOLS))


def test_the_limits_that_are_written_are_those_that_hold() -> None:
    for number in (MAX_CREATED, MAX_CHARACTERS, MAX_SKILLS, MAX_DELEGATES):
        assert f"{number:,}" in PAGE.partition("## Management tools")[2]
    assert f"`https://{HOST}/…`" in PAGE
