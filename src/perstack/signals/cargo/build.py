"""Building the test programs of a Rust tree, once a tree, in a sandbox of its own over a copy of its own.

Build scripts and procedural macros do run here: what they can reach is this copy and this tree's own target folder,
which every later run sees read-only.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from posixpath import join, relpath
from random import SystemRandom

import anyio.to_thread

from perstack.core.contracts import Session
from perstack.core.sandbox import ExecResult, Mount
from perstack.core.signals import SignalSpec, TestCase, TestStatus
from perstack.core.verdict import ReasonCode
from perstack.infrastructure import foreign
from perstack.infrastructure.owned import remove_tree
from perstack.signals.cargo.canary import canary_module, make_canaries
from perstack.signals.cargo.output import Target, read_built, read_errors, read_targets
from perstack.signals.cargo.plan import CargoPlan
from perstack.signals.suites.contract import Place
from perstack.signals.suites.programs import Canaries, Program

TARGET = "/perstack/target"
_OUTPUT_LIMIT = 64_000_000
_MESSAGE_LIMIT = 4_000
_BUILD_S = 600.0  # dependencies are compiled as well


@dataclass(frozen=True, slots=True)
class CargoBuild:
    """What a tree's tests became. Paths of `programs` are relative to `folder`; `broken` are roots of crates."""

    folder: Path
    programs: tuple[Program, ...] = ()
    broken: Mapping[str, TestCase] = field(default_factory=dict)
    libraries: str = ""
    problem: str = ""
    code: ReasonCode = ReasonCode.SIGNAL_ERROR
    output: str = ""


async def build_tests(spec: SignalSpec, plan: CargoPlan, place: Place, folder: Path) -> CargoBuild:
    """Build every crate that has tests. The workspace of `place` has the base's tests already.

    Raises: SandboxUnavailable.
    """
    source, target = folder / "source", folder / "target"
    await anyio.to_thread.run_sync(lambda: shutil.copytree(place.workspace, source, symlinks=True))
    target.mkdir(parents=True)
    target.chmod(0o777)  # the sandbox's user may be another one
    mount = Mount(target, TARGET, writable=True)
    try:
        async with place.sandbox.open(place.snapshot, source, mounts=(mount,), limits=place.snapshot.limits) as session:
            return await _Work(spec, plan, session, source, target, session.inside(mount)).build()
    finally:
        await anyio.to_thread.run_sync(remove_tree, source)


@dataclass(frozen=True, slots=True)
class _Work:
    spec: SignalSpec
    plan: CargoPlan
    session: Session
    source: Path
    target: Path
    inside: str

    async def build(self) -> CargoBuild:
        listed = await self._cargo("metadata", "--no-deps", "--offline", "--format-version=1", *self._manifest())
        if listed.exit_code:
            text = listed.text()[-_MESSAGE_LIMIT:]
            problem = f"`cargo metadata` failed with exit code {listed.exit_code}: {text.strip()[-300:]}"
            return CargoBuild(self.target, problem=problem, output=text)
        targets = [
            target
            for target in read_targets(listed.stdout, self.session.workspace)
            if not self.plan.only or target.root in self.plan.only
        ]
        random = SystemRandom()
        canaries = {target.root: make_canaries(random) for target in targets}
        for root, mine in canaries.items():
            _append(self.source / root, canary_module(mine, random))
        done = await self._build(*self.plan.flags)
        if done.timed_out:
            problem = "building the tests took too long"
            return CargoBuild(self.target, problem=problem, code=ReasonCode.TIMED_OUT, output=done.text())
        built = dict(read_built(done.stdout, self.session.workspace))
        broken: dict[str, TestCase] = {}
        if done.exit_code:
            built, broken = await self._one_by_one(targets)
        libraries = (await self._run(["rustc", "--print=target-libdir"])).stdout.decode().strip()
        programs = [self._program(target, built[target.root], canaries[target.root])
                    for target in targets if target.root in built]  # fmt: skip
        return CargoBuild(self.target, tuple(programs), broken, libraries)

    async def _one_by_one(self, targets: Sequence[Target]) -> tuple[dict[str, str], dict[str, TestCase]]:
        """One crate that does not compile must not hide the others."""
        built: dict[str, str] = {}
        broken: dict[str, TestCase] = {}
        features = [flag for flag in self.plan.flags if "feature" in flag or flag in {"--release", "--locked"}]
        features += [flag for flag in self.plan.flags if flag.startswith(("--manifest-path", "--profile", "--target="))]
        for target in targets:
            done = await self._build(*features, *target.selector)
            if done.exit_code:
                text = (read_errors(done.stdout) or done.text())[:_MESSAGE_LIMIT]
                broken[target.root] = TestCase(target.root, TestStatus.ERROR, message=text)
            else:
                built |= read_built(done.stdout, self.session.workspace)
        return built, broken

    def _program(self, target: Target, path: str, canaries: Canaries) -> Program:
        return Program(target.root, relpath(path, self.inside), target.folder, {}, canaries)

    async def _build(self, *flags: str) -> ExecResult:
        return await self._cargo("test", "--no-run", "--offline", "--message-format=json", *flags)

    async def _cargo(self, *words: str) -> ExecResult:
        return await self._run(["cargo", *self.plan.toolchain, *words])

    async def _run(self, words: Sequence[str]) -> ExecResult:
        return await self.session.run(
            words,
            cwd=self.spec.cwd,
            env=cargo_environment(self.plan, self.inside),
            timeout_s=max(self.spec.timeout_s, _BUILD_S),
            output_limit=_OUTPUT_LIMIT,
        )

    def _manifest(self) -> list[str]:
        return [flag for flag in self.plan.flags if flag.startswith("--manifest-path=")]


def cargo_environment(plan: CargoPlan, target: str) -> Mapping[str, str]:
    """Variables for cargo: no network, our target folder, no wrapper around the compiler."""
    fixed = {
        "CARGO_TARGET_DIR": target, "CARGO_NET_OFFLINE": "true", "CARGO_TERM_COLOR": "never", "CARGO_INCREMENTAL": "0",
        "RUSTC_WRAPPER": "", "RUSTC_WORKSPACE_WRAPPER": "",
    }  # fmt: skip
    return {**plan.environment, **fixed}


def runtime_libraries(target: str, build: CargoBuild) -> str:
    """Where programs find shared libraries, as cargo would say it."""
    return ":".join(filter(None, [join(target, "debug", "deps"), join(target, "release", "deps"), build.libraries]))


def _append(path: Path, text: str) -> None:
    if path.is_file() and not path.is_symlink():
        path.write_bytes(foreign.read(path) + text.encode())
