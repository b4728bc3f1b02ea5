"""How a `diff` signal is measured: its settings and golden files from the base, one run on a copy of a tree.

What is generated is deleted before the run, so that a generator that does nothing leaves a hole, not an agreement.
Golden files are taken from the base's commit and are not in the tree while the command runs.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import anyio.to_thread
from pathspec import GitIgnoreSpec

from perstack.core.json import Json
from perstack.core.sandbox import Snapshot
from perstack.core.signals import Diagnostic, SignalRun, SignalSpec, SignalStatus
from perstack.core.verdict import ReasonCode
from perstack.signals.command import OUTPUT_LIMIT, judge_command
from perstack.signals.difference.files import Listing, excerpt, listing, look_again, normalised, read_regular
from perstack.signals.references import golden_files
from perstack.signals.suites.contract import Framework, Place, SuiteRun

_UPDATES = re.compile(r"UPDATE|REGEN|BLESS|RECORD|OVERWRITE|APPROV|ACCEPT", re.IGNORECASE)
_SHOWN, _EXCERPT = 100, 20_000


@dataclass(frozen=True, slots=True)
class Difference:
    """One path that is not as it has to be. `line` is 1-based, 0 for a whole file."""

    path: str
    line: int
    message: str
    excerpt: str = ""


@dataclass(frozen=True, slots=True)
class DifferencePlan:
    """`generated` and `ignore` are globs; `golden` maps what is written to golden bytes (None: not on the base).

    `references` maps what is written to the golden file's path; `replacements` are applied to both sides in order.
    """

    generated: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    references: Mapping[str, str] = field(default_factory=dict)
    golden: Mapping[str, bytes | None] = field(default_factory=dict)
    replacements: tuple[tuple[str, str], ...] = ()

    @property
    def shuffles(self) -> bool:
        """Nothing here has an order."""
        return False

    def narrowed(self, _targets: Sequence[str]) -> DifferencePlan:
        """There is nothing smaller to run."""
        return self

    async def run(self, spec: SignalSpec, place: Place) -> SuiteRun:
        """Run the command once and compare what it left.

        Raises: SandboxUnavailable.
        """
        kept = place.scratch / "before"
        before = await anyio.to_thread.run_sync(self._prepare, place.workspace, kept)
        snapshot = without_updates(place.snapshot)
        variables = {k: v for k, v in place.variation.variables.items() if k not in dict(snapshot.env)}
        async with place.sandbox.open(snapshot, place.workspace, limits=snapshot.limits) as session:
            result = await session.run(
                spec.run, cwd=spec.cwd, env=variables, timeout_s=spec.timeout_s, output_limit=OUTPUT_LIMIT
            )
        run = judge_command(spec, result)
        if run.problem_code:
            return SuiteRun(run)
        if self.generated and not before.generated:
            text = f"no file of the tree matches expect.generated: {', '.join(self.generated)}"
            return SuiteRun(_error(run, text))
        found = await anyio.to_thread.run_sync(self._compare, place.workspace, kept, before.listing)
        if isinstance(found, str):
            return SuiteRun(_error(run, found))
        return SuiteRun(_judged(run, found))

    def _prepare(self, workspace: Path, kept: Path) -> _Before:
        """Keep a copy of the tree, then delete what has to come back and what must not be looked at."""
        shutil.copytree(workspace, kept, symlinks=True)
        seen = listing(kept)
        matching = _spec(self.generated)
        generated = [path for path in seen.files if self.generated and matching.match_file(path)]
        for path in [*generated, *self.references, *self.references.values()]:
            target = workspace / path
            if target.is_file() or target.is_symlink():
                target.unlink()
        return _Before(seen, tuple(generated))

    def _compare(self, workspace: Path, kept: Path, before: Listing) -> list[Difference] | str:
        """Every difference in order of paths, or why none can be told."""
        found = [d for path in self.references if (d := self._against_golden(workspace, path)) is not None]
        if not self.references or self.generated:
            after = look_again(workspace, before)
            if after is None:
                return "the command left more files than can be compared"
            hidden = {*self.references, *self.references.values()}
            judged = _spec(self.generated) if self.generated else None
            ignored = _spec(self.ignore)
            for path in sorted({*before.files, *after.files}):
                if path in hidden or ignored.match_file(path) or (judged and not judged.match_file(path)):
                    continue
                if before.files.get(path) != after.files.get(path):
                    found += self._changed(workspace, kept, path)
        return found

    def _against_golden(self, workspace: Path, path: str) -> Difference | None:
        golden, reference = self.golden[path], self.references[path]
        made = read_regular(workspace, path)
        if golden is None:
            return Difference(path, 0, f"the golden file {reference} is not on the base")
        if made is None:
            return Difference(path, 0, "was not written as a regular file")
        return self._differing(path, golden, made, names=(f"golden {reference}", f"written {path}"))

    def _changed(self, workspace: Path, kept: Path, path: str) -> list[Difference]:
        before, after = read_regular(kept, path), read_regular(workspace, path)
        if before is None and after is None:
            return [Difference(path, 0, "a link or special file differs from the tree")]
        if after is None:
            return [Difference(path, 0, "is in the tree, and the command does not produce it as a regular file")]
        if before is None:
            return [Difference(path, 0, "the command writes it, and it is not in the tree as a regular file")]
        found = self._differing(path, before, after, names=(f"tree {path}", f"written {path}"))
        if found is None and before == after:
            return [Difference(path, 0, "the command changes whether it can be executed")]
        return [found] if found else []

    def _differing(self, path: str, wanted: bytes, made: bytes, *, names: tuple[str, str]) -> Difference | None:
        """None where both are equal once normalised."""
        if wanted == made:
            return None
        sides = normalised(wanted, self.replacements), normalised(made, self.replacements)
        if sides[0] is not None and sides[0] == sides[1]:
            return None
        line, message, text = excerpt(wanted, made, sides, names)
        return Difference(path, line, message, text)


@dataclass(frozen=True, slots=True)
class _Before:
    listing: Listing
    generated: tuple[str, ...]


def without_updates(snapshot: Snapshot) -> Snapshot:
    """The snapshot without variables that tell tools to accept what they find."""
    return replace(snapshot, env=tuple((name, value) for name, value in snapshot.env if not _UPDATES.search(name)))


def _spec(patterns: Sequence[str]) -> GitIgnoreSpec:
    return GitIgnoreSpec.from_lines(patterns)


def _error(run: SignalRun, text: str) -> SignalRun:
    return replace(run, status=SignalStatus.ERROR, problem=text, problem_code=ReasonCode.SIGNAL_ERROR.value)


def _judged(run: SignalRun, found: Sequence[Difference]) -> SignalRun:
    diagnostics = [Diagnostic(d.path, d.line, "error", d.message, code="diff") for d in found[:_SHOWN]]
    if run.status is SignalStatus.FAIL:
        diagnostics.insert(0, Diagnostic("", 0, "error", f"the command ended with exit code {run.exit_code}"))
    text = "\n".join(d.excerpt or f"{d.path}: {d.message}" for d in found)
    if len(text) > _EXCERPT:
        text = f"{text[:_EXCERPT]}\n[… cut; {len(found)} file(s) differ …]"
    green = run.status is SignalStatus.PASS and not found
    return replace(
        run,
        status=SignalStatus.PASS if green else SignalStatus.FAIL,
        diagnostics=tuple(diagnostics),
        output=text or run.output,
    )


def _words(value: Json) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list | tuple) else ()


def plan_difference(spec: SignalSpec, files: Mapping[str, bytes], _paths: Collection[str]) -> DifferencePlan:
    """The plan, from the base alone."""
    pairs = spec.expect.get("replace")
    wanted = golden_files(spec)
    return DifferencePlan(
        generated=_words(spec.expect.get("generated", ())),
        ignore=_words(spec.expect.get("ignore", ())),
        references=wanted,
        golden={made: files.get(path) for made, path in wanted.items()},
        replacements=tuple((str(p[0]), str(p[1])) for p in pairs if isinstance(p, list | tuple) and len(p) > 1)
        if isinstance(pairs, list | tuple)
        else (),
    )


def difference_of(spec: SignalSpec) -> Framework:
    """The adapter for one `diff` signal."""
    wanted = frozenset(golden_files(spec).values())
    return Framework("diff", reads=wanted.__contains__, plan=plan_difference)
