"""Suites that `python -m unittest` runs, with the verifier's own runner: what is passed, and what is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from perstack.core.signals import SignalKind, SignalRun, SignalSpec, SignalStatus, TestStatus
from perstack.core.verdict import Verdict
from perstack.signals.detect import detect
from perstack.signals.ground import Workbench
from perstack.signals.measure import Subject
from perstack.signals.unittest.plan import plan_unittest
from tests.signals.project import BUGGY, FIXED, Project, codes

pytestmark = [pytest.mark.anyio]

UNITTEST = SignalSpec(
    "tests", SignalKind.TEST, ("python3", "-m", "unittest", "discover", "-s", "tests"), framework="unittest", repeat=1
)
TESTS = """\
import unittest

from calc import mean, median


class Calc(unittest.TestCase):
    def test_mean(self):
        self.assertEqual(mean([1, 2, 3]), 2)

    def test_median_even(self):
        self.assertEqual(median([1, 2, 3, 4]), 2.5)

    def test_median_pairs(self):
        for values, wanted in (([1, 1], 1), ([1, 2], 1.5)):
            with self.subTest(values=values):
                self.assertEqual(median(values), wanted)


if __name__ == "__main__":
    unittest.main()
"""
FILES = {"calc.py": BUGGY, "tests/test_calc.py": TESTS}
PROTOCOL = """

def load_tests(loader, tests, pattern):
    import doctest
    import calc

    tests.addTests(doctest.DocTestSuite(calc))
    return tests
"""
DOCUMENTED = '    """The middle.\n\n    >>> median([1, 2])\n    1.5\n    """\n'
EVERY_KIND = """\
import unittest

import calc

_seen = []


def setUpModule():
    _seen.append("module")


class Kinds(unittest.TestCase):
    def test_passes(self):
        self.assertEqual(_seen[0], "module")

    @unittest.skip("not now")
    def test_skipped(self):
        pass

    @unittest.expectedFailure
    def test_expected(self):
        self.fail("known")

    @unittest.expectedFailure
    def test_unexpected(self):
        pass

    def test_part_skipped(self):
        with self.subTest(a=1):
            self.skipTest("half")
        with self.subTest(a=2):
            pass

    def test_part_failed(self):
        for number in range(3):
            with self.subTest(number=number):
                self.assertNotEqual(number, 1)

    def test_raises(self):
        raise KeyError("x")


class Broken(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        raise OSError("no class")

    def test_one(self):
        pass

    def test_two(self):
        pass


class Cleanup(unittest.TestCase):
    def test_cleanup(self):
        self.addCleanup(self.fail, "left behind")


class Later(unittest.IsolatedAsyncioTestCase):
    async def test_async(self):
        self.assertTrue(True)

    async def test_async_red(self):
        self.assertTrue(False)
"""


async def run_once(tmp_path: Path, files: dict[str, str], spec: SignalSpec = UNITTEST) -> SignalRun:
    project = Project.make(tmp_path, files)
    bench = Workbench(project.sandbox, lambda *_: None, project.scratch)
    ground = await bench.ground(await project.repository(), project.base, [spec])
    meter = bench.meter(await project.snapshot())
    return await meter.once(Subject(spec, ground.tree, ground.plans["tests"]))


@pytest.mark.slow
async def test_each_outcome_has_its_word_and_only_passed_is_passed(tmp_path: Path) -> None:
    run = await run_once(tmp_path, {"calc.py": BUGGY, "tests/test_kinds.py": EVERY_KIND})
    said = {identity.removeprefix("test_kinds."): case.status for identity, case in run.tests.items()}
    assert said == {
        "Kinds.test_passes": TestStatus.PASSED,
        "Kinds.test_skipped": TestStatus.SKIPPED,
        "Kinds.test_expected": TestStatus.XFAILED,
        "Kinds.test_unexpected": TestStatus.FAILED,
        "Kinds.test_part_skipped": TestStatus.SKIPPED,
        "Kinds.test_part_failed": TestStatus.FAILED,
        "Kinds.test_raises": TestStatus.FAILED,
        "Broken.test_one": TestStatus.FAILED,
        "Broken.test_two": TestStatus.FAILED,
        "Cleanup.test_cleanup": TestStatus.FAILED,
        "Later.test_async": TestStatus.PASSED,
        "Later.test_async_red": TestStatus.FAILED,
    }, run.problem
    assert run.status is SignalStatus.FAIL
    raised = run.tests["test_kinds.Kinds.test_raises"]
    assert (raised.message, raised.path, raised.line) == ("KeyError: 'x'", "tests/test_kinds.py", 40)


@pytest.mark.slow
@pytest.mark.parametrize(
    "files",
    [
        pytest.param(FILES, id="top folder that is no package"),
        pytest.param({**FILES, "tests/__init__.py": ""}, id="package"),
        pytest.param({"src/calc/__init__.py": BUGGY, "tests/test_calc.py": TESTS}, id="source folder"),
    ],
)
async def test_a_right_fix_passes_and_leaves_its_ids(tmp_path: Path, files: dict[str, str]) -> None:
    place = next(path for path in files if "calc" in path and "test" not in path)
    report = await Project.make(tmp_path, files).verify({place: FIXED}, replace(UNITTEST, repeat=2))
    assert report.verdict is Verdict.PASS, report.reasons
    delta = report.signals[0].tests
    assert delta is not None
    assert delta.fail_to_pass == ("test_calc.Calc.test_median_even", "test_calc.Calc.test_median_pairs")
    assert delta.pass_to_pass == 1


@pytest.mark.slow
async def test_a_loop_over_subtests_that_ends_early_is_no_pass(tmp_path: Path) -> None:
    tests = TESTS.replace("import mean, median", "import cases, mean, median").replace(
        "(([1, 1], 1), ([1, 2], 1.5))", "cases()"
    )
    product = "\n\ndef cases():\n    return [([1, 1], 1), ([3, 4], 3.5), ([5], 5)]\n"
    project = Project.make(tmp_path, {"calc.py": BUGGY + product, "tests/test_calc.py": tests})
    whole = await project.verify({"calc.py": FIXED + product}, UNITTEST)
    assert whole.verdict is Verdict.PASS, whole.reasons
    fewer = await project.verify({"calc.py": FIXED + product.replace("([3, 4], 3.5), ", "")}, UNITTEST)
    assert fewer.verdict is Verdict.FAIL
    assert [reason.detail for reason in fewer.reasons if reason.code.value == "test-vanished"] == [
        "test_calc.Calc.test_median_pairs: 2 of its 3 subtests ran"
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    "words", ["tests.test_calc", "tests/test_calc.py", "discover -t . -s tests -p test_c*.py -k median"]
)
async def test_names_and_options_of_the_command_select(tmp_path: Path, words: str) -> None:
    spec = replace(UNITTEST, run=("python3", "-m", "unittest", *words.split(), "-q"))
    run = await run_once(tmp_path, {**FILES, "tests/__init__.py": "", "tests/other.py": "raise OSError\n"}, spec)
    names = {identity.rpartition(".")[2] for identity in run.tests}
    assert names == {"test_median_even", "test_median_pairs"} | (set() if "-k" in words else {"test_mean"}), run.problem
    assert all(identity.startswith("tests.test_calc.Calc.") for identity in run.tests)


@pytest.mark.slow
async def test_a_module_that_cannot_be_loaded_shows_no_behaviour(tmp_path: Path) -> None:
    files = {**FILES, "tests/test_calc.py": "from calc import nothing\n" + TESTS}
    report = await Project.make(tmp_path, files).verify({"calc.py": FIXED + "\n\nnothing = None\n"}, UNITTEST)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "red-not-behavioural" in codes(report)


@pytest.mark.slow
async def test_load_tests_of_the_base_is_honoured(tmp_path: Path) -> None:
    documented = BUGGY.replace("def median(values):\n", f"def median(values):\n{DOCUMENTED}")
    run = await run_once(tmp_path, {"calc.py": documented, "tests/test_calc.py": TESTS + PROTOCOL})
    assert run.tests["calc.median"].status is TestStatus.FAILED, (run.problem, list(run.tests))


@pytest.mark.slow
async def test_an_edit_of_expectations_asks_for_a_human(tmp_path: Path) -> None:
    files = {
        **FILES,
        "tests/test_calc.py": TESTS.replace("assertEqual(mean([1, 2, 3]), 2)", "assertEqual(mean([1, 2, 3]), 6)"),
    }
    project = Project.make(tmp_path, {**files, "calc.py": BUGGY.replace("sum(values) / len(values)", "sum(values)")})
    report = await project.verify({"calc.py": FIXED, "tests/test_calc.py": TESTS}, UNITTEST)
    assert report.verdict is Verdict.NEEDS_TEST_CHANGE, report.reasons


def test_a_plan_keeps_what_selects_and_drops_what_reports() -> None:
    run = (
        "env",
        "A=1",
        "python3.11",
        "-m",
        "unittest",
        "discover",
        "-v",
        "-ftests",
        "-s",
        "t",
        "-p=x*.py",
        "--durations",
        "3",
    )
    plan = plan_unittest(replace(UNITTEST, run=run), {}, ["src/calc/__init__.py", "t/test_x.py"])
    assert (plan.interpreter, plan.environment, plan.start, plan.pattern) == ("python3.11", {"A": "1"}, "t", "x*.py")
    assert (plan.names, plan.source_roots, plan.provides) == ((), ("src",), ("calc",))


def test_an_interpreter_of_the_checkout_is_not_used() -> None:
    plan = plan_unittest(replace(UNITTEST, run=("bin/python", "-m", "unittest")), {}, ["bin/python"])
    assert plan.interpreter == "python3"


def test_a_unittest_suite_is_detected_as_one() -> None:
    found = detect(sorted(FILES), {path: text.encode() for path, text in FILES.items()}.get)
    (tests,) = [spec for spec in found.signals if spec.name == "tests"]
    assert (tests.kind, tests.framework, tests.run[-2:]) == (SignalKind.TEST, "unittest", ("-s", "tests"))
