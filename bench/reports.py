"""Reading and comparing what large projects report: JUnit XML of 100,000 tests, 10,000 diagnostics. Prints JSON.

A process of its own, so that its highest resident size is that of the work.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from perstack.core.sandbox import ExecResult
from perstack.core.signals import SignalKind, SignalRun, SignalSpec, SignalStatus
from perstack.signals.compare_diagnostics import compare_diagnostics
from perstack.signals.compare_tests import compare_tests
from perstack.signals.compiler import judge_compiler
from perstack.signals.diagnostics.places import Places
from perstack.signals.diagnostics.tools import TOOLS
from perstack.signals.junit import read_junit

_TESTS, _DIAGNOSTICS = 100_000, 10_000


def big_report(path: Path, every: int) -> None:
    """A hundred thousand tests in a hundred megabytes, of which every n-th fails."""
    noise = "x" * 870
    said = (f"<failure message='no'>{noise}</failure>", f"<system-out>{noise}</system-out>")

    def cases() -> Iterator[str]:
        yield "<testsuites><testsuite>"
        for n in range(_TESTS):
            place = f'classname="pkg.m{n % 100}" name="test_{n}" file="tests/test_{n % 100}.py" time="0.01"'
            yield f"<testcase {place}>{said[n % every > 0]}</testcase>"
        yield "</testsuite></testsuites>"

    with path.open("w", encoding="utf-8") as file:
        file.writelines(cases())


def junit(folder: Path) -> dict[str, float]:
    """Seconds for one report, read and compared with another one that is known; the highest resident size."""
    paths = [folder / f"{every}.xml" for every in (10, 20)]
    for path, every in zip(paths, (10, 20), strict=True):
        big_report(path, every)
    base = SignalRun(SignalStatus.FAIL, 1.0, tests=read_junit(paths[0]))
    began, busy = time.perf_counter(), time.process_time()
    candidate = SignalRun(SignalStatus.FAIL, 1.0, tests=read_junit(paths[1]))
    delta = compare_tests([base], [candidate], ()).delta
    seconds, cpu = time.perf_counter() - began, time.process_time() - busy
    if (len(delta.fail_to_pass), delta.pass_to_pass) != (5000, 90000):
        raise RuntimeError(f"{len(delta.fail_to_pass)} fixed, {delta.pass_to_pass} kept")
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    peak = int(status.partition("VmHWM:")[2].split()[0]) / 1024
    return {"junit_s": seconds, "junit_cpu_s": cpu, "junit_mb": peak, "megabytes": paths[1].stat().st_size / 1e6}


def diagnostics() -> dict[str, float]:
    """Seconds for the output of a type checker, read and compared with itself."""
    rows = (
        {"file": f"f{n % 97}.py", "line": n, "column": 3, "message": f'Name "n{n}" is not defined', "hint": None,
         "code": "name-defined", "severity": "error"}
        for n in range(_DIAGNOSTICS)
    )  # fmt: skip
    raw = "\n".join(map(json.dumps, rows)).encode()
    spec = SignalSpec("types", SignalKind.COMPILER, ("mypy", "."))
    began, busy = time.perf_counter(), time.process_time()
    run = judge_compiler(spec, TOOLS["mypy"].forms[0], ExecResult(1, raw, b"", 1.0), Places("/w", ".", lambda _: True))
    delta = compare_diagnostics(spec, [run], [run], ()).delta
    seconds, cpu = time.perf_counter() - began, time.process_time() - busy
    if delta.unchanged != _DIAGNOSTICS:
        raise RuntimeError(f"{delta.unchanged} diagnostics: {run.problem}")
    return {"diagnostics_s": seconds, "diagnostics_cpu_s": cpu}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        sys.stdout.write(json.dumps({**diagnostics(), **junit(Path(name))}) + "\n")
