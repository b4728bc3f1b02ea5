"""Once a signal that gates has decided, nothing else is waited for; whoever wants all facts gets them."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from perstack.core.signals import Priority, SignalKind, SignalSpec, SignalStatus
from perstack.core.verdict import Verdict
from perstack.signals.audit import audit
from tests.signals.project import CALC, FIXED, PYTEST, TESTS, Project, codes

pytestmark = [pytest.mark.slow, pytest.mark.anyio]

LOOK = "import sys; sys.exit('oops' in open('calc.py').read())"
CHEAP = SignalSpec("cheap", SignalKind.COMMAND, ("python3", "-c", LOOK), repeat=1)
# would need minutes on the candidate, and next to nothing on the base
WAIT = "import time; time.sleep(120 * ('oops' in open('calc.py').read()))"


async def test_a_decided_candidate_does_not_wait_for_what_is_dear_and_evidence_says_so(tmp_path: Path) -> None:
    project = Project.make(tmp_path, CALC)
    slow = replace(CHEAP, name="dear", run=("python3", "-c", WAIT), priority=Priority.MUST)
    report_only = replace(PYTEST, name="note", priority=Priority.SHOULD)
    request = await project.request(project.patch({"calc.py": FIXED + "\noops = 1\n"}), slow, report_only, CHEAP)
    verifier = project.verifier()
    await verifier.baseline(request.repository, request.base, (CHEAP,), request.snapshot)
    began = time.monotonic()
    report = await verifier.verify(replace(request, needs_red=False, out=tmp_path / "out"))
    assert time.monotonic() - began < 60
    assert report.verdict is Verdict.FAIL
    assert [signal.status for signal in report.signals] == [
        SignalStatus.NOT_RUN, SignalStatus.NOT_RUN, SignalStatus.FAIL,
    ]  # fmt: skip
    assert codes(report) == {"command-failed", "not-run"}
    assert "`cheap` was refused first" in report.signals[0].note
    ended = {(p["name"], p["tree"], p["status"]) for kind, p in project.events if kind == "finishSignal"}
    assert ("dear", "candidate", "pass") not in ended
    started = [p for kind, p in project.events if kind == "startSignal"]
    assert len(started) == len([kind for kind, _ in project.events if kind == "finishSignal"])
    assert audit(tmp_path / "out" / "evidence.json").verdict is Verdict.FAIL


async def test_whoever_wants_everything_gets_everything(tmp_path: Path) -> None:
    project = Project.make(tmp_path, CALC)
    changes = {"calc.py": FIXED + "\noops = 1\n"}
    report = await project.verify(changes, CHEAP, PYTEST, needs_red=False, everything=True)
    assert report.verdict is Verdict.FAIL
    assert [signal.status for signal in report.signals] == [SignalStatus.FAIL, SignalStatus.PASS]
    assert codes(report) == {"command-failed"}


async def test_edited_expectations_are_looked_at_before_anything_is_given_up(tmp_path: Path) -> None:
    project = Project.make(tmp_path, {**CALC, "calc.py": FIXED})
    changes = {
        "calc.py": FIXED.replace(" / len(values)", ""),
        "tests/test_calc.py": TESTS.replace("== 2\n", "== 6\n", 1),
    }
    report = await project.verify(changes, PYTEST, replace(CHEAP, priority=Priority.SHOULD), needs_red=False)
    assert report.verdict is Verdict.NEEDS_TEST_CHANGE
    assert report.signals[1].status is SignalStatus.PASS


async def test_red_tests_that_nobody_asked_about_are_told_with_what_to_do(tmp_path: Path) -> None:
    other = "def test_other():\n    assert False\n"
    project = Project.make(tmp_path, {**CALC, "tests/test_other.py": other})
    request = await project.request(project.patch({"calc.py": FIXED}))
    verifier = project.verifier()
    report = await verifier.verify(request)
    assert (report.verdict, codes(report)) == (Verdict.FAIL, {"still-failing"})
    (said,) = [remark for remark in report.remarks if "--target" in remark]
    target = said.rpartition("--target ")[2]
    named = await verifier.verify(replace(request, targets=(target,)))
    assert named.verdict is Verdict.PASS, named.reasons
