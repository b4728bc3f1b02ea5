"""One run of a CMake project's tests: build it, and run the tests where nothing of the build is alive any more.

Three sandboxes: one makes the verifier's own programs, one configures and builds the tree, one runs the tests. What a
test does to the programs of another one is noticed by their digests.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from posixpath import join, normpath
from random import SystemRandom

import anyio.to_thread

from perstack.core.contracts import Session
from perstack.core.sandbox import ExecResult, Mount
from perstack.core.signals import Diagnostic, SignalRun, SignalSpec, SignalStatus, TestCase, TestStatus
from perstack.core.verdict import ReasonCode
from perstack.infrastructure import foreign
from perstack.signals.command import OUTPUT_LIMIT, kept_output
from perstack.signals.ctest.assertions import Planted, check_assertions, plant_assertions, programs_with
from perstack.signals.ctest.built import built_files, executables_of, foreign_compiler, plant_canaries
from perstack.signals.ctest.definitions import Definition, ListInvalid, read_definitions
from perstack.signals.ctest.plan import CtestPlan
from perstack.signals.ctest.records import Forged, Program, Spot, read_records
from perstack.signals.ctest.report import read_report
from perstack.signals.ctest.results import Canaries, Ends, Problem, read_results
from perstack.signals.diagnostics.parsed import Streams
from perstack.signals.diagnostics.places import Places
from perstack.signals.diagnostics.read import read
from perstack.signals.diagnostics.recognise import AUTO
from perstack.signals.diagnostics.tools import Form
from perstack.signals.junit import ReportInvalid
from perstack.signals.suites.contract import Place, SuiteRun

_WORKER = Path(__file__).parent / "worker"
_CONTROL, _OUT, _BUILD = "/perstack/control", "/perstack/out", "/perstack/build"
_RED, _SHOWN = frozenset({TestStatus.FAILED, TestStatus.ERROR}), 20
_TOOLS_S = 60.0
_MAKE_TOOLS = """
compiler=$(command -v cc || command -v gcc || command -v clang) || exit 127
"$compiler" -shared -fPIC -O1 -w -o "$2/watch.so" "$1/watch.c" -ldl -Wl,-z,initfirst &&
"$compiler" -O0 -UNDEBUG -w -o "$2/canary" "$1/canary.c"
"""


@dataclass(frozen=True, slots=True)
class _Folders:
    """Our folders of one run on this machine: what tests may read, may write, and where the tree is built."""

    control: Path
    out: Path
    build: Path

    @property
    def mounts(self) -> tuple[Mount, Mount, Mount]:
        return (Mount(self.control, _CONTROL), Mount(self.out, _OUT, True), Mount(self.build, _BUILD, True))


@dataclass(frozen=True, slots=True)
class _Setup:
    """One run's names and secrets, and the programs of the build, as `executables_of` says."""

    report: Path
    records: Path
    key: bytes
    canaries: Canaries
    executables: Mapping[str, bool]
    planted: Mapping[Planted, list[str]]


@dataclass(frozen=True, slots=True)
class _Ran:
    """What the run of the tests left behind."""

    result: ExecResult
    definitions: tuple[Definition, ...]
    programs: tuple[Program, ...]
    sources: Mapping[Spot, str]
    assertions: tuple[TestCase, ...]


class _Stopped(Exception):
    """The run cannot go on; `result` is of the command that stopped it."""

    def __init__(self, problem: Problem, result: ExecResult | None = None) -> None:
        super().__init__(problem.text)
        self.problem = problem
        self.result = result


async def run_ctest(place: Place, *, spec: SignalSpec, plan: CtestPlan) -> SuiteRun:
    """Build and run the suite once.

    Raises: SandboxUnavailable.
    """
    folders = _Folders(place.scratch / "control", place.scratch / "out", place.scratch / "build")
    await anyio.to_thread.run_sync(_prepare, folders)
    seconds = 0.0
    diagnostics: tuple[Diagnostic, ...] = ()
    try:
        await _make_tools(place, folders)
        known = () if plan.only else plan.tests.base_files
        planted = await anyio.to_thread.run_sync(plant_assertions, place.workspace, known, plan.is_test, SystemRandom())
        built, diagnostics = await _build(place, folders, spec, plan)
        seconds = built.seconds
        return await _test(place, folders, replace(spec, timeout_s=max(1.0, spec.timeout_s - seconds)), plan, planted)
    except _Stopped as stopped:
        result = stopped.result
        run = SignalRun(
            SignalStatus.ERROR,
            seconds + (result.seconds if result else 0.0),
            exit_code=result.exit_code if result else None,
            diagnostics=diagnostics or _diagnostics(result, place.workspace),
            output=kept_output(result) if result else "",
            problem=stopped.problem.text,
            problem_code=stopped.problem.code.value,
        )
        return SuiteRun(run)


def _prepare(folders: _Folders) -> None:
    for folder in (folders.control, folders.out, folders.build):
        folder.mkdir(parents=True)
    folders.out.chmod(0o777)  # the sandbox's user is another one
    folders.build.chmod(0o777)
    for name in ("watch.c", "canary.c"):
        shutil.copyfile(_WORKER / name, folders.control / name)


async def _make_tools(place: Place, folders: _Folders) -> None:
    """Compile what watches processes, where nothing of the tree is around, and put it where nothing can write."""
    empty = place.scratch / "empty"
    empty.mkdir()
    async with place.sandbox.open(place.snapshot, empty, mounts=folders.mounts[:2]) as session:
        inside = [session.inside(mount) for mount in folders.mounts]
        result = await session.run(["sh", "-c", _MAKE_TOOLS, "sh", *inside[:2]], timeout_s=_TOOLS_S)
    if result.exit_code:
        text = "the program that watches test processes could not be compiled: a C compiler is needed in the sandbox"
        raise _Stopped(Problem(ReasonCode.SIGNAL_ERROR, text), result)
    for name in ("watch.so", "canary"):
        shutil.move(folders.out / name, folders.control / name)


async def _build(
    place: Place, folders: _Folders, spec: SignalSpec, plan: CtestPlan
) -> tuple[ExecResult, tuple[Diagnostic, ...]]:
    """Configure and build the tree."""
    configured = dict(place.snapshot.env)
    environment = {name: f"{configured.get(name, '')} -g".strip() for name in ("CFLAGS", "CXXFLAGS")}
    environment |= {"CMAKE_TOOLCHAIN_FILE": configured.get("CMAKE_TOOLCHAIN_FILE", ""), "LC_ALL": "C.UTF-8"}
    async with place.sandbox.open(
        place.snapshot, place.workspace, mounts=folders.mounts[2:], limits=place.snapshot.limits
    ) as session:
        build = session.inside(folders.mounts[2])
        source = normpath(join(session.workspace, plan.source))
        steps = (
            ["cmake", "-S", source, "-B", build, *plan.options, "-DCMAKE_C_COMPILER_LAUNCHER=",
             "-DCMAKE_CXX_COMPILER_LAUNCHER="],
            ["cmake", "--build", build, *(["--config", plan.configuration] if plan.configuration else []), "-j2"],
        )  # fmt: skip
        for words in steps:
            result = await session.run(
                words, env=environment, timeout_s=spec.timeout_s, output_limit=OUTPUT_LIMIT, cwd=plan.source
            )
            if result.timed_out:
                raise _Stopped(Problem(ReasonCode.TIMED_OUT, f"the build took more than {spec.timeout_s:g} s"), result)
            if result.exit_code:
                code = ReasonCode.SIGNAL_ERROR if result.exit_code == 127 else ReasonCode.COLLECTION_ERROR
                text = f"`{' '.join(words[:2])}` ended with exit code {result.exit_code}: the tests cannot be built"
                raise _Stopped(Problem(code, text), result)
        foreign = foreign_compiler(folders.build, (session.workspace, build))
        if foreign:
            raise _Stopped(Problem(ReasonCode.FOREIGN_MODULE, f"the compiler {foreign} comes from the tree under test"))
    return result, await anyio.to_thread.run_sync(_diagnostics, result, place.workspace)


def _diagnostics(result: ExecResult | None, workspace: Path) -> tuple[Diagnostic, ...]:
    if result is None:
        return ()
    places = Places("/workspace", ".", lambda path: (workspace / path).is_file())
    return read(AUTO, Form(), Streams.decode(result.stdout, result.stderr), places, exit_code=0).diagnostics


async def _test(
    place: Place, folders: _Folders, spec: SignalSpec, plan: CtestPlan, planted: tuple[Planted, ...]
) -> SuiteRun:
    """Run the tests of a finished build and judge them."""
    random = SystemRandom()
    token = "".join(random.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(14))
    canaries = Canaries(token, join(_CONTROL, "canary"))
    records = folders.out / secrets.token_hex(16)
    records.touch()
    records.chmod(0o666)
    if not plant_canaries(folders.build, plan.folder, canaries):
        raise _Stopped(Problem(ReasonCode.NO_TESTS, f"the build folder has no tests in {plan.folder}"))
    before = await anyio.to_thread.run_sync(built_files, folders.build)
    executables = executables_of(folders.build, before, _BUILD)
    report = folders.out / f"{secrets.token_hex(16)}.xml"
    with_assertions = await anyio.to_thread.run_sync(programs_with, folders.build, _BUILD, executables, planted)
    setup = _Setup(report, records, secrets.token_bytes(16), canaries, executables, with_assertions)
    async with place.sandbox.open(
        place.snapshot, place.workspace, mounts=folders.mounts, limits=place.snapshot.limits
    ) as session:
        ran = await _in_sandbox(session, plan, setup, env=_environment(place), timeout_s=spec.timeout_s)
    # only here is everything in the sandbox dead
    if before != await anyio.to_thread.run_sync(built_files, folders.build, before):
        text = "a test changed the programs of other tests, or their list, while the tests ran"
        raise _Stopped(Problem(ReasonCode.RESULTS_DISAGREE, text))
    ends = Ends(ran.programs, {**executables, canaries.program: True}, ran.sources, plan.is_test)
    return await anyio.to_thread.run_sync(_conclude, ran, ends, report, canaries)


async def _in_sandbox(
    session: Session, plan: CtestPlan, setup: _Setup, *, env: Mapping[str, str], timeout_s: float
) -> _Ran:
    canaries = setup.canaries
    listing = await session.run(
        ["ctest", "--test-dir", join(_BUILD, plan.folder), "--show-only=json-v1", *_selection(plan, canaries)],
        timeout_s=_TOOLS_S,
        output_limit=OUTPUT_LIMIT,
    )
    try:
        definitions = read_definitions(listing.stdout.decode("utf-8", "replace"), build=_BUILD, root=session.workspace)
    except ListInvalid as error:
        raise _Stopped(Problem(ReasonCode.REPORT_INVALID, str(error)), listing) from error
    if all(canaries.is_mine(definition.name) for definition in definitions):
        raise _Stopped(Problem(ReasonCode.NO_TESTS, "ctest lists no test"), listing)
    result = await session.run(
        ["env", f"LD_PRELOAD={_CONTROL}/watch.so", f"PERSTACK_FIRST={_OUT}/{setup.records.name}:{_BUILD}/",
         "ctest", "--test-dir", join(_BUILD, plan.folder), "--no-tests=error", "-j", "1",
         "--output-junit", join(_OUT, setup.report.name), "--output-on-failure", *_selection(plan, canaries)],
        stdin=f"{setup.key.hex()}\n".encode(),
        env=env,
        timeout_s=timeout_s,
        output_limit=OUTPUT_LIMIT,
    )  # fmt: skip
    if result.timed_out:
        raise _Stopped(Problem(ReasonCode.TIMED_OUT, f"the tests were stopped after {timeout_s:g} s"), result)
    try:
        programs = read_records(foreign.read_text(setup.records, errors="surrogateescape"), setup.key)
    except (Forged, OSError, ValueError) as error:
        raise _Stopped(Problem(ReasonCode.RESULTS_DISAGREE, str(error)), result) from error
    sources = await _sources(session, programs, setup.executables)
    return _Ran(result, definitions, programs, sources, await check_assertions(session, setup.planted))


def _selection(plan: CtestPlan, canaries: Canaries) -> list[str]:
    """Which tests are meant; ours always."""
    if not plan.only:
        return list(plan.selection)
    names = "|".join(_quoted(name) for name in plan.only)
    return ["-R", f"^({names})$|{canaries.token}"]


def _quoted(name: str) -> str:
    return "".join(f"[{c}]" if c in ".+*?()|$" else f"\\{c}" if c in "[]\\^" else c for c in name)


def _environment(place: Place) -> Mapping[str, str]:
    configured = dict(place.snapshot.env)
    varied = {name: value for name, value in place.variation.variables.items() if name not in configured}
    # a sanitizer's runtime insists on being the first library
    sanitizer = ":".join(part for part in (configured.get("ASAN_OPTIONS", ""), "verify_asan_link_order=0") if part)
    return {**varied, "ASAN_OPTIONS": sanitizer, "CTEST_PARALLEL_LEVEL": "1", "CTEST_OUTPUT_ON_FAILURE": ""}


async def _sources(
    session: Session, programs: Sequence[Program], executables: Mapping[str, bool]
) -> Mapping[Spot, str]:
    """Where in the repository the places in programs lie, by their debug information."""
    spots = {spot for program in programs for spot in (program.main, program.left) if spot is not None}
    found: dict[Spot, str] = {}
    for file in sorted({spot.file for spot in spots if spot.file in executables}):
        inside = sorted((spot for spot in spots if spot.file == file), key=lambda spot: spot.offset)
        result = await session.run(
            ["addr2line", "-e", file, *(spot.offset for spot in inside)], timeout_s=_TOOLS_S, output_limit=OUTPUT_LIMIT
        )
        lines = result.stdout.decode("utf-8", "replace").splitlines()
        for spot, line in zip(inside, lines, strict=False):
            path = normpath(line.rpartition(":")[0])
            inner = path.startswith((f"{session.workspace}/", f"{_BUILD}/"))
            found[spot] = path.removeprefix(f"{session.workspace}/") if inner else "?" if path[:1] != "/" else ""
    return found


def _conclude(ran: _Ran, ends: Ends, report: Path, canaries: Canaries) -> SuiteRun:
    problem: Problem | None = None
    tests: dict[str, TestCase] = {}
    try:
        cases = list(read_report(report))
        tests, problem = read_results(ran.definitions, cases, ends, ran.result.exit_code, canaries)
    except ReportInvalid as error:
        missing = not report.is_file()
        code = ReasonCode.REPORT_MISSING if missing else ReasonCode.REPORT_INVALID
        problem = Problem(code, "ctest wrote no report" if missing else str(error))
    tests |= {case.id: case for case in ran.assertions} if tests else {}
    red = any(case.status in _RED for case in tests.values())
    run = SignalRun(
        status=SignalStatus.ERROR if problem else SignalStatus.FAIL if red else SignalStatus.PASS,
        seconds=ran.result.seconds,
        exit_code=ran.result.exit_code if problem else int(red),
        tests=tests,
        output=_failures_as_text(tests.values()),
        problem=problem.text if problem else "",
        problem_code=problem.code.value if problem else "",
    )
    return SuiteRun(run)


def _failures_as_text(cases: Iterable[TestCase]) -> str:
    red = [case for case in cases if case.status in _RED]
    return "\n".join(f"{case.status.value.upper()} {case.id}\n{case.message}" for case in red[:_SHOWN])
