"""Can a signal be red at all? What is green on the base must not stay green where the product is broken.

An error that every tool minds is planted at the end of each of the product's sources; for what a service or a page
shows, the product is taken away. A signal that stays green does not look at the product: its green proves nothing.
Says so and decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from perstack.core.json import JsonObject
from perstack.core.signals import Measurement, Priority, SignalKind, SignalRun, SignalSpec, SignalStatus, TestStatus
from perstack.infrastructure import foreign
from perstack.signals.diagnostics.tools import ANY_LANGUAGE
from perstack.signals.measure import Meter, Subject
from perstack.signals.protected import Protection

_MOST = 5_000  # sources in which errors are planted
_SHOWS = frozenset({SignalKind.DIFF, SignalKind.HTTP, SignalKind.SCREENSHOT})
_WORD = "q_not_a_word_of_any_language"


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """Whether a signal can be red; None where that could not be found out. `why` is the end of a sentence."""

    signal: str
    can_fail: bool | None
    why: str

    def to_json(self) -> JsonObject:
        return {"signal": self.signal, "canFail": self.can_fail, "why": self.why}

    @property
    def sentence(self) -> str:
        """For people."""
        word = {True: "can be red", False: "cannot be red, so it proves nothing", None: "not shown to be red ever"}
        return f"{self.signal}: {word[self.can_fail]}: {self.why}"


def gates(spec: SignalSpec) -> bool:
    """Whether a signal's green is taken for a proof."""
    return spec.priority is Priority.MUST and not spec.reject


async def sensitivity(subject: Subject, base: Measurement, protection: Protection, meter: Meter) -> Sensitivity:
    """Find out for one signal. `subject` is the signal on the base's tree, `base` what it said there.

    Raises: SandboxUnavailable.
    """
    spec = subject.spec
    if spec.reject:
        return Sensitivity(spec.name, None, "it rejects what it matches, and nothing here is known to match")
    known = _seen_red(spec, base)
    if known is not None:
        return known
    sources = sorted(path for path in subject.tree.files if _is_product(path, protection))[:_MOST]
    tree = replace(subject.tree, name=f"base with {len(sources)} broken sources")
    if sources and _is_red(await meter.once(replace(subject, tree=tree, plant=_breaking(sources)))):
        return Sensitivity(spec.name, True, f"an error planted in the {len(sources)} source(s) of the product is seen")
    if spec.kind in _SHOWS:
        product = [path for path in subject.tree.files if _is_shown(path, protection)]
        tree = replace(subject.tree, name="base without the product")
        if product and _is_red(await meter.once(replace(subject, tree=tree, plant=_without(product)))):
            return Sensitivity(spec.name, True, "it is red where the product's files are not there")
    if not sources and spec.kind not in _SHOWS:
        return Sensitivity(spec.name, None, "no source of the product in a known language to plant an error in")
    return Sensitivity(spec.name, False, f"it stays green where {_what(spec, sources)}")


def _what(spec: SignalSpec, sources: Sequence[str]) -> str:
    if spec.kind in _SHOWS:
        return "the product's files are not there"
    some = ", ".join(sources[:3])
    return f"every source of the product is broken ({some}{', …' if len(sources) > 3 else ''})"


def _seen_red(spec: SignalSpec, base: Measurement) -> Sensitivity | None:
    """What the plain runs show already."""
    run = next((run for run in base.runs if run.status is not SignalStatus.PASS or _is_red(run)), None)
    if run is None:
        return None
    if run.status is SignalStatus.ERROR or run.problem_code:
        return Sensitivity(spec.name, None, f"it could not be run: {run.problem or run.problem_code}")
    red = sum(case.status in {TestStatus.FAILED, TestStatus.ERROR} for case in run.tests.values())
    said = f"{red} test(s) fail" if red else f"{len(run.diagnostics)} finding(s)" if run.diagnostics else "it fails"
    return Sensitivity(spec.name, True, f"it is red on this commit: {said}")


def _is_red(run: SignalRun) -> bool:
    """Anything but green; errors beside a green exit code are red as well."""
    return run.status is not SignalStatus.PASS or any(d.severity == "error" for d in run.diagnostics)


def _is_product(path: str, protection: Protection) -> bool:
    return PurePosixPath(path).suffix in ANY_LANGUAGE and _is_shown(path, protection)


def _is_shown(path: str, protection: Protection) -> bool:
    return not protection.is_test_file(path) and not protection.is_configured(path)


def _breaking(paths: Sequence[str]) -> Callable[[Path], None]:
    """Appends what no language understands to files of a workspace."""

    def plant(workspace: Path) -> None:
        for path in paths:
            target = workspace / path
            if target.is_file() and not target.is_symlink():
                text = ANY_LANGUAGE[target.suffix][-1].format(name=_WORD)
                target.write_bytes(foreign.read(target, below=workspace) + b"\n" + text.encode() + b"\n")

    return plant


def _without(paths: Sequence[str]) -> Callable[[Path], None]:
    """Takes files of a workspace away."""

    def plant(workspace: Path) -> None:
        for path in paths:
            (workspace / path).unlink(missing_ok=True)

    return plant
