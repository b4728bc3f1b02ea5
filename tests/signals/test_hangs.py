"""A test that never ends is red on the base like any other, and no reason to accept anything on the candidate."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from perstack.core.signals import SignalKind, SignalSpec
from perstack.core.verdict import Verdict
from tests.signals.project import PYTEST, Project, codes

pytestmark = [pytest.mark.slow, pytest.mark.anyio]

HANGS = """\
import time


def halves(number):
    found = 0
    while number != 1:
        number //= 2
        time.sleep(0.01)
        found += 1
    return found
"""
FIXED = HANGS.replace("!= 1", "> 1")
TESTS = """\
import unittest

from halves import halves


class Halves(unittest.TestCase):
    def test_a_eight(self):
        self.assertEqual(halves(8), 3)

    def test_b_zero(self):
        self.assertEqual(halves(0), 0)

    def test_c_one(self):
        self.assertEqual(halves(1), 0)
"""
UNITTEST = SignalSpec("tests", SignalKind.TEST, ("python3", "-m", "unittest"), framework="unittest", repeat=2)


@pytest.mark.parametrize(("spec", "front"), [(PYTEST, "test_halves.py::Halves::"), (UNITTEST, "test_halves.Halves.")])
async def test_the_fix_of_a_hang_passes_and_a_new_hang_fails(tmp_path: Path, spec: SignalSpec, front: str) -> None:
    project = Project.make(tmp_path, {"halves.py": HANGS, "test_halves.py": TESTS})
    request = await project.request(project.patch({"halves.py": FIXED}), replace(spec, timeout_s=8.0))
    verifier = project.verifier()
    report = await verifier.verify(request)
    assert report.verdict is Verdict.PASS, report.reasons
    delta = report.signals[0].tests
    assert delta is not None
    assert delta.fail_to_pass == (f"{front}test_b_zero",)
    same = project.patch({"halves.py": HANGS.replace("!= 1", "not in {1}")})
    still = await verifier.verify(replace(request, patch=same))
    assert (still.verdict, codes(still)) == (Verdict.FAIL, {"timed-out", "nothing-red"})
