"""Signals are found in a repository's own files, with reasons, and can be read back as TOML."""

# ruff: noqa: E501  # one case a line reads better than code about code broken up

from __future__ import annotations

import tomllib

import pytest

from perstack.core.signals import Priority, SignalKind
from perstack.signals.detect import Detection, detect, render_toml
from perstack.signals.diagnostics.recognise import recognise


def found(**files: str) -> Detection:
    """Detection over files; `__` stands for `/`, a trailing `_D` for a dot and extension given as `name_Dext`."""
    named = {name.replace("__", "/").replace("_D", "."): text.encode() for name, text in files.items()}
    return detect(tuple(named), named.get)


def test_pytest_is_found_by_its_configuration_and_gates() -> None:
    detection = found(pyproject_Dtoml="[tool.pytest.ini_options]\n[tool.mypy]\n[tool.ruff]\n", tests__test_a_Dpy="")
    assert [(s.name, s.kind, s.priority) for s in detection.signals] == [
        ("tests", SignalKind.TEST, Priority.MUST),
        ("types", SignalKind.COMPILER, Priority.SHOULD),
        ("lint", SignalKind.COMPILER, Priority.SHOULD),
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


COMPILERS = [
    ({"setup_Dcfg": "[mypy]\n", "a_Dpy": ""}, "types", "python3 -m mypy .", Priority.SHOULD),
    ({"pyproject_Dtoml": '[tool.mypy]\nfiles = ["src"]\n'}, "types", "python3 -m mypy", Priority.SHOULD),
    ({"pyrightconfig_Djson": "{}"}, "types", "pyright", Priority.SHOULD),
    ({"ruff_Dtoml": ""}, "lint", "python3 -m ruff check .", Priority.SHOULD),
    (
        {"tsconfig_Djson": "{}", "package_Djson": '{"devDependencies": {"typescript": "5"}}'},
        "types",
        "npx tsc --noEmit",
        Priority.SHOULD,
    ),
    (
        {"eslint_Dconfig_Dmjs": "", "package_Djson": '{"devDependencies": {"eslint": "9"}}'},
        "lint",
        "npx eslint .",
        Priority.SHOULD,
    ),
    ({"go_Dmod": "module x", "a_test_Dgo": ""}, "vet", "go vet ./...", Priority.SHOULD),
    ({"go_Dmod": "module x", "a_Dgo": ""}, "build", "go build ./...", Priority.MUST),
    ({"Cargo_Dtoml": "[package]", "clippy_Dtoml": ""}, "lint", "cargo clippy", Priority.SHOULD),
    ({"Makefile": "all:\n\tcc a.c\n", "a_Dc": ""}, "build", "make all", Priority.MUST),
    ({"src__A_Djava": "", "src__B_Djava": ""}, "build", "javac -d /tmp/classes src/A.java src/B.java", Priority.MUST),
]


@pytest.mark.parametrize(("files", "name", "run", "priority"), COMPILERS)
def test_a_compiler_or_linter_is_proposed_where_it_is_configured(
    files: dict[str, str], name: str, run: str, priority: Priority
) -> None:
    detection = found(**files)
    spec = next(s for s in detection.signals if s.name == name)
    assert (spec.kind, " ".join(spec.run), spec.priority) == (SignalKind.COMPILER, run, priority)
    assert any("compared with the base's" in sentence for sentence in detection.explanations)
    assert recognise(spec.run) in {"mypy", "pyright", "ruff", "tsc", "eslint", "go", "cargo", "javac", "auto"}
    assert tomllib.loads(render_toml(detection))["signals"][name]["kind"] == "compiler"


@pytest.mark.parametrize(
    "files",
    [
        {"a_Dpy": "import os\n"},
        {"package_Djson": '{"devDependencies": {"eslint": "9"}}'},
        {"tsconfig_Djson": "{}"},
        {"pom_Dxml": "", "src__A_Djava": ""},
        {"Makefile": "all:\n\techo\n"},
        {"Cargo_Dtoml": "[package]"},
    ],
)
def test_no_compiler_is_proposed_that_nobody_configured(files: dict[str, str]) -> None:
    assert [s.name for s in found(**files).signals if s.kind is SignalKind.COMPILER] == []


def test_what_is_checked_with_is_installed_with_the_project() -> None:
    detection = found(pyproject_Dtoml='[project]\nname = "x"\n[tool.mypy]\n[tool.ruff]\n')
    assert detection.sandbox.setup[-1] == "python3 -m pip install pytest mypy ruff"
