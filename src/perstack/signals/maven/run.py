"""One run of a Maven project's tests in one fresh sandbox: canaries, the command, reports, cross-checks."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from random import SystemRandom

import anyio.to_thread

from perstack.core.sandbox import ExecResult
from perstack.core.signals import SignalRun, SignalSpec, SignalStatus, TestCase
from perstack.core.verdict import ReasonCode
from perstack.signals.command import kept_output
from perstack.signals.diagnostics.parsed import Streams
from perstack.signals.diagnostics.places import Places
from perstack.signals.diagnostics.read import read
from perstack.signals.diagnostics.recognise import AUTO
from perstack.signals.diagnostics.tools import Form
from perstack.signals.junit import ReportInvalid, iterate_junit
from perstack.signals.maven.canary import MavenCanaries, plant_canaries
from perstack.signals.maven.plan import MavenPlan
from perstack.signals.maven.results import RED, Problem, judge, read_cases
from perstack.signals.suites.contract import Place, SuiteRun

_OUTPUT_LIMIT = 16_000_000  # Maven repeats every stack trace
_REPORTS = "target/surefire-reports"
# What runs or judges tests: found in the classes of a project, it would be taken for the real one.
_TOOLS = ("org/junit", "junit/framework", "junit/runner", "org/opentest4j", "org/hamcrest", "org/assertj",
          "org/mockito", "org/apache/maven", "org/testng", "org/apiguardian")  # fmt: skip
_SERVICES = ("META-INF/services/org.junit.*", "junit-platform.properties")
_SHOWN = 20


async def run_maven(place: Place, *, spec: SignalSpec, plan: MavenPlan) -> SuiteRun:
    """Run the suite once.

    Raises: SandboxUnavailable.
    """
    suffix = secrets.token_hex(12)
    canaries = await anyio.to_thread.run_sync(plant_canaries, place.workspace, plan.modules, SystemRandom())
    if not canaries.expected:
        text = "no module has tests of JUnit 4 or 5 in src/test/java"
        return SuiteRun(_failed(Problem(ReasonCode.NO_TESTS, text)))
    await anyio.to_thread.run_sync(_clear, place.workspace)
    allowed = await anyio.to_thread.run_sync(
        lambda: set(_services(place.workspace, plan.modules, "src/test/resources"))
    )
    async with place.sandbox.open(place.snapshot, place.workspace, limits=place.snapshot.limits) as session:
        result = await session.run(
            plan.command_line(suffix, canaries.classes),
            cwd=spec.cwd,
            env=_environment(place),
            timeout_s=spec.timeout_s,
            output_limit=_OUTPUT_LIMIT,
        )
        root = session.workspace
    # only here is everything in the sandbox dead
    if result.timed_out:
        text = f"the tests were stopped after {spec.timeout_s:g} s"
        return SuiteRun(_failed(Problem(ReasonCode.TIMED_OUT, text), result, canaries))
    if result.truncated:
        text = f"Maven wrote more than {_OUTPUT_LIMIT} bytes"
        return SuiteRun(_failed(Problem(ReasonCode.OUTPUT_LIMIT, text), result, canaries))
    return await anyio.to_thread.run_sync(
        lambda: SuiteRun(_conclude(place.workspace, plan, result, canaries, names=(suffix, root), allowed=allowed))
    )


def _clear(workspace: Path) -> None:
    """Reports that the tree brings are not results."""
    for path in list(workspace.rglob("TEST-*.xml")):
        if path.parent.name == "surefire-reports":
            path.unlink()


def _environment(place: Place) -> Mapping[str, str]:
    """Variables for Maven and the virtual machines it starts: nothing may steer them but what set-up says."""
    configured = dict(place.snapshot.env)
    names = ("MAVEN_OPTS", "MAVEN_ARGS", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS")
    varied = {name: value for name, value in place.variation.variables.items() if name not in configured}
    return {**varied, **{name: "" for name in names if name not in configured}}


def _conclude(
    workspace: Path,
    plan: MavenPlan,
    result: ExecResult,
    canaries: MavenCanaries,
    *,
    names: tuple[str, str],
    allowed: set[str],
) -> SignalRun:
    suffix, root = names
    foreign = [*_foreign(workspace, plan.modules), *_added_services(workspace, plan.modules, allowed)]
    output = result.stdout.decode("utf-8", "replace")
    try:
        cases = read_cases(_reports(workspace, suffix), suffix)
    except ReportInvalid as error:
        return _failed(Problem(ReasonCode.REPORT_INVALID, str(error)), result, canaries)
    tests, problem = judge(cases, canaries, exit_code=result.exit_code, output=output, foreign=foreign)
    streams = Streams.decode(result.stdout, result.stderr)
    places = Places(root, ".", lambda path: (workspace / path).is_file())
    diagnostics = read(AUTO, Form(), streams, places, exit_code=0).diagnostics
    if problem is not None:
        return _failed(problem, result, canaries, tests=tests, diagnostics=diagnostics)
    red = any(case.status in RED for case in tests.values())
    return SignalRun(
        status=SignalStatus.FAIL if red else SignalStatus.PASS,
        seconds=result.seconds,
        exit_code=int(red),
        tests=tests,
        diagnostics=diagnostics,
        output=_failures_as_text(tests.values()),
    )


def _reports(workspace: Path, suffix: str) -> Iterator[TestCase]:
    for path in sorted(workspace.rglob(f"TEST-*{suffix}.xml")):
        yield from iterate_junit(path)


def _foreign(workspace: Path, modules: Iterable[str]) -> Iterator[str]:
    for module in modules:
        for folder in ("target/classes", "target/test-classes"):
            for tool in _TOOLS:
                place = workspace / module / folder / tool
                if place.exists() and any(place.rglob("*.class")):
                    yield f"{module}/{folder}/{tool}"


def _services(workspace: Path, modules: Iterable[str], folder: str) -> Iterator[str]:
    for module in modules:
        root = workspace / module / folder
        for pattern in _SERVICES:
            yield from (f"{module}:{path.relative_to(root).as_posix()}" for path in root.glob(pattern))


def _added_services(workspace: Path, modules: Iterable[str], allowed: set[str]) -> Iterator[str]:
    """Extensions of the test platform that the product registers: JUnit takes them from anywhere."""
    yield from (name for name in _services(workspace, modules, "target/classes") if name not in allowed)


def _failed(
    problem: Problem, result: ExecResult | None = None, canaries: MavenCanaries | None = None, **more: object
) -> SignalRun:
    text = kept_output(result) if result else ""
    if canaries is not None:
        text = "\n".join(
            line for line in text.splitlines() if canaries.token not in line and canaries.secret not in line
        )
    return SignalRun(
        SignalStatus.ERROR,
        result.seconds if result else 0.0,
        exit_code=result.exit_code if result else None,
        output=text,
        problem=problem.text,
        problem_code=problem.code.value,
        **more,  # type: ignore[arg-type]
    )


def _failures_as_text(cases: Iterable[TestCase]) -> str:
    red = [case for case in cases if case.status in RED]
    return "\n".join(f"{case.status.value.upper()} {case.id}\n{case.message}" for case in red[:_SHOWN])
