"""Every published definition loads, and `perstack validate` says of each what is wrong, by its exit code and words."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import jsonschema
import pytest

from perstack.api.configuration import read_config, validate
from perstack.core.errors import ExitCode, UserError
from perstack.core.experts import BASE_SKILL
from perstack.definition.document import json_schema
from tests.compat.published import FILES, FOLDER

VALIDATOR = jsonschema.Draft202012Validator(json_schema())
DANGLING = FOLDER / "error-handling.toml"
VALID = [file for file in FILES if file != DANGLING]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_definition_loads_whole(file: Path) -> None:
    config, written = read_config(file), tomllib.loads(file.read_text("utf-8"))

    for key, table in written["experts"].items():
        expert = config.experts[key]
        assert (expert.instruction, expert.version) == (table["instruction"], table["version"])
        assert list(expert.delegates) == table.get("delegates", [])
        assert set(expert.skills) == {*table.get("skills", {}), BASE_SKILL}
        for name, skill in table.get("skills", {}).items():
            spec = expert.skills[name]
            assert spec.type == skill["type"]
            assert list(spec.pick) == skill.get("pick", [])
            assert list(spec.omit) == skill.get("omit", [])
            assert list(spec.required_env) == skill.get("requiredEnv", [])
            assert list(spec.allowed_domains) == skill.get("allowedDomains", [])
            assert spec.lazy_init == skill.get("lazyInit", False)
            assert set(spec.tools) == set(skill.get("tools", {}))


@pytest.mark.parametrize("file", VALID, ids=lambda file: file.stem)
def test_a_definition_is_valid_and_every_warning_has_a_line(file: Path) -> None:
    for warning in validate(file).warnings:
        place, _, _ = warning.partition(": ")
        name, _, line = place.rpartition(":")
        assert name == str(file)
        assert 0 < int(line) <= file.read_text("utf-8").count("\n") + 1


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_only_thing_an_editor_marks_is_a_key_in_the_wrong_table(file: Path) -> None:
    written = tomllib.loads(file.read_text("utf-8"))
    moved = written.get("provider", {}).pop("envPath", None)
    if moved is not None:
        told = '"envPath" in [provider] (it belongs to the top level'
        assert any(told in warning for warning in read_config(file).warnings)

    VALIDATOR.validate(json.loads(json.dumps(written)))


def test_a_delegate_that_is_nowhere_is_refused_at_its_line() -> None:
    with pytest.raises(UserError) as caught:
        validate(DANGLING)

    assert caught.value.exit_code == ExitCode.USAGE
    assert 'expert "nonexistent-expert" is not defined' in caught.value.message
    line = DANGLING.read_text("utf-8").split("\n").index('delegates = ["nonexistent-expert"]') + 1
    assert f"({DANGLING}:{line})" in caught.value.message


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "code", "stdout"), [("delegate-chain", 0, "Valid\n"), ("error-handling", ExitCode.USAGE, "")]
)
def test_the_command_tells_by_its_exit_code(name: str, code: int, stdout: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "perstack", "validate", str(FOLDER / f"{name}.toml")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stdout) == (code, stdout)
    assert done.stderr
