"""What is chosen where nothing is named: who writes checks of a fix, and which sandbox."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from perstack.api.choice import choose_checks
from perstack.api.guarantees import FOLDER
from perstack.api.host import Host
from perstack.api.places import Places
from perstack.core.experts import Config, ProviderSpec
from perstack.core.sandbox import SandboxSpec, SetupNetwork
from perstack.definition.builtin import builtin_config
from perstack.infrastructure.sandbox.bubblewrap import probe_bubblewrap
from perstack.infrastructure.sandbox.docker import probe_docker
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


@pytest.mark.slow
@pytest.mark.anyio
async def test_set_up_runs_in_the_sandbox_that_is_chosen_and_in_no_other(tmp_path: Path) -> None:
    if problem := await probe_docker() or await probe_bubblewrap():
        pytest.skip(problem)
    for name in ("source", "scratch"):
        (tmp_path / name).mkdir()
    made, told = SandboxSpec(setup=("echo made > made.txt",), network=SetupNetwork(open=False)), list[str]()
    host = Host({}, (), tmp_path / "scratch", tmp_path / "storage", sandbox="docker")
    await Places(host, "job", lambda *_: None, told.append).sandbox(replace(made, setup=()), tmp_path / "source")
    (known,) = (host.cache / FOLDER).iterdir()
    document = json.loads(known.read_text())
    document["guarantees"]["memory"]["holds"] = False  # as where an engine may not bound it
    known.write_text(json.dumps(document))
    told.clear()
    places = Places(replace(host, sandbox="auto"), "job", lambda *_: None, told.append)
    sandbox, snapshot = await places.sandbox(made, tmp_path / "source")
    assert (sandbox.name, told.count("set-up: echo made > made.txt")) == ("bubblewrap", 1)
    assert [place.name for place in (host.cache / "snapshots").glob("docker-*")] == []
    assert Path(snapshot.reference, "products/made.txt").read_text() == "made\n"
