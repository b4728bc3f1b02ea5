"""Test tools that write JUnit XML or TAP themselves: where the report goes, that it is fresh, and what it says.

Weaker than the verifier's own runner: the report is written by the process under test. Exit code, report and base
identities must agree.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath

from perstack.core.sandbox import ExecResult, exit_words
from perstack.core.signals import SignalRun, SignalSpec, SignalStatus, TestCase, TestStatus
from perstack.core.verdict import ReasonCode
from perstack.signals.command import judge_command
from perstack.signals.junit import ReportInvalid, read_junit
from perstack.signals.tap import read_tap

_RED = frozenset({TestStatus.FAILED, TestStatus.ERROR})
_FILES_LIMIT = 20_000


def report_pattern(spec: SignalSpec) -> str:
    """The glob of the reports, relative to the repository; empty where none is configured or it leaves the tree."""
    pattern = spec.expect.get("report")
    if not isinstance(pattern, str) or not pattern:
        return ""
    path = PurePosixPath(spec.cwd) / pattern
    return "" if path.is_absolute() or ".." in path.parts else path.as_posix()


def without_report(spec: SignalSpec) -> str:
    """What to do about a suite that no adapter runs and that names no report, as a sentence."""
    words = [word.rpartition("/")[2] for word in spec.run]
    front = f"signal `{spec.name}`: "
    if words[:1] in (["npm"], ["pnpm"], ["yarn"]) and any(word.lstrip("-").startswith("w") for word in words[1:]):
        return f"{front}several packages in one run cannot be told apart; write a signal a package, each with its `cwd`"
    if spec.framework == "gradle":
        return f'{front}say where Gradle\'s reports go: expect = {{ report = "**/build/test-results/test/*.xml" }}'
    if words[:1] == ["prove"]:
        return f'{front}let the tests write TAP into a file, and name it: expect = {{ report = "out.tap" }}'
    framework = f'framework "{spec.framework}"' if spec.framework else "a runner that is not known"
    return f'{front}for {framework} say where its JUnit XML or TAP goes: expect = {{ report = "path/*.xml" }}'


def clear_reports(workspace: Path, pattern: str) -> None:
    """Delete reports that are there before the run."""
    for path in _matches(workspace, pattern):
        path.unlink()


def judge_reports(spec: SignalSpec, result: ExecResult, workspace: Path, pattern: str) -> SignalRun:
    """Read the reports of a finished run. Call it when the sandbox is dead."""
    run = judge_command(replace(spec, expect={"exit": spec.expect.get("exit", 0)}), result)
    if run.problem_code and run.problem_code != ReasonCode.OUTPUT_LIMIT.value:
        return run
    files = _matches(workspace, pattern)
    if not files:
        return _problem(run, ReasonCode.REPORT_MISSING, f"no report matches {pattern} ({exit_words(result.exit_code)})")
    try:
        tests = _read_all(files)
    except ReportInvalid as error:
        return _problem(run, ReasonCode.REPORT_INVALID, str(error))
    if not tests:
        return _problem(run, ReasonCode.NO_TESTS, "the report holds no test")
    red = any(case.status in _RED for case in tests.values())
    if red == (result.exit_code == 0):
        said = "a failure" if red else "no failure"
        text = f"the report says {said}, the exit code is {result.exit_code}"
        return replace(_problem(run, ReasonCode.RESULTS_DISAGREE, text), tests=tests)
    status = SignalStatus.FAIL if red else SignalStatus.PASS
    return replace(run, status=status, tests=tests, problem="", problem_code="")


def _problem(run: SignalRun, code: ReasonCode, text: str) -> SignalRun:
    return replace(run, status=SignalStatus.ERROR, problem=text, problem_code=code.value)


def _read_all(files: list[Path]) -> dict[str, TestCase]:
    tests: dict[str, TestCase] = {}
    for file in files:
        found = read_tap(file) if file.suffix == ".tap" else read_junit(file)
        for identity, case in found.items():
            known = tests.get(identity)
            if known is None or case.status.badness > known.status.badness:
                tests[identity] = case
    return tests


def _matches(workspace: Path, pattern: str) -> list[Path]:
    """Regular files that match, in order; links are not followed out of the tree."""
    root = workspace.resolve()
    found = sorted(path for path in workspace.glob(pattern) if path.is_file() or path.is_symlink())
    return [path for path in found if not path.is_symlink() and path.resolve().is_relative_to(root)][:_FILES_LIMIT]
