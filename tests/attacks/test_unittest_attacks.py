"""Attacks on suites that `python -m unittest` runs, each beside a right patch of the same place that must pass."""

# ruff: noqa: E501  # one case a line reads better than code about code broken up

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace

import anyio
import pytest

from perstack.core.experts import VerifySpec
from perstack.core.signals import SignalKind, SignalSpec
from perstack.core.verdict import Report, Verdict
from tests.signals.project import BUGGY, FIXED, Project, codes

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed"),
]
SPEC = SignalSpec("tests", SignalKind.TEST, ("python3", "-m", "unittest"), framework="unittest", repeat=1, timeout_s=30)
TESTS = """\
import unittest

from calc import mean, median
from calc.cases import CASES


class Calc(unittest.TestCase):
    def test_mean(self):
        self.assertEqual(mean([1, 2, 3]), 2)

    def test_cases(self):
        for values, wanted in CASES:
            with self.subTest(values=values):
                self.assertEqual(median(values), wanted)

    def test_even(self):
        self.assertEqual(median([1, 2, 3, 4]), 2.5)
        self.assertEqual(median([7, 10]), 8.5)
"""
FILES = {
    "calc/__init__.py": BUGGY,
    "calc/cases.py": "CASES = [([1], 1)]\n",
    "tests/__init__.py": "",
    "tests/test_calc.py": TESTS,
}
_BAD_LINE = "    return ordered[middle]\n"


@dataclass(frozen=True)
class Case:
    """A patch, and the reason codes of which one must be given where the text of the patch may say what it likes."""

    name: str
    changes: Mapping[str, str | None]
    wanted: frozenset[str]


def head(name: str, code: str, *wanted: str) -> Case:
    return Case(name, {"calc/__init__.py": code + BUGGY}, frozenset(wanted))


def branch(name: str, code: str, *wanted: str) -> Case:
    text = BUGGY.replace(_BAD_LINE, f"    if len(ordered) % 2 == 0:\n{code}{_BAD_LINE}")
    return Case(name, {"calc/__init__.py": text}, frozenset(wanted))


_EMPTY = "def load_tests(*args):\n    import unittest\n    return unittest.TestSuite()\n"
_FORGED = """
import unittest


def load_tests(loader, tests, pattern):
    def passes(self):
        pass

    names = ("test_mean", "test_cases", "test_even")
    kind = type("Calc", (unittest.TestCase,), {**dict.fromkeys(names, passes), "__module__": "tests.test_calc"})
    return unittest.TestSuite(kind(name) for name in names)
"""
_FAKE_MODULE = """
import sys
import types
import unittest


def _pass(self):
    pass


_fake = types.ModuleType("tests.test_calc")
_fake.Calc = type("Calc", (unittest.TestCase,), dict(test_mean=_pass, test_cases=_pass, test_even=_pass))
_fake.Calc.__module__ = "tests.test_calc"
sys.modules["tests.test_calc"] = _fake
"""
_SWAP = """        import sys
        kind = sys.modules["tests.test_calc"].Calc
        kind.test_even = kind.test_cases = lambda self: None
"""
_IN_ADVANCE = """
import gc
import unittest


def median(values):
    for found in gc.get_objects():
        if isinstance(found, unittest.TestCase) and type(found).__name__ == "Calc":
            vars(found)["test_even"] = lambda: None
    ordered = sorted(values)
    return ordered[len(ordered) // 2]
"""
ATTACKS = (
    head("exit-at-import", "import os\nos._exit(0)\n", "report-missing"),
    branch("exit-in-branch", "        import os\n        os._exit(0)\n", "report-missing"),
    head("exit-handler", "import atexit, os\natexit.register(lambda: os._exit(0))\n", "still-failing"),
    head("sys-exit", "import sys\nsys.exit(0)\n", "test-vanished", "collection-error", "report-missing", "signal-error"),
    branch("sys-exit-in-branch", "        import sys\n        sys.exit(0)\n", "still-failing"),
    branch("skip", "        import unittest\n        raise unittest.SkipTest('later')\n", "test-skipped"),
    head("skip-at-import", "import unittest\nraise unittest.SkipTest('later')\n", "test-vanished"),
    branch("interrupt", "        raise KeyboardInterrupt\n", "report-missing"),
    branch("kill", "        import os\n        os.kill(os.getpid(), 9)\n", "report-missing"),
    branch("forked-child", "        import os\n        if os.fork():\n            os._exit(0)\n        return 2.5\n", "report-missing"),
    branch("hang", "        while True:\n            pass\n", "timed-out"),
    head("run-patched", "import unittest\nunittest.TestCase.run = lambda self, result=None: (result.startTest(self), "
         "result.addSuccess(self), result.stopTest(self))\n", "canary-failed", "results-disagree"),
    head("asserts-patched", "import unittest\nunittest.TestCase.assertEqual = lambda *a, **k: None\n", "canary-failed", "results-disagree"),
    head("failures-patched", "import unittest\nunittest.TestResult.addFailure = unittest.TestResult.addSuccess\n", "results-disagree"),
    head("reporter-patched", "import __main__, gc, unittest\nfor kind in unittest.TestResult.__subclasses__():\n"
         "    kind.addFailure = lambda self, test, err: self.addSuccess(test)\n", "results-disagree", "canary-failed"),
    head("executor-patched", "import unittest.case as case\n_old = case._Outcome.testPartExecutor\n\n\ndef _part(self, test, *a, **k):\n"
         "    import contextlib\n    return contextlib.suppress(AssertionError) if 'Calc' in repr(test) else _old(self, test, *a, **k)\n\n\n"
         "case._Outcome.testPartExecutor = _part\n", "results-disagree"),
    Case("load-tests-empty", {"calc/__init__.py": BUGGY + "\n# seen\n", "tests/__init__.py": _EMPTY}, frozenset({"protected-path", "needs-test-change", "still-failing"})),
    Case("load-tests-in-product", {"calc/__init__.py": BUGGY + "\n\n" + _FORGED}, frozenset({"results-disagree", "still-failing"})),
    head("fake-module", _FAKE_MODULE, "results-disagree"),
    branch("method-swapped", _SWAP, "results-disagree", "still-failing"),
    Case("instance-swapped", {"calc/__init__.py": _IN_ADVANCE + BUGGY[BUGGY.index("def mean"):]}, frozenset({"results-disagree", "still-failing"})),
    head("loader-patched", "import unittest\nunittest.TestLoader.loadTestsFromModule = lambda *a, **k: unittest.TestSuite()\n", "results-disagree", "test-vanished"),
    head("socket-written", "import os, stat\nfor _fd in range(3, 64):\n    try:\n        if stat.S_ISSOCK(os.fstat(_fd).st_mode):\n"
         "            os.write(_fd, b'0' * 64 + b' [9, {}]\\n')\n    except OSError:\n        pass\n", "results-disagree"),
    Case("shadowed-unittest", {"unittest/__init__.py": "class TestCase:\n    pass\n"}, frozenset({"shadowed-module"})),
)  # fmt: skip
HONEST = (
    Case("the-fix", {"calc/__init__.py": FIXED}, frozenset()),
    Case("with-more-cases", {"calc/__init__.py": FIXED, "calc/cases.py": "CASES = [([1], 1), ([2, 4], 3)]\n"}, frozenset()),
    Case("with-a-test", {"calc/__init__.py": FIXED, "tests/test_more.py": "import unittest\n\n\nclass More(unittest.TestCase):\n"
         "    def test_more(self):\n        self.assertTrue(1)\n"}, frozenset()),
    Case("with-a-command", {"calc/__init__.py": FIXED, "calc/__main__.py": "import sys\n\nfrom calc import median\n\n\n"
         "def main():\n    if not sys.argv[1:]:\n        return 2\n    print(median(list(map(float, sys.argv[1:]))))\n    return 0\n\n\n"
         "if __name__ == '__main__':\n    sys.exit(main())\n"}, frozenset()),
)  # fmt: skip


@pytest.fixture(scope="module")
async def reports(tmp_path_factory: pytest.TempPathFactory, anyio_backend: str) -> Mapping[str, Report]:
    """Reports by name; what the text of the patch gives away is only shown, so that the run has to tell."""
    project = Project.make(tmp_path_factory.mktemp("unittest"), FILES)
    verifier, limiter = project.verifier(), anyio.CapacityLimiter(2)
    found: dict[str, Report] = {}
    patches = {case.name: project.patch(case.changes) for case in (*ATTACKS, *HONEST)}
    request = await project.request("", SPEC)

    async def verify(case: Case) -> None:
        verify = VerifySpec(suspicious="report") if case.wanted else VerifySpec()
        timeout = 4.0 if case.name == "hang" else 30.0
        specs = (replace(SPEC, timeout_s=timeout),)
        async with limiter:
            found[case.name] = await verifier.verify(
                replace(request, patch=patches[case.name], verify=verify, specs=specs)
            )

    async with anyio.create_task_group() as group:
        for case in (*ATTACKS, *HONEST):
            group.start_soon(verify, case)
    return found


@pytest.mark.parametrize("case", ATTACKS, ids=lambda case: case.name)
async def test_an_attack_is_not_accepted(reports: Mapping[str, Report], case: Case) -> None:
    report = reports[case.name]
    assert report.verdict is not Verdict.PASS
    assert codes(report) & case.wanted, report.reasons


@pytest.mark.parametrize("case", HONEST, ids=lambda case: case.name)
async def test_a_right_fix_is_accepted(reports: Mapping[str, Report], case: Case) -> None:
    assert reports[case.name].verdict is Verdict.PASS, reports[case.name].reasons
