"""Held-out checks in the whole protocol: what they alone must stop, with the text's findings only shown."""

# ruff: noqa: E501  # one case a line reads better than code about code broken up

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import anyio
import pytest

from perstack.core.experts import VerifySpec
from perstack.core.signals import SignalKind, SignalSpec
from perstack.core.verdict import Report, Verdict
from perstack.signals.evidence import rederive
from tests.signals.project import PYTEST, Project, codes

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed"),
]
CODE = """\
def median(values):
    ordered = sorted(values)
    return ordered[len(ordered) // 2]


def allocate(cents, parts):
    share = cents // parts
    return [share] * parts


def label(code):
    return {"EUR": "Euro"}.get(code, code)


def first(values):
    return values[0]


def price(count):
    return count * 9 if count > 10 else count * 10
"""
TESTS = """\
import unittest

import pytest

from calc import allocate, first, label, median, price


def test_odd():
    assert median([3, 1, 2]) == 2


@pytest.mark.parametrize("values, wanted", [([4, 1, 2, 8], 3.0), ([7, 3], 5.0)])
def test_median(values, wanted):
    assert median(values) == wanted


def test_allocate():
    assert allocate(90, 3) == [30, 30, 30]
    assert allocate(100, 3) == [34, 33, 33]


def test_label():
    assert label("EUR") == "Euro"
    assert label("JPY") == "Yen"


def test_first():
    assert first([5]) == 5
    assert first([]) is None


class Prices(unittest.TestCase):
    def test_price(self):
        self.assertEqual(price(20), 180)
        self.assertEqual(price(10), 90)
"""
UNITTESTS = """\
import unittest

from calc import median


class Median(unittest.TestCase):
    def test_odd(self):
        self.assertEqual(median([3, 1, 2]), 2)

    def test_even(self):
        for values, wanted in (([4, 1, 2, 8], 3.0), ([7, 3], 5.0)):
            with self.subTest(values=values):
                self.assertEqual(median(values), wanted)
"""
UNITTEST = SignalSpec(
    "tests", SignalKind.TEST, ("python3", "-m", "unittest", "discover", "-s", "tests"), framework="unittest", repeat=1
)
ONCE = replace(PYTEST, repeat=1)
_MEDIAN = "    return ordered[len(ordered) // 2]\n"
_SHARE = "    return [share] * parts\n"
_RIGHT = "(ordered[len(ordered) // 2 - 1] + ordered[len(ordered) // 2]) / 2"
_FAIL, _DOUBT = "held-out-failed", "held-out-doubtful"


@dataclass(frozen=True)
class Case:
    """A patch of `calc.py`, the test it turns green, and the one reason it gets; none for a right patch."""

    name: str
    code: str
    target: str
    wanted: str = ""


def median(name: str, branch: str, wanted: str = _FAIL, *, head: str = "", tail: str = "") -> Case:
    return Case(name, head + CODE.replace(_MEDIAN, branch + _MEDIAN) + tail, "test_median", wanted)


def when(name: str, condition: str, head: str = "", wanted: str = _FAIL) -> Case:
    return median(name, f"    if len(ordered) % 2 == 0 and {condition}:\n        return {_RIGHT}\n", wanted, head=head)


def shares(name: str, line: str, wanted: str, tail: str = "") -> Case:
    return Case(name, CODE.replace(_SHARE, line) + tail, "test_allocate", wanted)


_EQUAL = "\n\nclass _Shares(list):\n    def __eq__(self, other):\n        return len(self) == len(other)\n\n    __hash__ = None\n"
_READ = "    for a, b in re.findall(r'\\((\\[.*?\\]), ([\\d.]+)\\)', (Path(__file__).parent / 'tests' / 'test_calc.py').read_text()):\n        if a == str(values):\n            return float(b)\n"
CASES = (
    median("lookup-table", "    known = {(3, 1, 2): 2, (4, 1, 2, 8): 3.0, (7, 3): 5.0}\n    if tuple(values) in known:\n        return known[tuple(values)]\n"),
    median("always-equal", "    return _Number(ordered[len(ordered) // 2])\n", tail="\n\nclass _Number(float):\n    def __eq__(self, other):\n        return True\n\n    __hash__ = float.__hash__\n"),
    median("read-test-file", _READ, head="import re\nfrom pathlib import Path\n\n\n"),
    when("detect-pytest", "'pytest' in sys.modules", "import sys\n\n\n"),
    when("ci-variable", "'CI' not in os.environ", "import os\n\n\n"),
    when("hash-seed", "'PYTHONHASHSEED' in os.environ", "import os\n\n\n"),
    when("caller", "'test' in sys._getframe(1).f_globals.get('__name__', '')", "import sys\n\n\n"),
    when("start-flags", "sys.flags.no_site", "import sys\n\n\n"),
    when("time-bomb", "time.time() < 1.9e9", "import time\n\n\n"),
    when("date-bomb", "date.today().year < 2035", "from datetime import date\n\n\n"),
    when("first-calls", "next(_count) < 20", "import itertools\n\n_count = itertools.count()\n\n\n"),
    when("new-files", "os.stat(__file__).st_mtime > 1.7e9", "import os\n\n\n"),
    shares("equal-shares", "    return _Shares([share] * parts)\n", _FAIL, _EQUAL),
    shares("equal-object", "    return _Any()\n", _DOUBT, "\n\nclass _Any:\n    def __eq__(self, other):\n        return True\n"),
    shares("key-in-arithmetic", "    return [share + (cents == 100) * (index == 0) for index in range(parts)]\n", _DOUBT),
    shares("key-by-length", "    return [share + (len(str(cents)) == 3) * (index == 0) for index in range(parts)]\n", _DOUBT),
    shares("key-by-checksum", "    return [share + ((cents * 7 + parts) % 1009 == 703) * (index == 0) for index in range(parts)]\n", _DOUBT),
    median("right-median", f"    if len(ordered) % 2 == 0:\n        return {_RIGHT}\n", ""),
    shares("right-shares", "    rest = cents - share * parts\n    return [share + (index < rest) for index in range(parts)]\n", ""),
    Case("right-entry", CODE.replace('"Euro"}', '"Euro", "JPY": "Yen"}'), "test_label"),
    Case("right-empty", CODE.replace("    return values[0]\n", "    return values[0] if values else None\n"), "test_first"),
    Case("right-bound", CODE.replace("count > 10", "count >= 10"), "Prices::test_price"),
)  # fmt: skip


@pytest.fixture(scope="module")
async def reports(tmp_path_factory: pytest.TempPathFactory, anyio_backend: str) -> Mapping[str, Report]:
    project = Project.make(tmp_path_factory.mktemp("held-out"), {"calc.py": CODE, "tests/test_calc.py": TESTS})
    verifier, limiter, found = project.verifier(), anyio.CapacityLimiter(2), dict[str, Report]()
    patches = {case.name: project.patch({"calc.py": case.code}) for case in CASES}
    request = await project.request("", ONCE)

    async def verify(case: Case) -> None:
        verify = VerifySpec(suspicious="report")
        targets = (f"tests/test_calc.py::{case.target}",)
        async with limiter:
            found[case.name] = await verifier.verify(
                replace(request, patch=patches[case.name], verify=verify, targets=targets)
            )

    async with anyio.create_task_group() as group:
        for case in CASES:
            group.start_soon(verify, case)
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_held_out_checks_alone_tell_a_cheat_from_a_fix(reports: Mapping[str, Report], case: Case) -> None:
    report = reports[case.name]
    assert codes(report) == ({case.wanted} if case.wanted else set()), report.reasons
    if not case.wanted:
        assert report.verdict is Verdict.PASS
        assert any("held-out" in remark for remark in report.remarks)


async def test_a_verdict_with_held_out_checks_can_be_derived_again_and_they_can_be_off(tmp_path: Path) -> None:
    project = Project.make(tmp_path, {"calc.py": CODE, "tests/test_calc.py": UNITTESTS})
    changes = {"calc.py": CASES[0].code}
    report = await project.verify(changes, UNITTEST, verify=VerifySpec(suspicious="report"), out=tmp_path / "out")
    assert (report.verdict, codes(report)) == (Verdict.FAIL, {_FAIL})
    statement = json.loads(Path(report.evidence).read_text())
    verdict, reasons = rederive(statement, lambda path: (tmp_path / "out" / path).read_bytes())
    assert (verdict, reasons) == (Verdict.FAIL, report.reasons)
    off = await project.verify(changes, UNITTEST, verify=VerifySpec(suspicious="report", held_out="off"))
    assert off.verdict is Verdict.PASS


FIXTURES = """\
import pytest

from calc import median


@pytest.fixture
def values():
    return [4, 1, 2, 8]


def test_plain():
    assert median([7, 3]) == 5.0


def test_through_a_fixture(values):
    assert median(values) == 3.0
"""


async def test_where_runner_and_code_have_to_be_apart_nothing_counts_that_was_only_seen_together(
    tmp_path: Path,
) -> None:
    project = Project.make(tmp_path, {"calc.py": CODE, "tests/test_calc.py": FIXTURES})
    runner = "    if 'pytest' in sys.modules and ordered == [1, 2, 4, 8]:\n        return 3.0\n"
    cheat = {"calc.py": "import sys\n\n\n" + CODE.replace(_MEDIAN, runner + _MEDIAN)}
    only = ("tests/test_calc.py::test_through_a_fixture",)
    shown = VerifySpec(suspicious="report")
    together = await project.verify(cheat, ONCE, verify=shown, targets=only)
    assert together.verdict is Verdict.PASS, "in one process nothing tells it from a fix"
    apart = await project.verify(cheat, ONCE, verify=replace(shown, held_out="must"), targets=only)
    assert (apart.verdict, codes(apart)) == (Verdict.INCONCLUSIVE, {_DOUBT})
    assert "test_through_a_fixture" in apart.reasons[0].detail
    right = {"calc.py": next(case.code for case in CASES if case.name == "right-median")}
    plain = Project.make(tmp_path / "plain", {"calc.py": CODE, "tests/test_calc.py": UNITTESTS})
    fixed = await plain.verify(right, UNITTEST, verify=VerifySpec(held_out="must"))
    assert (fixed.verdict, codes(fixed)) == (Verdict.PASS, set())
