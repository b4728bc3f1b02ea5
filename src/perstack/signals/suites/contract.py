"""What a framework's adapter has to offer: a plan from the base alone, and runs whose results cannot be forged.

A run is the verifier's own: its command, its reporter, its canaries, results out of band. What people would read on
the terminal never decides. How that is done differs from framework to framework; that it is done does not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from perstack.core.contracts import Sandbox
from perstack.core.sandbox import Snapshot
from perstack.core.signals import SignalRun, SignalSpec
from perstack.signals.environment import Variation


@dataclass(frozen=True, slots=True)
class SuiteRun:
    """A run and the runner's functions that something replaced meanwhile."""

    run: SignalRun
    replaced: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """Where one run happens: a fresh copy of a tree, which the run may change, and a new directory of ours.

    `kept` is a directory of ours that outlives the run: builds of a tree that all its runs use. It need not exist.
    """

    sandbox: Sandbox
    snapshot: Snapshot
    workspace: Path
    scratch: Path
    variation: Variation
    kept: Path


class SuitePlan(Protocol):
    """How a suite is run: frozen, made from the base, the same for every tree."""

    @property
    def shuffles(self) -> bool:
        """Whether a variation's order changes the order of the tests."""
        ...

    def narrowed(self, targets: Sequence[str]) -> SuitePlan:
        """The same suite, only as much of it as these tests need."""
        ...

    async def run(self, spec: SignalSpec, place: Place) -> SuiteRun:
        """Run the suite once. What goes wrong with it is a run of status `error`, not an exception.

        Raises: SandboxUnavailable.
        """
        ...


@runtime_checkable
class OnBase(Protocol):
    """A plan whose runs need the base's tree as well, such as one that compares two looks."""

    def on(self, base: Path) -> SuitePlan:
        """The same plan with the base's tree at hand: a directory that stays as it is."""
        ...


@dataclass(frozen=True, slots=True)
class Part:
    """One of `of` parts of something, from 1. Test files belong to a part by a digest of their path."""

    number: int = 1
    of: int = 1

    def holds(self, path: str) -> bool:
        """Whether a test file, named relative to the repository's test root, is in this part."""
        return (
            int.from_bytes(hashlib.sha256(path.encode("utf-8", "surrogateescape")).digest()[:8]) % self.of
            == self.number - 1
        )


@runtime_checkable
class Divisible(Protocol):
    """A plan that can run a part of its test files. A part without a test is a run with the problem `no-tests`."""

    def part(self, part: Part) -> SuitePlan:
        """The same plan for one part: every test is in exactly one."""
        ...


def _nothing(_files: Mapping[str, bytes], _paths: Collection[str]) -> Collection[str]:
    return ()


@dataclass(frozen=True, slots=True)
class Framework:
    """One adapter. `reads` says which of the base's files `plan` gets, by their path.

    `plan` takes the signal, those files, and all paths of the base. `names` says, from those files and all paths,
    which more files `plan` gets: those that a configuration names.
    Raises: UserError for a configuration of the base that cannot be read.
    """

    name: str
    reads: Callable[[str], bool]
    plan: Callable[[SignalSpec, Mapping[str, bytes], Collection[str]], SuitePlan]
    names: Callable[[Mapping[str, bytes], Collection[str]], Collection[str]] = _nothing
