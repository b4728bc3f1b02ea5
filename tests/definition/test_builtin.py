"""The experts that ship: what they may do, and how a user's definition goes over them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from perstack.core.experts import BASE_SKILL
from perstack.definition.builtin import builtin_config, merge
from perstack.definition.load import load_config
from perstack.definition.topology import check_delegates

ROOT = Path(__file__).parents[2]


def test_the_fix_team_ships_complete() -> None:
    config = builtin_config()

    assert [expert.key for expert in check_delegates(config, "fix")] == ["@fix/plan", "@fix/build", "@fix/verify"]
    assert all(expert.default_model_tier and expert.description for expert in config.experts.values())
    assert config.warnings == ()
    assert config.path == ""


@pytest.mark.parametrize(
    ("key", "tools"),
    [
        ("fix", {"attemptCompletion"}),
        ("@fix/plan", {"readTextFile", "listDirectory", "attemptCompletion"}),
        (
            "@fix/build",
            {"readTextFile", "writeTextFile", "editTextFile", "listDirectory", "exec", "todo", "attemptCompletion"},
        ),
        ("@fix/verify", {"readTextFile", "listDirectory", "runSignals", "attemptCompletion"}),
        ("@fix/checks", {"attemptCompletion"}),
    ],
)
def test_a_shipped_expert_has_no_tool_more_than_it_needs(key: str, tools: set[str]) -> None:
    assert set(builtin_config().experts[key].skills[BASE_SKILL].pick) == tools


def test_a_user_expert_replaces_the_built_in_one_as_a_whole_and_the_others_stay() -> None:
    user = load_config('model = "m"\n[experts."@fix/plan"]\ninstruction = "mine"\n[experts.new]\ninstruction = "x"\n')

    merged = merge(user, builtin_config())

    assert list(merged.experts) == [*builtin_config().experts, "new"]
    assert merged.experts["@fix/plan"].instruction == "mine"
    assert merged.experts["@fix/plan"].description == ""
    assert (merged.model, merged.path) == ("m", "perstack.toml")
    assert builtin_config().experts["@fix/plan"].instruction != "mine"


def test_installed_packages_read_the_packaged_experts(tmp_path: Path) -> None:
    """As in a wheel: the package with `experts/` inside, and no checkout around it."""
    package = tmp_path / "perstack"
    source = ROOT / "src" / "perstack"
    for part in ("core", "definition"):
        for file in (source / part).glob("*.py"):
            target = package / part / file.name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    (package / "__init__.py").write_bytes((source / "__init__.py").read_bytes())
    (package / "experts").mkdir()
    (package / "experts" / "one.toml").write_text('[experts.one]\ninstruction = "packaged"\n')
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from perstack.definition.builtin import builtin_config\n"
        "print(*builtin_config().experts)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True, cwd=tmp_path
    )

    assert result.stdout.split() == ["one"]
