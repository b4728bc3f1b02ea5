"""The verification protocol on a small pytest project beside one run of its suite, in bubblewrap. Prints JSON.

The timeline comes from the verifier's own events: what lies before, between and after the runs of the signal.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import anyio
from tests.signals.project import CALC, FIXED, TESTS, Project

from perstack.core.errors import SandboxUnavailable
from perstack.core.json import JsonObject
from perstack.core.verdict import Verdict
from perstack.infrastructure.sandbox.bubblewrap import probe_bubblewrap
from perstack.signals.cache import ResultCache
from perstack.signals.protocol import Verifier, VerifyRequest

# Twenty tests that wait, in the file of the test that the patch fixes: what the protocol adds must not wait for them.
_WAITING = "\n\n@pytest.mark.parametrize('n', range(20))\ndef test_wait(n):\n    time.sleep(0.2)\n"
SLOW = {**CALC, "tests/test_calc.py": f"import time\n{TESTS}{_WAITING}"}


@dataclass(slots=True)
class Timeline:
    """When what was emitted, in seconds from the start."""

    began: float = field(default_factory=time.perf_counter)
    busy: float = field(default_factory=time.process_time)
    marks: list[tuple[float, str, JsonObject]] = field(default_factory=list)

    def emit(self, kind: str, payload: JsonObject) -> None:
        """Take an event."""
        self.marks.append((time.perf_counter() - self.began, kind, payload))

    def spans(self, total: float) -> Mapping[str, float]:
        """Seconds: `before` the first run, `both` (base and candidate side by side), `necessity`, `after`."""
        starts = [at for at, kind, _ in self.marks if kind == "startSignal"]
        ends = [at for at, kind, _ in self.marks if kind == "finishSignal"]
        both = max(ends[:2])
        return {
            "before": starts[0],
            "both": both - starts[0],
            "necessity": max(ends) - both,
            "after": total - max(ends),
            "runs": len(starts),
        }


async def once(folder: Path) -> dict[str, object]:
    """One verification: total, the suite alone in a sandbox, the suite alone as a plain process, the spans."""
    project = Project.make(folder, CALC)
    request = await project.request(project.patch({"calc.py": FIXED}))
    plain = await anyio.to_thread.run_sync(_plain_pytest, project.root)
    single = await _alone(project, request, folder)
    timeline = Timeline()
    report = await Verifier(project.sandbox, timeline.emit, folder / "whole").verify(request)
    total = time.perf_counter() - timeline.began
    if report.verdict is not Verdict.PASS:
        raise RuntimeError(f"the verdict is {report.verdict}: {report.reasons}")
    again = await _again(project, request, folder)
    slow = await _slow(folder / "slow")
    return {"total": total, "single": single, "plain": plain, **again, **slow, "spans": timeline.spans(total)}


async def _alone(project: Project, request: VerifyRequest, folder: Path) -> float:
    """Seconds of one run of the suite in its sandbox."""
    verifier = Verifier(project.sandbox, lambda *_: None, folder / "alone")
    started = time.perf_counter()
    await verifier.baseline(request.repository, request.base, request.specs, request.snapshot)
    return time.perf_counter() - started


async def _slow(folder: Path) -> dict[str, float]:
    """The same for a suite of four seconds."""
    project = Project.make(folder, SLOW)
    request = await project.request(project.patch({"calc.py": FIXED}))
    single = await _alone(project, request, folder)
    timeline = Timeline()
    report = await Verifier(project.sandbox, timeline.emit, folder / "whole").verify(request)
    if report.verdict is not Verdict.PASS:
        raise RuntimeError(f"the verdict is {report.verdict}: {report.reasons}")
    return {"slow_total": time.perf_counter() - timeline.began, "slow_single": single}


async def _again(project: Project, request: VerifyRequest, folder: Path) -> dict[str, float]:
    """Seconds, and seconds of processor, of a second job on the same patch, evidence written.

    It finds the first one's results. What is loaded or read once in a process is so already.
    """
    cache = ResultCache(folder / "cache")
    request = replace(request, specs=tuple(replace(spec, repeat=2) for spec in request.specs))
    await Verifier(project.sandbox, lambda *_: None, folder / "first", cache).verify(request)
    timeline = Timeline()
    verifier = Verifier(project.sandbox, timeline.emit, folder / "second", cache)
    report = await verifier.verify(replace(request, out=folder / "out"))
    taken, busy = time.perf_counter() - timeline.began, time.process_time() - timeline.busy
    if report.verdict is not Verdict.PASS or any(kind == "startSignal" for _, kind, _ in timeline.marks):
        raise RuntimeError(f"nothing came from the cache: {report.verdict}, {report.remarks}")
    return {"again": taken, "again_cpu": busy}


def _plain_pytest(root: Path) -> float:
    """What a developer would type; its failing test is the one the patch fixes."""
    env = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    started = time.perf_counter()
    done = subprocess.run(argv, cwd=root, env=env, capture_output=True, check=False)
    if done.returncode != 1:
        raise RuntimeError(done.stdout.decode(errors="replace")[-400:])
    return time.perf_counter() - started


async def _main(repetitions: int) -> None:
    problem = await probe_bubblewrap()
    if problem:
        raise SandboxUnavailable(problem)
    found = []
    for _ in range(repetitions):
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            found.append(await once(Path(folder)))
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    anyio.run(_main, int(sys.argv[1]))
