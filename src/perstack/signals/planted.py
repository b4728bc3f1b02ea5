"""Is the compiler still looking? An error is planted at the end of files on the candidate, and must be noticed.

A file that left the build, a compiler that became a script, a stub that hides a module, a build product that is taken
for fresh: all of them make diagnostics disappear, and none of them notices a new error. Works within a budget.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from uuid import uuid4

import anyio

from perstack.core.signals import Diagnostic, SignalRun, SignalSpec, SignalStatus
from perstack.core.verdict import Reason, ReasonCode
from perstack.infrastructure import foreign
from perstack.signals.compare import Comparison
from perstack.signals.compiler import tool_of
from perstack.signals.diagnostics.tools import ANY_LANGUAGE, TOOLS
from perstack.signals.measure import Meter, Subject
from perstack.signals.tree import Tree

_FIXED_FILES = 3
_AT_ONCE = 500
_CHANGED_FILES = 1


@dataclass(frozen=True, slots=True)
class Trees:
    """Base and candidate, the files of the candidate that the patch changes, and those it moves (old to new path)."""

    base: Tree
    candidate: Tree
    changed: Sequence[str]
    moved: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finding:
    """Reasons against the candidate, and one sentence for people where nothing could be tried."""

    reasons: tuple[Reason, ...]
    remark: str = ""


async def check_planted(comparison: Comparison, spec: SignalSpec, trees: Trees, meter: Meter) -> Finding:
    """What speaks against believing the signal about the candidate; no reasons where every planted error was seen.

    Looks at files whose diagnostics are fixed: at all of them in one run, then, in an order nobody can foresee, at
    some of those that said nothing. Without any, at a changed file.
    """
    fixed = comparison.report.changes.fixed if comparison.report.changes else ()
    accused = list(dict.fromkeys(d.path for d in fixed if _texts(spec, d.path) and d.path in trees.candidate.files))
    both = trees.base.files & trees.candidate.files
    chosen = accused or [path for path in trees.changed if path in both and _texts(spec, path)][:_CHANGED_FILES]
    if not chosen:
        return Finding((), f"{spec.name}: no file to plant an error in, so nothing shows that the tool still looks")
    if silent := await _unsaid_where_moved(fixed, spec, trees, meter):
        return Finding(silent)
    if len(chosen) > 1:
        chosen = await _silent_ones(chosen[:_AT_ONCE], spec, trees, meter)
    chosen = sorted(chosen, key=lambda _: uuid4().hex)[:_FIXED_FILES]
    found: dict[str, Reason | None] = {}

    async def one(path: str) -> None:
        found[path] = await _check(path, spec, trees, meter, accused=path in accused)

    async with anyio.create_task_group() as group:
        for path in chosen:
            group.start_soon(one, path)
    return Finding(tuple(reason for path in sorted(found) if (reason := found[path]) is not None))


async def _unsaid_where_moved(
    fixed: Sequence[Diagnostic], spec: SignalSpec, trees: Trees, meter: Meter
) -> tuple[Reason, ...]:
    """Moved files have to be said the same about as they were: with their old contents, in their new places.

    Another place may have other rules; there, a finding is gone without being fixed.
    """
    before = {new: old for old, new in trees.moved.items() if any(d.path == new for d in fixed)}
    contents = {new: data for new, old in before.items() if (data := trees.base.read(old)) is not None}
    if not before:
        return ()

    def put_back(workspace: Path) -> None:
        for path, data in contents.items():
            (workspace / path).write_bytes(data)

    tree = replace(trees.candidate, name=f"candidate with {len(before)} moved files as they were")
    run = await meter.once(Subject(spec, tree, plant=put_back))
    said = {diagnostic.fingerprint for diagnostic in run.diagnostics}
    unsaid = dict.fromkeys(d.path for d in fixed if d.path in before and d.fingerprint not in said)
    return tuple(
        Reason(ReasonCode.STAGE_VANISHED, f"{path}: what was said of {before[path]} is not said there", spec.name)
        for path in unsaid
    )


async def _silent_ones(paths: Sequence[str], spec: SignalSpec, trees: Trees, meter: Meter) -> list[str]:
    """Files whose planted error is not noticed where all have one: a tool may stop at the first, or not look."""
    silent = list(paths)
    for kind in range(max(len(_texts(spec, path)) for path in paths)):
        planted = [_Planted.of(path, _texts(spec, path)[min(kind, len(_texts(spec, path)) - 1)]) for path in silent]
        tree = replace(trees.candidate, name=f"candidate with errors planted in {len(planted)} files")
        run = await meter.once(Subject(spec, tree, plant=_all_of(planted)))
        if run.diagnostics:
            silent = [one.path for one in planted if not one.is_noticed(run)]
        if not silent:
            break
    return silent


def _all_of(planted: Sequence[_Planted]) -> Callable[[Path], None]:
    def plant(workspace: Path) -> None:
        for one in planted:
            one.plant(workspace)

    return plant


async def _check(path: str, spec: SignalSpec, trees: Trees, meter: Meter, *, accused: bool) -> Reason | None:
    # whether anybody looks at a file that had no errors is shown quickest by what every tool minds
    for text in _texts(spec, path) if accused else _texts(spec, path)[-1:]:
        planted = _Planted.of(path, text)
        tree = replace(trees.candidate, name=f"candidate with an error planted in {path}")
        if planted.is_noticed(await meter.once(Subject(spec, tree, plant=planted.plant))):
            return None
        if path not in trees.base.files:
            continue
        tree = replace(trees.base, name=f"base with an error planted in {path}")
        if planted.is_noticed(await meter.once(Subject(spec, tree, plant=planted.plant))):
            detail = f"{path}: an error planted in it is noticed on the base and not on the candidate"
            return Reason(ReasonCode.STAGE_VANISHED, detail, spec.name)
    if not accused:
        return None  # nobody looks at this file on the base either
    return Reason(ReasonCode.STAGE_VANISHED, f"{path}: an error planted in it is not noticed any more", spec.name)


def _texts(spec: SignalSpec, path: str) -> tuple[str, ...]:
    """What can be planted in a file, best first."""
    tool = tool_of(spec)
    plants = TOOLS[tool].plants if tool in TOOLS else ANY_LANGUAGE
    return plants.get(PurePosixPath(path).suffix, ())


@dataclass(slots=True)
class _Planted:
    """One error for one file. `name` is a word in it; `line` is where it was put, once it was."""

    path: str
    text: str
    name: str
    line: int = 0

    @classmethod
    def of(cls, path: str, text: str) -> _Planted:
        name = f"q{uuid4().hex[:12]}"
        return cls(path, text.format(name=name), name)

    def plant(self, workspace: Path) -> None:
        """Append, and keep the file's time: a stale build product must not become fresh by our doing."""
        target = workspace / self.path
        before = target.stat()
        raw = foreign.read(target)
        self.line = raw.count(b"\n") + 2
        target.write_bytes(raw + b"\n" + self.text.encode() + b"\n")
        os.utime(target, ns=(before.st_atime_ns, before.st_mtime_ns))

    def is_noticed(self, run: SignalRun) -> bool:
        """Whether a run reports the planted error, or merely fails where its output is not understood at all."""
        if not run.coverage.tool and not run.diagnostics:
            return run.status is SignalStatus.FAIL
        errors = [d for d in run.diagnostics if d.severity == "error"]
        return any(self.name in d.message or (d.path == self.path and d.line >= self.line - 1) for d in errors)
