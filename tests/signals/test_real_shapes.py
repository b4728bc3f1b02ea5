"""Shapes that real projects have, each as a small project: a right fix passes, and what is tested is the tree's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from perstack.core.verdict import Verdict
from perstack.signals.detect import detect
from perstack.signals.pytest.configuration import plan_pytest
from perstack.signals.pytest.generated import version_files
from perstack.signals.pytest.layout import source_roots
from tests.signals.project import BUGGY, FIXED, PYTEST, Project, codes

_FLAT_IMPORT = "from calc import median\n\n\ndef test_median_even():\n    assert median([1, 2, 3, 4]) == 2.5\n"
_CHILD = """

def test_a_child_process_finds_the_project(tmp_path):
    import subprocess
    import sys

    code = "import calc; print(calc.__file__)"
    out = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    import calc

    assert out.strip() == calc.__file__
"""
# The runner of the tests needs a package of this name itself, and has another one.
_TWIN_BUG = "MARK = 'tree'\n\n\ndef parse(text):\n    return text.split('=')[0]\n"
_TWIN_FIX = "MARK = 'tree'\n\n\ndef parse(text):\n    return text.partition('=')[2]\n"
_TWIN_TEST = (
    "import iniconfig\n\n\ndef test_value():\n    assert iniconfig.MARK == 'tree'\n"
    "    assert iniconfig.parse('a=b') == 'b'\n\n\ndef test_mark():\n    assert iniconfig.MARK == 'tree'\n"
)


@pytest.mark.anyio
async def test_a_source_folder_is_importable_as_in_an_editable_installation(tmp_path: Path) -> None:
    files = {"src/calc/__init__.py": BUGGY, "tests/test_calc.py": _FLAT_IMPORT + _CHILD}
    report = await Project.make(tmp_path, files).verify({"src/calc/__init__.py": FIXED})
    assert report.verdict is Verdict.PASS, report.reasons
    assert report.signals[0].tests is not None
    assert report.signals[0].tests.fail_to_pass == ("tests/test_calc.py::test_median_even",)


@pytest.mark.anyio
async def test_a_flat_project_is_importable_without_python_m(tmp_path: Path) -> None:
    files = {"calc/__init__.py": BUGGY, "tests/unit/test_calc.py": _FLAT_IMPORT + _CHILD}
    plain = replace(PYTEST, run=("pytest", "-q"))
    report = await Project.make(tmp_path, files).verify({"calc/__init__.py": FIXED}, plain)
    assert report.verdict is Verdict.PASS, report.reasons


@pytest.mark.anyio
async def test_a_project_that_is_a_dependency_of_pytest_is_tested_itself(tmp_path: Path) -> None:
    files = {"src/iniconfig/__init__.py": _TWIN_BUG, "testing/test_iniconfig.py": _TWIN_TEST}
    project = Project.make(tmp_path, files)
    honest = await project.verify({"src/iniconfig/__init__.py": _TWIN_FIX})
    assert honest.verdict is Verdict.PASS, honest.reasons
    nothing = await project.verify({"src/iniconfig/__init__.py": _TWIN_BUG + "\n\n# looked at\n"})
    assert nothing.verdict is Verdict.FAIL
    assert "still-failing" in codes(nothing)


@pytest.mark.anyio
async def test_a_candidate_cannot_bring_a_dependency_of_pytest(tmp_path: Path) -> None:
    files = {"src/calc/__init__.py": BUGGY, "tests/test_calc.py": _FLAT_IMPORT}
    project = Project.make(tmp_path, files)
    report = await project.verify({"src/calc/__init__.py": FIXED, "src/pluggy/__init__.py": "HOOKS = ()\n"})
    assert report.verdict is Verdict.FAIL
    assert "shadowed-module" in codes(report)


@pytest.mark.anyio
async def test_a_version_file_that_the_build_writes_is_there(tmp_path: Path) -> None:
    head = "from calc._version import version as __version__\n"
    files = {
        "pyproject.toml": '[project]\nname = "calc-of-mine"\n\n'
        '[tool.setuptools_scm]\nversion_file = "src/calc/_version.py"\n',
        "src/calc/__init__.py": head + BUGGY,
        "tests/test_calc.py": _FLAT_IMPORT,
        ".gitignore": "_version.py\n",
    }
    report = await Project.make(tmp_path, files).verify(
        {"src/calc/__init__.py": files["src/calc/__init__.py"].replace(BUGGY, FIXED)}
    )
    assert report.verdict is Verdict.PASS, report.reasons


@pytest.mark.anyio
async def test_what_keeps_a_suite_from_starting_is_said(tmp_path: Path) -> None:
    files = {"calc.py": BUGGY, "conftest.py": "import not_here_at_all\n", "test_calc.py": _FLAT_IMPORT}
    report = await Project.make(tmp_path, files).verify({"calc.py": FIXED})
    assert report.verdict is Verdict.ERROR
    assert any("No module named 'not_here_at_all'" in reason.detail for reason in report.reasons)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (b'[tool.hatch.build.hooks.vcs]\nversion-file = "a/_v.py"\n', (("a/_v.py", ""),)),
        (b'[project]\nname = "x"\n[tool.setuptools_scm]\nwrite_to = "a/v.py"\n', (("a/v.py", "x"),)),
        (b'[tool.setuptools_scm]\nversion_file = "../v.py"\n', ()),
        (b'[tool.setuptools_scm]\nversion_file = "a/kept.py"\n', ()),
        (b'[tool.setuptools_scm]\nversion_file = "a/v.txt"\n', ()),
        (b"[broken", ()),
    ],
)
def test_version_files_are_those_the_commit_lacks(text: bytes, wanted: object) -> None:
    assert version_files({"pyproject.toml": text}, {"a/kept.py"}) == wanted


def test_what_a_project_provides_comes_from_the_base() -> None:
    plan = plan_pytest(PYTEST, {}, ["src/calc/__init__.py", "src/calc/deep.py", "tests/test_calc.py", "setup.py"])
    assert (plan.source_roots, plan.provides) == (("src",), ("calc",))


def test_source_roots_are_folders_of_packages_and_no_packages() -> None:
    assert source_roots({"calc/__init__.py", "setup.py"}, ".") == (".",)
    assert source_roots({"src/__init__.py", "src/calc.py"}, ".") == (".",)
    assert source_roots({"lib/yaml/__init__.py", "tools/x.py"}, ".") == ("lib",)
    assert source_roots({"pkg/a/src/a/__init__.py", "pkg/a/tests/test_a.py"}, "pkg/a") == ("pkg/a/src",)
    assert source_roots({"docs/conf.py", "setup.py", "tests/test_x.py"}, ".") == ()


@pytest.mark.anyio
async def test_tests_that_need_a_missing_locale_do_not_stand_in_the_way(tmp_path: Path) -> None:
    needy = "import locale\n\n\ndef test_german():\n    locale.setlocale(locale.LC_ALL, 'xx_XX.UTF-8')\n"
    files = {"calc.py": BUGGY, "test_calc.py": _FLAT_IMPORT, "test_locale.py": needy}
    report = await Project.make(tmp_path, files).verify({"calc.py": FIXED})
    assert report.verdict is Verdict.PASS, report.reasons
    assert report.signals[0].tests is not None
    assert report.signals[0].tests.still_failing == ("test_locale.py::test_german",)


def test_a_project_among_the_test_data_is_no_project_of_the_repository() -> None:
    files = {"pyproject.toml": b"[tool.pytest]\n", "tests/toml-test/go.mod": b"module x", "tests/a/package.json": b"{}"}
    found = detect(sorted(files), files.get)
    assert [spec.run[:3] for spec in found.signals] == [("python3", "-m", "pytest")]
