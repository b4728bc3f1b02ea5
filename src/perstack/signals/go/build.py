"""Building the test binaries of a Go tree, once a tree, in a sandbox of its own over a copy of its own.

Building runs nothing of the project: only the go command, whose cache lies in the verifier's folder and is never
seen by a test.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from posixpath import join, normpath
from random import SystemRandom

import anyio.to_thread

from perstack.core.contracts import Session
from perstack.core.sandbox import ExecResult, Mount
from perstack.core.signals import SignalSpec, TestCase, TestStatus
from perstack.core.verdict import ReasonCode
from perstack.infrastructure import foreign
from perstack.infrastructure.owned import remove_tree
from perstack.signals.go.canary import canary_file, make_canaries
from perstack.signals.go.output import Package, read_packages, test_functions
from perstack.signals.go.plan import GoPlan
from perstack.signals.suites.contract import Place
from perstack.signals.suites.programs import Program

BINARIES = "/perstack/tests"
_CACHE = "/perstack/cache"
_OUTPUT_LIMIT = 64_000_000
_MESSAGE_LIMIT = 4_000
_BUILD_S = 600.0  # the first build on a machine compiles the standard library


@dataclass(frozen=True, slots=True)
class GoBuild:
    """What a tree's tests became. `programs` lie in `folder`; `broken` are test files that do not compile."""

    folder: Path
    programs: tuple[Program, ...] = ()
    broken: Mapping[str, TestCase] = field(default_factory=dict)
    problem: str = ""
    code: ReasonCode = ReasonCode.SIGNAL_ERROR
    output: str = ""


async def build_tests(spec: SignalSpec, plan: GoPlan, place: Place, folder: Path) -> GoBuild:
    """Build every package that has tests.

    Raises: SandboxUnavailable.
    """
    source, binaries, cache = folder / "source", folder / "tests", _cache_folder(place.kept)
    await anyio.to_thread.run_sync(lambda: shutil.copytree(place.workspace, source, symlinks=True))
    for path in (binaries, cache):
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o777)  # the sandbox's user may be another one
    mounts = (Mount(binaries, BINARIES, writable=True), Mount(cache, _CACHE, writable=True))
    try:
        async with place.sandbox.open(place.snapshot, source, mounts=mounts, limits=place.snapshot.limits) as session:
            work = _Work(spec, plan, session, source, session.inside(mounts[0]), session.inside(mounts[1]))
            return await work.build(binaries)
    finally:
        await anyio.to_thread.run_sync(remove_tree, source)


@dataclass(frozen=True, slots=True)
class _Work:
    spec: SignalSpec
    plan: GoPlan
    session: Session
    source: Path
    binaries: str
    cache: str

    async def build(self, folder: Path) -> GoBuild:
        # -e: one package that cannot be read must not hide the others
        words = ["go", "list", "-e", "-json=Dir,ImportPath,Name,TestGoFiles,XTestGoFiles,Error"]
        listed = await self._go([*words, *self._list_flags(), *self.plan.packages])
        if listed.exit_code:
            text = listed.text()[-_MESSAGE_LIMIT:]
            problem = f"`go list` failed with exit code {listed.exit_code}: {text.strip()[-300:]}"
            return GoBuild(folder, problem=problem, output=text)
        programs: list[Program] = []
        broken: dict[str, TestCase] = {}
        for number, package in enumerate(read_packages(listed.stdout, self.session.workspace)):
            if self.plan.only and package.folder not in self.plan.only:
                continue
            program, result = await self._package(package, f"t{number}")
            if result is None:
                programs.append(program)
            elif result.timed_out:
                problem = f"building the tests of {package.path} took too long"
                return GoBuild(folder, problem=problem, code=ReasonCode.TIMED_OUT, output=result.text())
            else:
                broken |= _broken(package, result)
        return GoBuild(folder, tuple(programs), broken)

    async def _package(self, package: Package, name: str) -> tuple[Program, ExecResult | None]:
        """The package's program, and what the go command said where it could not be built."""
        random = SystemRandom()
        canaries = make_canaries(random)
        inside = package.name if package.tests else f"{package.name}_test"
        file, text = canary_file(inside, canaries, random)
        place = self.source / package.folder
        sources = {name: _text(place / name) for name in (*package.tests, *package.outer_tests)}
        (place / file).write_text(text)
        output = join(self.binaries, name)
        result = await self._go(["go", "test", "-c", "-vet=off", "-o", output, *self.plan.build, package.path])
        (place / file).unlink(missing_ok=True)
        tests = {
            test: f"{normpath(join(package.folder, name))}::{test}"
            for name, source in sources.items()
            for test in test_functions(source)
        }
        program = Program(
            name=package.folder,
            path=name,
            cwd=package.folder,
            tests=tests,
            canaries=canaries,
            optional=frozenset(test for test in tests if test.startswith("Example")),
        )
        return program, result if result.exit_code else None

    async def _go(self, words: Sequence[str]) -> ExecResult:
        return await self.session.run(
            words,
            cwd=self.spec.cwd,
            env=go_environment(self.plan, self.cache),
            timeout_s=max(self.spec.timeout_s, _BUILD_S),
            output_limit=_OUTPUT_LIMIT,
        )

    def _list_flags(self) -> list[str]:
        return [flag for flag in self.plan.build if flag.startswith(("-tags=", "-mod=", "-modfile=", "-race"))]


def _cache_folder(otherwise: Path) -> Path:
    """The go command's cache, kept on this machine because the standard library takes a minute to compile.

    Its entries are named by everything they were made from, and only the go command ever writes them. A folder that
    somebody else made is not used.
    """
    folder = Path(tempfile.gettempdir(), f"perstack-go-{os.getuid()}")
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077:
            return folder / "cache"
    return otherwise / "go-cache"


def go_environment(plan: GoPlan, cache: str) -> Mapping[str, str]:
    """Variables for the go command: nothing of a user's or repository's own settings, no network, no other tool chain.

    What may change the build comes as flags, from the base's command.
    """
    fixed = {"GOENV": "off", "GOFLAGS": "", "GOPROXY": "off", "GOTOOLCHAIN": "local", "GOTELEMETRY": "off"}
    return {**plan.environment, **fixed, "GOCACHE": cache}


def _broken(package: Package, result: ExecResult) -> dict[str, TestCase]:
    text = f"{package.error}\n{result.text()[:_MESSAGE_LIMIT]}".strip()
    files = [normpath(join(package.folder, name)) for name in (*package.tests, *package.outer_tests)]
    return {file: TestCase(file, TestStatus.ERROR, message=text) for file in files}


def _text(path: Path) -> str:
    """A test file's text; a link leads nowhere."""
    return "" if path.is_symlink() else foreign.read_text(path)
