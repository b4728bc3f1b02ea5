"""One real suite with everything that real suites do, measured once with the verifier's runner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from perstack.core.signals import SignalRun, SignalStatus, TestStatus
from perstack.signals.environment import variation
from perstack.signals.ground import Workbench
from perstack.signals.measure import Subject
from tests.signals.project import PYTEST, Project

ZOO = {
    "pyproject.toml": """\
[tool.pytest.ini_options]
addopts = "-q -x --tb=long --strict-markers --import-mode=importlib --doctest-modules -p no:cacheprovider"
pythonpath = ["src"]
testpaths = ["tests", "src"]
python_functions = ["test_*", "check_*"]
markers = ["heavy: takes long"]
filterwarnings = ["error"]
xfail_strict = false
""",
    "src/shop/__init__.py": '"""A shop.\n\n>>> 1 + 1\n2\n"""\n',
    "src/shop/price.py": "def total(items):\n    return sum(items)\n\n\n"
    "def broken():\n    raise ValueError('no price')\n",
    "conftest.py": """\
import pytest


@pytest.fixture(autouse=True)
def unplugged(monkeypatch):
    monkeypatch.setenv("PLUGGED", "no")


@pytest.fixture(scope="session", autouse=True)
def database(tmp_path_factory):
    yield tmp_path_factory.mktemp("db")
    raise RuntimeError("the session could not be closed")


def pytest_collection_modifyitems(items):
    for item in items:
        item.path.relative_to(item.config.rootpath)
""",
    "tests/conftest.py": "import pytest\n\n\n@pytest.fixture\ndef cart():\n    return [1, 2]\n",
    "tests/test_price.py": """\
import os
import sys
import unittest

import pytest
from shop.price import broken, total


def test_plain(cart, worker_id):
    assert total(cart) == 3
    assert os.environ["PLUGGED"] == "no"


def check_named_otherwise():
    assert total([]) == 0


class TestOuter:
    class TestInner:
        def test_deep(self):
            assert total([1]) == 1


class Old(unittest.TestCase):
    def test_unittest(self):
        self.assertEqual(total([2]), 2)

    def test_subtests(self):
        for number in range(3):
            with self.subTest(number=number):
                self.assertNotEqual(number, 1)


@pytest.mark.parametrize("text", ["ünï", "a/b::c", "with space", "[x]", "\\n", "long" * 20])
def test_ids(text):
    assert text


def test_product_error():
    broken()


@pytest.mark.heavy
@pytest.mark.skip(reason="later")
def test_skipped():
    raise AssertionError


@pytest.mark.xfail
def test_xfail():
    raise AssertionError


@pytest.mark.xfail
def test_xpass():
    pass


@pytest.fixture
def closes_badly():
    yield
    raise RuntimeError("teardown")


def test_teardown(closes_badly):
    pass


@pytest.fixture
def opens_badly():
    raise RuntimeError("setup")


def test_setup(opens_badly):
    pass


@pytest.mark.flaky(reruns=3)
def test_marked_flaky():
    assert sys.argv[0] == "pytest"
""",
    "tests/test_uncollectable.py": "import nowhere_to_be_found\n",
    "tests/test_all_skipped.py": "import pytest\n\npytest.skip('not here', allow_module_level=True)\n",
}
FILE = "tests/test_price.py"


@pytest.fixture(scope="module")
async def zoo(tmp_path_factory: pytest.TempPathFactory) -> SignalRun:
    project = Project.make(tmp_path_factory.mktemp("zoo"), ZOO)
    spec = replace(PYTEST, run=("pytest",))
    bench = Workbench(project.sandbox, lambda *_: None, project.scratch)
    ground = await bench.ground(await project.repository(), project.base, [spec])
    measured = await bench.measure_base(ground, [spec], await project.snapshot())
    return measured["tests"].measurement.runs[0]


def statuses(run: SignalRun) -> Mapping[str, TestStatus]:
    return {identity: case.status for identity, case in run.tests.items()}


@pytest.mark.anyio
async def test_the_run_is_readable_and_red(zoo: SignalRun) -> None:
    assert (zoo.problem, zoo.status) == ("", SignalStatus.FAIL)


@pytest.mark.anyio
async def test_every_kind_of_outcome_is_kept_apart(zoo: SignalRun) -> None:
    seen = statuses(zoo)
    assert seen[f"{FILE}::test_plain"] is TestStatus.PASSED
    assert seen[f"{FILE}::check_named_otherwise"] is TestStatus.PASSED
    assert seen[f"{FILE}::TestOuter::TestInner::test_deep"] is TestStatus.PASSED
    assert seen[f"{FILE}::Old::test_unittest"] is TestStatus.PASSED
    assert seen[f"{FILE}::Old::test_subtests"] is TestStatus.FAILED
    assert seen[f"{FILE}::test_product_error"] is TestStatus.FAILED
    assert seen[f"{FILE}::test_skipped"] is TestStatus.SKIPPED
    assert seen[f"{FILE}::test_xfail"] is TestStatus.XFAILED
    assert seen[f"{FILE}::test_xpass"] is TestStatus.XPASSED
    assert seen[f"{FILE}::test_teardown"] is TestStatus.ERROR
    assert seen[f"{FILE}::test_setup"] is TestStatus.ERROR
    assert seen[f"{FILE}::test_marked_flaky"] is TestStatus.PASSED


@pytest.mark.anyio
async def test_parameter_ids_are_exact(zoo: SignalRun) -> None:
    ids = {identity for identity in zoo.tests if "::test_ids[" in identity}
    assert len(ids) == 6
    assert f"{FILE}::test_ids[a/b::c]" in ids
    assert f"{FILE}::test_ids[{'long' * 20}]" in ids


@pytest.mark.anyio
async def test_files_that_cannot_be_collected_are_errors_and_the_others_still_run(zoo: SignalRun) -> None:
    seen = statuses(zoo)
    assert seen["tests/test_uncollectable.py"] is TestStatus.ERROR
    assert seen["tests/test_all_skipped.py"] is TestStatus.SKIPPED
    assert seen["src/shop/__init__.py::shop"] is TestStatus.PASSED


@pytest.mark.anyio
async def test_an_error_of_the_session_is_the_repositorys_and_no_canary_is_shown(zoo: SignalRun) -> None:
    assert zoo.tests["session::teardown"].status is TestStatus.ERROR
    assert "the session could not be closed" in zoo.tests["session::teardown"].message
    known = (FILE, "tests/", "src/", "session::")
    assert all(identity.startswith(known) for identity in zoo.tests)


@pytest.mark.anyio
async def test_a_failure_names_the_product_line(zoo: SignalRun) -> None:
    case = zoo.tests[f"{FILE}::test_product_error"]
    assert (case.path, case.line) == ("src/shop/price.py", 6)
    assert "no price" in case.message


@pytest.mark.anyio
async def test_a_suite_in_a_sub_directory_keeps_its_own_root(tmp_path: Path) -> None:
    files = {
        "backend/pytest.ini": "[pytest]\ntestpaths = checks\n",
        "backend/app.py": "VALUE = 1\n",
        "backend/checks/test_app.py": "import app\n\n\ndef test_value():\n    assert app.VALUE == 1\n",
        "backend/test_elsewhere.py": "def test_not_here():\n    raise AssertionError\n",
    }
    project = Project.make(tmp_path, files)
    spec = replace(PYTEST, cwd="backend")
    bench = Workbench(project.sandbox, lambda *_: None, project.scratch)
    ground = await bench.ground(await project.repository(), project.base, [spec])
    meter = bench.meter(await project.snapshot())
    run = await meter.once(Subject(spec, ground.tree, ground.plans["tests"]))
    assert run.problem == ""
    assert statuses(run) == {"checks/test_app.py::test_value": TestStatus.PASSED}


def test_variations_differ_in_what_code_could_look_at() -> None:
    one, other = variation(0), variation(1)
    assert one.variables["PYTHONHASHSEED"] != other.variables["PYTHONHASHSEED"]
    assert one.variables["TZ"] != other.variables["TZ"]
    assert "CI" not in one.variables
    assert other.variables["CI"] == "true"
    assert (one.order, bool(other.order)) == ("", True)
    assert variation(1, in_order=True).order == ""
