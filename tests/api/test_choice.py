"""What is chosen where nothing is named: who writes checks of a fix."""

from __future__ import annotations

from pathlib import Path

import pytest

from perstack.api.choice import choose_checks
from perstack.api.host import Host
from perstack.core.experts import Config, ProviderSpec
from perstack.definition.builtin import builtin_config
from perstack.providers.scripted import ScriptedProvider


@pytest.mark.parametrize(
    ("host", "wanted"),
    [
        ({"env": {"ANTHROPIC_API_KEY": "k" * 20}}, "@fix/checks"),
        ({"provider": "ollama"}, "@fix/checks"),
        ({}, "off"),
        ({"provider": "search", "env": {"ANTHROPIC_API_KEY": "k" * 20}}, "off"),
        ({"model_provider": ScriptedProvider([])}, "off"),
    ],
    ids=["a key is there", "a model by name", "no model", "the search program", "a program's own"],
)
def test_checks_are_written_where_a_model_is_there(tmp_path: Path, host: dict[str, object], wanted: str) -> None:
    made = Host(**{"env": {}, "path": (), "scratch": tmp_path, "storage": tmp_path, **host})  # type: ignore[arg-type]
    assert choose_checks(made, builtin_config()) == wanted


def test_a_definition_without_the_expert_has_no_checks(tmp_path: Path) -> None:
    host = Host({}, (), tmp_path, tmp_path)
    assert choose_checks(host, Config(provider=ProviderSpec("ollama"))) == "off"
