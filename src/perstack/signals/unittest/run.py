"""One run of a unittest suite in one fresh sandbox: files for the runner, the channel, and the cross-checks."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from posixpath import join, normpath
from random import SystemRandom

import anyio.to_thread

from perstack.core.sandbox import ExecResult, Mount, Snapshot
from perstack.core.signals import SignalSpec
from perstack.core.verdict import ReasonCode
from perstack.signals.channel import Channel, listening
from perstack.signals.command import OUTPUT_LIMIT
from perstack.signals.environment import Variation
from perstack.signals.pytest.canary import Canaries
from perstack.signals.pytest.results import Expectations, Results, read_results, until_the_hang
from perstack.signals.suites.contract import Place, SuiteRun
from perstack.signals.suites.python import (
    SHARED_SCRIPTS,
    packages_on_disk,
    suite_run,
    unfinished,
)
from perstack.signals.unittest.canary import make_canaries
from perstack.signals.unittest.plan import UnittestPlan

_SCRIPTS = (*SHARED_SCRIPTS, *(Path(__file__).parent / "worker" / f"{n}.py" for n in ("runner", "perstack_tests")))
_CONTROL = "/perstack/control"


async def run_unittest(place: Place, *, spec: SignalSpec, plan: UnittestPlan) -> SuiteRun:
    """Run the suite once.

    Raises: SandboxUnavailable.
    """
    snapshot, control = place.snapshot, place.scratch / "control"
    canaries, nonce = make_canaries(SystemRandom()), secrets.token_hex(32)
    control.mkdir(parents=True)
    for script in _SCRIPTS:
        shutil.copyfile(script, control / script.name)
    packages = await anyio.to_thread.run_sync(packages_on_disk, place.workspace, ())
    mount = Mount(control, _CONTROL)
    async with (
        listening(control, nonce) as channel,
        place.sandbox.open(snapshot, place.workspace, mounts=(mount,), limits=snapshot.limits) as session,
    ):
        inside = session.inside(mount)
        request = _request(plan, canaries, place.variation, snapshot=snapshot)
        request |= {
            "nonce": nonce,
            "socket": join(inside, "s"),
            "cwd": normpath(join(session.workspace, spec.cwd)),
            "roots": [normpath(join(session.workspace, root)) for root in plan.source_roots],
            "version_files": [[join(session.workspace, path), name] for path, name in plan.version_files],
        }
        result = await session.run(
            [plan.interpreter, "-s", "-S", "-B", join(inside, "runner.py")],
            cwd=spec.cwd,
            env=_environment(place.variation, session.workspace),
            stdin=json.dumps(request).encode(),
            timeout_s=spec.timeout_s,
            output_limit=OUTPUT_LIMIT,
        )
        await channel.settle()
    return _conclude(spec, result, channel, Expectations(canaries, packages, "unittest"))


def _conclude(spec: SignalSpec, result: ExecResult, channel: Channel, expected: Expectations) -> SuiteRun:
    problem = unfinished("unittest", spec, result, channel)
    results, finish = Results(), channel.finish
    if problem is None and finish is not None:
        results = read_results(channel.records, finish, result.exit_code, expected)
        problem = results.problem
    elif problem is not None and problem.code is ReasonCode.TIMED_OUT:
        results = until_the_hang(channel.records, expected, spec.timeout_s)
    return suite_run(result, results, problem, expected.canaries)


def _request(plan: UnittestPlan, canaries: Canaries, variation: Variation, *, snapshot: Snapshot) -> dict[str, object]:
    configured = {**dict(snapshot.env), **plan.environment}
    return {
        "canaries": [{"file": file.file, "text": file.text} for file in canaries.files],
        "order": variation.order,
        "environment": {key: value for key, value in configured.items() if key not in variation.variables},
        "names": list(plan.names),
        "start": plan.start,
        "top": plan.top,
        "pattern": plan.pattern,
        "keep": list(plan.keep),
        "only": list(plan.only),
        "provides": list(plan.provides),
    }


def _environment(variation: Variation, workspace: str) -> Mapping[str, str]:
    """Variables for the start of the interpreter: nothing may steer Python before our runner does."""
    cleared = dict.fromkeys(("PYTHONPATH", "PYTHONSTARTUP", "PYTHONOPTIMIZE", "PYTHONWARNINGS"), "")
    return {**variation.variables, **cleared, "PERSTACK_WORKSPACE": workspace}
