"""Attacks that lie in product code, where no restored test helps: each run must not be readable as green.

The diff policy is left out on purpose: here only the runner, its channel and its canaries stand in the way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from perstack.core.signals import SignalRun, SignalStatus, TestStatus
from perstack.signals.ground import Workbench
from perstack.signals.measure import Measured, Subject
from tests.signals.project import BUGGY, CALC, PYTEST, Project

EXIT_AT_IMPORT = "import os\nos._exit(0)\n"
EXIT_AT_END = "import atexit, os\natexit.register(lambda: os._exit(0))\n"
EXIT_IN_BRANCH = BUGGY.replace("    return ordered[middle]\n", "    import os\n    os._exit(1)\n")
PATCH_REPORT = """
from _pytest import reports

_original = reports.TestReport.from_item_and_call.__func__


def _forged(cls, item, call):
    call.excinfo = None
    return _original(cls, item, call)


reports.TestReport.from_item_and_call = classmethod(_forged)
"""
PATCH_SELECTIVELY = PATCH_REPORT.replace(
    "    call.excinfo = None\n", "    if 'median' in item.nodeid:\n        call.excinfo = None\n"
)
PATCH_LATE = """
import threading
import _pytest.runner
import _pytest.reports

_REAL = _pytest.reports.TestReport.from_item_and_call


def median(values):
    import inspect
    for frame in inspect.stack():
        for name, value in list(frame.frame.f_locals.items()):
            if type(value).__name__ == "Reporter":
                value._send = lambda *a: None
    return 2.5
"""
FORGE_XML = """
import gc, glob, os, time

def _forge():
    for _ in range(200):
        for path in glob.glob("/perstack/out/*.xml"):
            with open(path, "w") as file:
                file.write("<testsuites/>")
        time.sleep(0.01)

if os.fork() == 0:
    os.setsid()
    _forge()
    os._exit(0)
"""
STEAL_SOCKET = """
import os, socket, stat

for _fd in range(3, 64):
    try:
        if stat.S_ISSOCK(os.fstat(_fd).st_mode):
            os.write(_fd, b'0' * 64 + b' [99, {"type": "finish", "exit": 0}]\\n')
    except OSError:
        pass
"""
KILL_PARENT = "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n"
CLEAN_EXIT = "import sys\nsys.exit(0)\n"
PYTEST_EXIT = "import pytest\npytest.exit('done', returncode=0)\n"
SKIP = "import unittest\n" + BUGGY.replace("    return ordered[middle]\n", "    raise unittest.SkipTest\n")


async def run_on_candidate(tmp_path: Path, files: Mapping[str, str], *, timeout_s: float = 60.0) -> Measured:
    project = Project.make(tmp_path, {**CALC, **files})
    spec = replace(PYTEST, timeout_s=timeout_s)
    bench = Workbench(project.sandbox, lambda *_: None, project.scratch)
    ground = await bench.ground(await project.repository(), project.base, [spec])
    meter = bench.meter(await project.snapshot())
    return await meter.measure(Subject(spec, ground.tree, ground.plans["tests"]))


def only_run(measured: Measured) -> SignalRun:
    (run,) = measured.measurement.runs
    return run


@pytest.mark.slow
@pytest.mark.anyio
@pytest.mark.parametrize(
    ("code", "problem"),
    [
        pytest.param(EXIT_AT_IMPORT + BUGGY, "report-missing", id="exit at import"),
        pytest.param(EXIT_IN_BRANCH, "report-missing", id="exit in the buggy branch"),
        pytest.param(KILL_PARENT + BUGGY, "report-missing", id="killing itself"),
        pytest.param(STEAL_SOCKET + BUGGY, "results-disagree", id="writing to the results socket"),
        pytest.param(PATCH_REPORT + BUGGY, "canary-failed", id="every report passed"),
        pytest.param(PATCH_LATE + BUGGY, "", id="silencing the reporter"),
    ],
)
async def test_a_run_that_product_code_tampered_with_proves_nothing(tmp_path: Path, code: str, problem: str) -> None:
    measured = await run_on_candidate(tmp_path, {"calc.py": code})
    run = only_run(measured)
    if problem:
        assert run.problem_code == problem
        assert run.status is SignalStatus.ERROR
    else:
        assert run.status is not SignalStatus.PASS


@pytest.mark.slow
@pytest.mark.anyio
async def test_replaced_functions_of_the_runner_are_told(tmp_path: Path) -> None:
    measured = await run_on_candidate(tmp_path, {"calc.py": PATCH_SELECTIVELY + BUGGY})
    assert "_pytest.reports.TestReport.from_item_and_call" in measured.replaced
    assert only_run(measured).status is not SignalStatus.PASS


@pytest.mark.slow
@pytest.mark.anyio
async def test_a_red_assertion_alone_replaces_nothing(tmp_path: Path) -> None:
    measured = await run_on_candidate(tmp_path, {"calc.py": BUGGY})
    assert only_run(measured).status is SignalStatus.FAIL
    assert [name for name in measured.replaced if " of LogXML." not in name] == []


@pytest.mark.slow
@pytest.mark.anyio
async def test_exit_handlers_and_daemons_have_no_say(tmp_path: Path) -> None:
    run = only_run(await run_on_candidate(tmp_path, {"calc.py": EXIT_AT_END + FORGE_XML + BUGGY}))
    assert run.status is not SignalStatus.PASS


@pytest.mark.threat("P26")
@pytest.mark.slow
@pytest.mark.anyio
@pytest.mark.parametrize(
    "code", [CLEAN_EXIT + BUGGY, PYTEST_EXIT + BUGGY, SKIP], ids=["sys.exit", "pytest.exit", "skip"]
)
async def test_leaving_early_is_never_green(tmp_path: Path, code: str) -> None:
    run = only_run(await run_on_candidate(tmp_path, {"calc.py": code}))
    passed = [case.id for case in run.tests.values() if "median_even" in case.id and case.status.badness == 0]
    assert run.status is not SignalStatus.PASS or not passed


@pytest.mark.slow
@pytest.mark.anyio
async def test_a_hanging_suite_is_stopped_and_says_where(tmp_path: Path) -> None:
    hanging = BUGGY.replace("    return ordered[middle]\n", "    import time\n    time.sleep(3600)\n")
    run = only_run(await run_on_candidate(tmp_path, {"calc.py": hanging}, timeout_s=8))
    assert run.problem_code == "timed-out"
    assert "test_median_odd" in run.problem


@pytest.mark.threat("P16")
@pytest.mark.slow
@pytest.mark.anyio
async def test_files_that_shadow_the_runner_or_start_with_python_are_not_used(tmp_path: Path) -> None:
    shadows = {
        "pytest.py": "raise SystemExit(0)\n",
        "pluggy.py": "raise SystemExit(0)\n",
        "sitecustomize.py": "import os\nos._exit(0)\n",
        "usercustomize.py": "import os\nos._exit(0)\n",
        "evil-1.0.dist-info/METADATA": "Name: evil\nVersion: 1.0\n",
        "evil-1.0.dist-info/entry_points.txt": "[pytest11]\nevil = evil\n",
        "evil.py": "import os\nos._exit(0)\n",
    }
    run = only_run(await run_on_candidate(tmp_path, shadows))
    assert run.problem_code in {"", "foreign-module"}
    assert run.status is not SignalStatus.PASS


@pytest.mark.slow
@pytest.mark.anyio
async def test_a_stale_copy_in_the_toolchain_is_not_taken_for_the_tree(tmp_path: Path) -> None:
    files = {
        "src/pluggy/__init__.py": "VALUE = 1\n",
        "tests/test_p.py": "import pluggy\n\n\ndef test_p():\n    assert pluggy.VALUE == 1\n",
    }
    run = only_run(await run_on_candidate(tmp_path, files))
    case = run.tests["tests/test_p.py::test_p"]
    assert run.problem_code in {"", "foreign-module"}
    assert run.problem_code or case.status is TestStatus.PASSED, (
        "the copy that pytest itself runs on was tested instead"
    )
