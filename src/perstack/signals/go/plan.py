"""How the verifier runs `go test`: what of the base's own command is kept. Pure.

Kept is what makes tests work (tags, race detector, packages, arguments of the test binary); dropped is what chooses
among tests, reports, caches or repeats.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

_BUILD_WITH_VALUE: Final = frozenset(
    {"tags", "mod", "ldflags", "gcflags", "asmflags", "modfile", "overlay", "buildmode", "compiler", "gccgoflags"}
)
_BUILD_ALONE: Final = frozenset({"race", "msan", "asan", "linkshared"})
_RUN_ALONE: Final = frozenset({"short"})
_DROP_WITH_VALUE: Final = frozenset(
    {
        "run", "skip", "bench", "benchtime", "blockprofile", "blockprofilerate", "count", "coverprofile", "covermode",
        "coverpkg", "cpu", "cpuprofile", "fuzz", "fuzztime", "fuzzminimizetime", "list", "memprofile",
        "memprofilerate", "mutexprofile", "mutexprofilefraction", "o", "outputdir", "p", "parallel", "shuffle",
        "timeout", "trace", "vet", "exec", "toolexec", "pkgdir", "C",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class GoPlan:
    """What to build and how. `packages` are patterns; `only` are folders of tests, relative to the repository."""

    packages: tuple[str, ...] = ("./...",)
    build: tuple[str, ...] = ()
    run: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    only: tuple[str, ...] = ()


def plan_go(run: Sequence[str]) -> GoPlan:
    """Read the signal's command; a command that is not `go test` says nothing, and everything is tested."""
    environment, words = _words(run)
    packages: list[str] = []
    build: list[str] = []
    running: list[str] = []
    position = 0
    while position < len(words):
        word = words[position]
        position += 1
        if word in {"-args", "--args"}:
            return GoPlan(tuple(packages) or (".",), tuple(build), tuple(running), tuple(words[position:]), environment)
        if not word.startswith("-"):
            packages.append(word)
            continue
        name, equals, value = word.lstrip("-").removeprefix("test.").partition("=")
        if not equals and name in _BUILD_WITH_VALUE | _DROP_WITH_VALUE and position < len(words):
            value = words[position]
            position += 1
        if name in _BUILD_WITH_VALUE:
            build.append(f"-{name}={value}")
        elif name in _BUILD_ALONE and value != "false":
            build.append(f"-{name}")
        elif name in _RUN_ALONE and value != "false":
            running.append(f"-test.{name}")
    return GoPlan(tuple(packages) or (".",), tuple(build), tuple(running), (), environment)


def _words(run: Sequence[str]) -> tuple[Mapping[str, str], Sequence[str]]:
    """Variables set before the command, and the words after `go test`."""
    environment: dict[str, str] = {}
    for index, word in enumerate(run):
        key, equals, value = word.partition("=")
        if equals and key.isidentifier():
            environment[key] = value
        if word.rpartition("/")[2] == "go" and "test" in run[index + 1 : index + 2]:
            return environment, run[index + 2 :]
    return {}, ("./...",)
