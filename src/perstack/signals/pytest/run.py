"""One run of a pytest suite in one fresh sandbox: files for the runner, the channel, and the cross-checks."""

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
from perstack.infrastructure import foreign
from perstack.signals.channel import Channel, listening
from perstack.signals.command import OUTPUT_LIMIT
from perstack.signals.environment import Variation
from perstack.signals.junit import ReportInvalid, iterate_junit
from perstack.signals.pytest.canary import Canaries, make_canaries
from perstack.signals.pytest.configuration import BLOCKED_PLUGINS, PytestPlan
from perstack.signals.pytest.results import Expectations, Problem, Results, check_xml, read_results, until_the_hang
from perstack.signals.suites.contract import Place, SuiteRun
from perstack.signals.suites.python import (
    SHARED_SCRIPTS,
    packages_on_disk,
    suite_run,
    unfinished,
)

_WORKER = Path(__file__).parent / "worker"
_SCRIPTS = (*SHARED_SCRIPTS, _WORKER / "runner.py", _WORKER / "perstack_collected.py")
_CONTROL, _OUT = "/perstack/control", "/perstack/out"


async def run_pytest(place: Place, *, spec: SignalSpec, plan: PytestPlan) -> SuiteRun:
    """Run the suite once.

    Raises: SandboxUnavailable.
    """
    workspace, scratch, variation, snapshot = place.workspace, place.scratch, place.variation, place.snapshot
    canaries, nonce = make_canaries(SystemRandom()), secrets.token_hex(32)
    control, out, xml_name = scratch / "control", scratch / "out", f"{secrets.token_hex(16)}.xml"
    control.mkdir(parents=True)
    out.mkdir()
    out.chmod(0o777)  # the sandbox's user is another one; the folder holds one file with a name nobody can guess
    for script in _SCRIPTS:
        shutil.copyfile(script, control / script.name)
    (control / plan.config_name).write_bytes(plan.config_bytes)
    packages = await anyio.to_thread.run_sync(packages_on_disk, workspace, plan.python_path)
    mounts = (Mount(control, _CONTROL), Mount(out, _OUT, writable=True))
    async with listening(control, nonce) as channel:
        async with place.sandbox.open(snapshot, workspace, mounts=mounts, limits=snapshot.limits) as session:
            inside_control, inside_out = session.inside(mounts[0]), session.inside(mounts[1])
            request = _request(
                plan, canaries, variation, snapshot=snapshot, cwd=normpath(join(session.workspace, spec.cwd))
            )
            request |= {
                "nonce": nonce,
                "socket": join(inside_control, "s"),
                "xml": join(inside_out, xml_name),
                "workspace": session.workspace,
                "roots": [normpath(join(session.workspace, root)) for root in plan.source_roots],
                "provides": list(plan.provides),
                "version_files": [[join(session.workspace, path), name] for path, name in plan.version_files],
                "args": plan.command_line(session.workspace, inside_control, join(inside_out, xml_name)),
            }
            result = await session.run(
                [plan.interpreter, "-s", "-S", "-B", join(inside_control, "runner.py")],
                cwd=spec.cwd,
                env=_environment(variation, session.workspace),
                stdin=json.dumps(request).encode(),
                timeout_s=spec.timeout_s,
                output_limit=OUTPUT_LIMIT,
            )
            await channel.settle()
        # only here is everything in the sandbox dead: nothing can rewrite the report any more
        expected = Expectations(canaries, packages)
        return await anyio.to_thread.run_sync(
            lambda: _conclude(spec, result, channel, expected=expected, xml=out / xml_name)
        )


def _conclude(spec: SignalSpec, result: ExecResult, channel: Channel, *, expected: Expectations, xml: Path) -> SuiteRun:
    problem = unfinished("pytest", spec, result, channel)
    results = Results()
    finish = channel.finish
    if problem is None and finish is not None:
        results = read_results(channel.records, finish, result.exit_code, expected)
        problem = results.problem or _check_report(xml, str(finish.get("xml")), results, expected.canaries)
    elif problem is not None and problem.code is ReasonCode.TIMED_OUT:
        results = until_the_hang(channel.records, expected, spec.timeout_s)
    return suite_run(result, results, problem, expected.canaries, mark="E")


def _check_report(xml: Path, digest: str, results: Results, canaries: Canaries) -> Problem | None:
    """Compare the JUnit file with the channel."""
    try:
        seen = foreign.digest(xml)
    except OSError:
        return Problem(ReasonCode.REPORT_MISSING, "the runner's JUnit file is missing")
    if seen != digest:
        return Problem(ReasonCode.RESULTS_DISAGREE, "the runner's JUnit file was changed after the run")
    try:
        return check_xml(results.tests, iterate_junit(xml), canaries)
    except ReportInvalid as error:
        return Problem(ReasonCode.REPORT_INVALID, str(error))


def _request(
    plan: PytestPlan, canaries: Canaries, variation: Variation, *, snapshot: Snapshot, cwd: str
) -> dict[str, object]:
    configured = {**dict(snapshot.env), **plan.environment}
    paths = [entry for entry in configured.get("PYTHONPATH", "").split(":") if entry]
    return {
        "blocked": list(BLOCKED_PLUGINS),
        "canaries": [{"file": file.file, "text": file.text} for file in canaries.files],
        "token": canaries.token,
        "order": variation.order,
        "part": list(plan.part),
        "python_path": [*([cwd] if plan.cwd_first else []), *(normpath(join(cwd, path)) for path in paths)],
        "environment": {key: value for key, value in configured.items() if key not in variation.variables},
        "argv": ["pytest", *plan.arguments],
    }


def _environment(variation: Variation, workspace: str) -> Mapping[str, str]:
    """Variables for the start of the interpreter: nothing may steer Python or pytest before our runner does."""
    return {
        **variation.variables,
        "PYTHONPATH": "",
        "PYTHONSTARTUP": "",
        "PYTHONOPTIMIZE": "",
        "PYTEST_ADDOPTS": "",
        "PYTEST_PLUGINS": "",
        "PERSTACK_WORKSPACE": workspace,
    }
