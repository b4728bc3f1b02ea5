"""What is kept of a repository's pytest command and configuration, and what the verifier decides itself."""

from __future__ import annotations

import shlex
from dataclasses import replace

import pytest

from perstack.core.errors import UserError
from perstack.signals.pytest.configuration import PytestPlan, plan_pytest
from tests.signals.project import PYTEST

PATHS = ("src/app/core.py", "tests/test_a.py", "tests/unit/test_b.py", "docs/index.md", "bin/python")


def plan(run: str, files: dict[str, str] | None = None, cwd: str = ".") -> PytestPlan:
    spec = replace(PYTEST, run=tuple(shlex.split(run)), cwd=cwd)
    return plan_pytest(spec, {path: text.encode() for path, text in (files or {}).items()}, PATHS)


@pytest.mark.parametrize(
    ("run", "kept"),
    [
        ("pytest -q -x -vv --tb=short --maxfail 2", ()),
        ("pytest -n auto --dist=loadfile -n4", ()),
        ("pytest --cov=app --cov-report xml --cov app --no-cov-on-fail", ()),
        ("pytest --reruns 5 --reruns-delay=1 -p rerunfailures -p randomly", ()),
        ("pytest --junitxml=a.xml --junit-xml b.xml -o junit_family=legacy -rA -sq", ("-s",)),
        ("pytest --lf --ff --sw --co --collect-only -k 'not slow'", ("-k", "not slow")),
        ("pytest -m 'unit and not slow' --deselect tests/test_a.py::x", ("-m", "unit and not slow", "--deselect")),
        ("pytest -W error -p pytester -p no:warnings --runslow", ("-W", "error", "-p", "pytester", "-p", "no:warnings",
                                                                  "--runslow")),
        ("pytest -p no:junitxml -p no:terminal -c other.ini --rootdir=/ -- ", ()),
    ],
)  # fmt: skip
def test_options_that_select_or_enable_are_kept_and_those_about_reporting_are_not(
    run: str, kept: tuple[str, ...]
) -> None:
    assert plan(run).arguments == kept


@pytest.mark.parametrize(
    ("run", "interpreter", "as_module"),
    [
        ("pytest", "python3", False),
        ("python -m pytest tests", "python", True),
        ("python3.12 -Wd -m pytest", "python3.12", True),
        ("/opt/venv/bin/pytest", "/opt/venv/bin/python3", False),
        (".venv/bin/python -m pytest", ".venv/bin/python", True),
        ("uv run pytest", ".venv/bin/python", False),
        ("bin/python -m pytest", "python3", True),
        ("make test", "python3", True),
        ("coverage run -m pytest", "python3", True),
    ],
)
def test_the_interpreter_is_the_one_the_command_means_but_never_a_file_of_the_commit(
    run: str, interpreter: str, as_module: bool
) -> None:
    found = plan(run)
    assert (found.interpreter, found.cwd_first) == (interpreter, as_module)


def test_named_paths_are_a_selection_that_can_be_narrowed() -> None:
    found = plan("pytest tests/unit src/app/core.py")
    assert found.selection == ("tests/unit", "src/app/core.py")
    narrowed = found.narrowed(["tests/unit/test_b.py::test_x[a::1]", "tests/unit/test_b.py::C::test_y"])
    words = narrowed.command_line("/w", "/c", "/x.xml")
    assert {"/w/tests/unit/test_b.py::test_x", "/w/tests/unit/test_b.py::C::test_y"} <= set(words)
    assert "tests/unit" not in words
    doctest = found.narrowed(["src/app/core.py::app.core.mean", "docs/a.rst::a.rst", "tests/unit/test_b.py"])
    assert doctest.only == ("src/app/core.py", "docs/a.rst", "tests/unit/test_b.py")
    many = found.narrowed([f"tests/unit/test_b.py::test_{number}" for number in range(60)])
    assert many.only == ("tests/unit/test_b.py",)


def test_the_bases_configuration_is_used_under_its_own_name_and_its_options_are_filtered() -> None:
    text = '[tool.pytest.ini_options]\naddopts = "-q --import-mode=importlib -n 4"\npythonpath = "src lib"\n'
    found = plan("pytest", {"pyproject.toml": text})
    assert (found.config_name, found.config_bytes.decode(), found.rootdir) == ("pyproject.toml", text, ".")
    assert found.arguments == ("--import-mode=importlib",)
    assert found.python_path == ("src", "lib")
    words = found.command_line("/w", "/c", "/x.xml")
    assert words[words.index("-c") + 1] == "/c/pyproject.toml"
    assert {"--rootdir=/w", "--confcutdir=/w", "addopts=", "pythonpath=/w/src /w/lib"} <= set(words)


def test_a_nearer_configuration_wins_and_decides_the_root() -> None:
    files = {"pytest.ini": "[pytest]\n", "tests/setup.cfg": "[tool:pytest]\naddopts = --strict-markers\n"}
    assert plan("pytest tests/test_a.py", files).rootdir == "tests"
    assert plan("pytest", files).rootdir == "."
    assert plan("pytest tests/test_a.py docs", files).rootdir == "."


@pytest.mark.parametrize(
    ("name", "text"),
    [("pyproject.toml", "[project]\nname='x'\n"), ("tox.ini", "[tox]\n"), ("setup.cfg", "[metadata]\n")],
)
def test_files_without_a_pytest_section_are_not_a_configuration(name: str, text: str) -> None:
    found = plan("pytest", {name: text})
    assert (found.config_name, found.config_bytes) == ("pytest.ini", b"[pytest]\n")


@pytest.mark.parametrize(
    ("name", "data"), [("pytest.ini", b"no section\n"), ("pyproject.toml", b"[x"), ("tox.ini", b"\xff\xfe[")]
)
def test_a_broken_configuration_names_the_file_and_the_place(name: str, data: bytes) -> None:
    with pytest.raises(UserError, match=name):
        plan_pytest(PYTEST, {name: data}, PATHS)


def test_variables_of_env_are_passed_on() -> None:
    assert plan("env APP_MODE=test PYTHONPATH=src pytest").environment == {"APP_MODE": "test", "PYTHONPATH": "src"}
