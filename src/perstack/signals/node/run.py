"""One run of a JavaScript suite in one fresh sandbox: files for the runner, the channel, and the cross-checks."""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from posixpath import join, normpath
from random import SystemRandom

import anyio.to_thread

from perstack.core.json import JsonObject
from perstack.core.sandbox import ExecResult, Mount, exit_words
from perstack.core.signals import SignalRun, SignalSpec, SignalStatus, TestCase, TestStatus
from perstack.core.verdict import ReasonCode
from perstack.infrastructure import foreign
from perstack.signals.channel import Channel, listening
from perstack.signals.command import OUTPUT_LIMIT, kept_output
from perstack.signals.node.canary import NodeCanaries, make_canaries
from perstack.signals.node.plan import NodePlan
from perstack.signals.node.report import check_report
from perstack.signals.node.results import NodeResults, Problem, read_results
from perstack.signals.suites.contract import Place, SuiteRun

_WORKER = Path(__file__).parent / "worker"
_PROGRAMS = {"node:test": "node_test.cjs", "jest": "jest_main.cjs", "vitest": "vitest_main.mjs"}
_CONTROL, _OUT = "/perstack/control", "/perstack/out"
_RED, _SHOWN = frozenset({TestStatus.FAILED, TestStatus.ERROR}), 20


async def run_node(place: Place, *, spec: SignalSpec, plan: NodePlan) -> SuiteRun:
    """Run the suite once.

    Raises: SandboxUnavailable.
    """
    workspace, snapshot = place.workspace, place.snapshot
    canaries, nonce = make_canaries(SystemRandom()), secrets.token_hex(32)
    control, out, report = place.scratch / "control", place.scratch / "out", f"{secrets.token_hex(16)}.json"
    await anyio.to_thread.run_sync(_prepare, control, out, workspace, plan)
    before = await anyio.to_thread.run_sync(_installed_digest, workspace)
    mounts = (Mount(control, _CONTROL), Mount(out, _OUT, writable=True))
    async with listening(control, nonce) as channel:
        async with place.sandbox.open(snapshot, workspace, mounts=mounts, limits=snapshot.limits) as session:
            inside_control, inside_out = session.inside(mounts[0]), session.inside(mounts[1])
            request = {
                "nonce": nonce,
                "socket": join(inside_control, "s"),
                "report": join(inside_out, report),
                "workspace": session.workspace,
                "cwd": normpath(join(session.workspace, plan.cwd)),
                "files": list(await anyio.to_thread.run_sync(_files, workspace, plan)),
                "only": [join(session.workspace, path) for path in plan.only],
                "selection": list(plan.selection),
                "arguments": list(plan.arguments),
                "options": dict(plan.options),
                "order": place.variation.order,
                "canary": {"token": canaries.token, "secret": canaries.secret},
            }
            result = await session.run(
                ["node", *_flags(plan, inside_control), join(inside_control, _PROGRAMS[plan.tool])],
                cwd=spec.cwd,
                env=_environment(place, plan),
                stdin=json.dumps(request).encode(),
                timeout_s=spec.timeout_s,
                output_limit=OUTPUT_LIMIT,
            )
            await channel.settle()
        # only here is everything in the sandbox dead
        changed = before != await anyio.to_thread.run_sync(_installed_digest, workspace)
        return await anyio.to_thread.run_sync(
            lambda: _conclude(spec, plan, result, channel, canaries=canaries, report=out / report, changed=changed)
        )


def _prepare(control: Path, out: Path, workspace: Path, plan: NodePlan) -> None:
    """Lay out our files, and put files that the configuration names back to what the base has."""
    control.mkdir(parents=True)
    out.mkdir()
    out.chmod(0o777)  # the sandbox's user is another one; the folder holds one file with a name nobody can guess
    for script in _WORKER.iterdir():
        if script.suffix in {".cjs", ".mjs"}:
            shutil.copyfile(script, control / script.name)
    for path, data in plan.restored.items():
        target = workspace / path
        if not target.is_symlink() and target.parent.is_dir():
            target.write_bytes(data)


def _files(workspace: Path, plan: NodePlan) -> tuple[str, ...]:
    """Test files on disk; only node:test is told which, the other tools know by themselves."""
    if plan.tool != "node:test":
        return ()
    found = (path.relative_to(workspace) for path in workspace.rglob("*") if path.is_file() and not path.is_symlink())
    return plan.test_files([path.as_posix() for path in found if ".git" not in path.parts])


def _flags(plan: NodePlan, control: str) -> list[str]:
    """Flags of the first process; its workers inherit them."""
    if plan.tool != "jest":
        return []
    modules = ["--experimental-vm-modules", "--no-warnings"] if plan.options.get("modules") else []
    return [*modules, "--require", join(control, "jest_worker.cjs")]


def _environment(place: Place, plan: NodePlan) -> Mapping[str, str]:
    """Variables for the run: nothing may load code into node before ours."""
    configured = dict(place.snapshot.env)
    varied = {name: value for name, value in place.variation.variables.items() if name not in configured}
    asked = {name: value for name, value in plan.environment.items() if not name.startswith(("NODE_OPT", "NODE_PATH"))}
    return {**varied, **asked, "NODE_OPTIONS": "", "NODE_PATH": "", "NO_COLOR": "1", "FORCE_COLOR": "0"}


def _installed_digest(workspace: Path) -> str:
    """The digest of packages that lie in the tree itself; those that set-up made are mounted read-only."""
    digest = hashlib.sha256()
    for folder in sorted(workspace.rglob("node_modules")):
        if folder.is_symlink() or "node_modules" in folder.relative_to(workspace).parts[:-1]:
            continue
        for path in sorted(folder.rglob("*.[cm]js")) + sorted(folder.rglob("*.js")) + sorted(folder.rglob("*.json")):
            if path.is_file() and not path.is_symlink() and ".vite" not in path.parts:
                digest.update(f"{path}\0{foreign.digest(path)}".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _conclude(  # the sources that must agree
    spec: SignalSpec,
    plan: NodePlan,
    result: ExecResult,
    channel: Channel,
    *,
    canaries: NodeCanaries,
    report: Path,
    changed: bool,
) -> SuiteRun:
    problem = _unfinished(spec, plan, result, channel)
    results = NodeResults()
    if problem is None:
        results = read_results(channel.records, result.exit_code, canaries, cwd=plan.cwd)
        problem = results.problem
    if problem is None and plan.tool != "node:test":
        problem = check_report(report, results.tests, canaries, channel.records[-1])
    if problem is None and changed:
        problem = Problem(ReasonCode.FOREIGN_MODULE, "installed packages were changed while the tests ran")
    red = any(case.status in _RED for case in results.tests.values())
    run = SignalRun(
        status=SignalStatus.ERROR if problem else SignalStatus.FAIL if red else SignalStatus.PASS,
        seconds=result.seconds,
        exit_code=result.exit_code if problem else int(red),
        tests=results.tests,
        output=_failures_as_text(results.tests.values()),
    )
    if problem is not None:
        output = kept_output(result).replace(canaries.token, "canary").replace(canaries.secret, "canary")
        run = replace(run, problem=problem.text, problem_code=problem.code.value, output=output)
    return SuiteRun(run, results.replaced)


def _unfinished(spec: SignalSpec, plan: NodePlan, result: ExecResult, channel: Channel) -> Problem | None:
    """Why there is no finished run to read."""
    if result.timed_out:
        return Problem(ReasonCode.TIMED_OUT, f"the tests were stopped after {spec.timeout_s:g} s")
    if channel.problem:
        return Problem(ReasonCode.RESULTS_DISAGREE, channel.problem)
    finish: JsonObject | None = channel.finish
    if not channel.connected or (finish is None and not channel.records):
        last = kept_output(result).strip().splitlines()[-1:] or ["no output"]
        text = f"{plan.tool} could not be started ({exit_words(result.exit_code)}): {last[0]}"
        return Problem(ReasonCode.SIGNAL_ERROR, text)
    if finish is None:
        text = f"the test process ended with {exit_words(result.exit_code)} and no finish record"
        return Problem(ReasonCode.REPORT_MISSING, text)
    if finish.get("problem"):
        return Problem(ReasonCode.SIGNAL_ERROR, f"{plan.tool}: {finish['problem']}")
    return None


def _failures_as_text(cases: Iterable[TestCase]) -> str:
    """What people see of a finished run; the runner's own output would tell about the canaries."""
    failures = [case for case in cases if case.status in _RED]
    lines = [f"{case.status.value}: {case.id}\n{case.message}" for case in failures[:_SHOWN]]
    if len(failures) > _SHOWN:
        lines.append(f"and {len(failures) - _SHOWN} more")
    return "\n\n".join(lines)
