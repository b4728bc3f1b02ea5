"""What runs of Python suites share on this side of the sandbox. Not a runner: those are started by their adapters."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from perstack.core.sandbox import ExecResult, exit_words
from perstack.core.signals import SignalRun, SignalSpec, SignalStatus, TestCase, TestStatus
from perstack.core.verdict import ReasonCode
from perstack.signals.channel import Channel
from perstack.signals.command import kept_output
from perstack.signals.pytest.canary import Canaries
from perstack.signals.pytest.layout import packages_of
from perstack.signals.pytest.results import Problem, Results
from perstack.signals.suites.contract import SuiteRun

_NOT_STARTED = 4  # usage error, or a file of the suite that cannot be loaded
RED = frozenset({TestStatus.FAILED, TestStatus.ERROR})
SHARED_SCRIPTS = tuple(
    Path(__file__).parents[1] / "pytest" / "worker" / f"perstack_{name}.py"
    for name in ("channel", "proof", "site", "sources")
)
_SHOWN = 20


def unfinished(runner: str, spec: SignalSpec, result: ExecResult, channel: Channel) -> Problem | None:
    """Why there is no finished run to read."""
    started = [str(r.get("id")) for r in channel.records if r.get("type") == "start"]
    where = f", last in {started[-1]}" if started else ""
    if result.timed_out:
        return Problem(ReasonCode.TIMED_OUT, f"the tests were stopped after {spec.timeout_s:g} s{where}")
    if channel.problem:
        return Problem(ReasonCode.RESULTS_DISAGREE, channel.problem)
    if not channel.connected:
        last = kept_output(result).strip().splitlines()[-1:] or ["no output"]
        return Problem(
            ReasonCode.SIGNAL_ERROR, f"{runner} could not be started ({exit_words(result.exit_code)}): {last[0]}"
        )
    if channel.finish is None:
        text = f"the test process ended with {exit_words(result.exit_code)} and no finish record{where}"
        return Problem(ReasonCode.REPORT_MISSING, text)
    return None


def suite_run(
    result: ExecResult, results: Results, problem: Problem | None, canaries: Canaries, *, mark: str = ""
) -> SuiteRun:
    """What a run came to. `mark` is what the runner writes before the lines that say why it could not start."""
    red = any(case.status in RED for case in results.tests.values())
    status = SignalStatus.FAIL if red else SignalStatus.PASS
    hung = problem is not None and problem.code is ReasonCode.TIMED_OUT and red
    run = SignalRun(
        status=status if problem is None or hung else SignalStatus.ERROR,
        seconds=result.seconds,
        exit_code=result.exit_code if problem else int(red),
        tests=results.tests,
        output=failures_as_text(results.tests.values()),
    )
    if problem is not None:
        output = hide_canaries(kept_output(result), canaries)
        text = problem.text
        if result.exit_code == _NOT_STARTED and (lines := output.strip().splitlines()):
            text = f"{text}: {lines[-1].removeprefix(mark).strip()}"
        run = replace(run, problem=text, problem_code=problem.code.value, output=output)
    return SuiteRun(run, results.replaced)


def packages_on_disk(workspace: Path, python_path: tuple[str, ...]) -> dict[str, str]:
    """Top-level packages and modules of a tree, each with its place."""
    roots = [".", "src", "lib", *(path for path in python_path if not path.startswith((".", "/")))]
    files = [
        path.relative_to(workspace).as_posix()
        for root in roots
        for pattern in ("*.py", "*/__init__.py")
        for path in (workspace / root).glob(pattern)
    ]
    return packages_of(files, python_path)


def failures_as_text(cases: Iterable[TestCase]) -> str:
    """Red tests with their messages: what the verifier knows, without its own tests in between."""
    red = [case for case in cases if case.status in RED]
    return "\n".join(f"{case.status.value.upper()} {case.id}\n{case.message}" for case in red[:_SHOWN])


def hide_canaries(output: str, canaries: Canaries) -> str:
    """The output for people, without lines about the verifier's own tests."""
    marks = (canaries.token, canaries.secret)
    return "\n".join(line for line in output.splitlines() if not any(mark in line for mark in marks))
