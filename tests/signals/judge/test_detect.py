"""Signals are found in a repository's own files, with reasons, and can be read back as TOML."""

# ruff: noqa: E501  # one case a line reads better than code about code broken up

from __future__ import annotations

import tomllib

import pytest

from perstack.core.signals import Priority, SignalKind
from perstack.signals.detect import Detection, detect, render_toml


def found(**files: str) -> Detection:
    """Detection over files; `__` stands for `/`, a trailing `_D` for a dot and extension given as `name_Dext`."""
    named = {name.replace("__", "/").replace("_D", "."): text.encode() for name, text in files.items()}
    return detect(tuple(named), named.get)


def test_pytest_is_found_by_its_configuration_and_gates() -> None:
    detection = found(pyproject_Dtoml="[tool.pytest.ini_options]\n[tool.mypy]\n[tool.ruff]\n", tests__test_a_Dpy="")
    assert [(s.name, s.kind, s.priority) for s in detection.signals] == [
        ("tests", SignalKind.TEST, Priority.MUST),
        ("types", SignalKind.COMMAND, Priority.SHOULD),
        ("lint", SignalKind.COMMAND, Priority.SHOULD),
    ]
    assert detection.signals[0].framework == "pytest"
    assert "pyproject.toml" in detection.explanations[0]


@pytest.mark.parametrize(
    ("files", "run"),
    [
        ({"tests__conftest_Dpy": ""}, "python3 -m pytest -q"),
        ({"test_a_Dpy": "def test_a():\n    pass\n"}, "python3 -m pytest -q"),
        ({"tests__test_a_Dpy": "import unittest\n\nclass A(unittest.TestCase):\n    pass\n"}, "python3 -m unittest discover -s tests"),
        ({"package_Djson": '{"scripts": {"test": "jest"}}'}, "npx jest --ci"),
        ({"package_Djson": '{"devDependencies": {"vitest": "1"}}'}, "npx vitest run"),
        ({"package_Djson": '{"scripts": {"test": "node --test"}}'}, "node --test"),
        ({"package_Djson": '{"scripts": {"test": "./check.sh"}}'}, "npm test --silent"),
        ({"go_Dmod": "module x", "a_test_Dgo": ""}, "go test -count=1 ./..."),
        ({"Cargo_Dtoml": "[package]", "Cargo_Dlock": ""}, "cargo test --locked"),
        ({"pom_Dxml": ""}, "mvn -B -q test"),
        ({"build_Dgradle": "", "gradlew": ""}, "./gradlew test --rerun-tasks --no-build-cache"),
        ({"Makefile": "all:\n\ttrue\ntest: all\n\ttrue\n"}, "make test"),
    ],
)  # fmt: skip
def test_each_tool_chain_gives_its_command(files: dict[str, str], run: str) -> None:
    detection = found(**files)
    assert " ".join(detection.signals[0].run) == run
    assert detection.signals[0].priority is Priority.MUST


def test_cmake_with_tests_configures_builds_and_tests() -> None:
    detection = found(CMakeLists_Dtxt="enable_testing()\n")
    assert detection.signals[0].run[:2] == ("sh", "-ec")
    assert "ctest" in detection.signals[0].run[2]
    assert "--no-tests=error" in detection.signals[0].run[2]


def test_a_mixed_repository_has_signals_of_both_with_their_folders() -> None:
    detection = found(pytest_Dini="[pytest]\n", web__package_Djson='{"scripts": {"test": "jest"}}')
    assert [(s.name, s.cwd) for s in detection.signals] == [("tests", "."), ("tests-2", "web")]


def test_nothing_found_says_what_to_write() -> None:
    detection = found(README_Dmd="hello")
    assert detection.signals == ()
    assert "[signals.tests]" in detection.explanations[0]


def test_what_is_rendered_reads_back() -> None:
    detection = found(
        pyproject_Dtoml='[project]\nname = "x"\nrequires-python = ">=3.12"\n[tool.pytest.ini_options]\n',
        web__package_Djson='{"scripts": {"test": "say \\"hi\\""}}',
    )
    data = tomllib.loads(render_toml(detection))
    assert list(data["signals"]) == ["tests", "tests-2"]
    assert data["signals"]["tests"]["run"] == ["python3", "-m", "pytest", "-q"]
    assert data["signals"]["tests-2"]["cwd"] == "web"
    assert data["sandbox"]["image"] == "python:3.12-slim"


def test_broken_manifests_do_not_stop_detection() -> None:
    assert found(pyproject_Dtoml="[", package_Djson="{", Makefile="test:\n\ttrue\n").explanations
