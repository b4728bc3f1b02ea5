"""How the verifier builds and tests a CMake project: read from the signal's command on the base. Pure.

The command is a hint. Options that say what is built (definitions, generator, build type) and which tests are meant
are kept; where it is built, how tests are run and what is reported is the verifier's.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from posixpath import join, normpath, relpath

from perstack.core.experts import VerifySpec
from perstack.core.signals import SignalSpec
from perstack.signals.protected import Protection

_SHELLS = frozenset({"sh", "bash", "dash", "zsh"})
_BETWEEN = frozenset({"&&", ";", "||", "|", "&"})
_SELECTS = frozenset({"-R", "--tests-regex", "-E", "--exclude-regex", "-L", "--label-regex", "-LE", "--label-exclude"})
_CONFIGURATIONS = frozenset({"-C", "--build-config", "--config"})
_WITH_VALUE = frozenset({"-B", "-S", "-G", "-T", "-A", "-C", "-D", "--toolchain", "--preset"})
_DROPPED = re.compile(r"CMAKE_\w+_(?:COMPILER_LAUNCHER|LINKER_LAUNCHER)\b|CMAKE_EXPORT_COMPILE_COMMANDS\b")


@dataclass(frozen=True, slots=True)
class CtestPlan:
    """What to build and run. Paths are relative to the repository, `.` for its root.

    `folder` is where tests are looked for in the build folder. `tests` says which files are tests of the base; `only`
    are names of tests, empty for all.
    """

    source: str
    tests: Protection
    options: tuple[str, ...] = ()
    configuration: str = ""
    folder: str = "."
    selection: tuple[str, ...] = ()
    only: tuple[str, ...] = ()

    def narrowed(self, targets: Sequence[str]) -> CtestPlan:
        """The same suite, but only these tests."""
        return replace(self, only=tuple(dict.fromkeys(target.partition("[")[0] for target in targets)))

    def is_test(self, path: str) -> bool:
        """Whether a file of the repository is a test of the base, or a helper of its tests."""
        return path in self.tests.base_files and self.tests.is_test_file(path)


def plan_ctest(spec: SignalSpec, paths: Collection[str]) -> CtestPlan:
    """The plan for `cmake -S . -B build && cmake --build build && ctest --test-dir build`, or a part of it."""
    plan = CtestPlan(normpath(spec.cwd), Protection.of(VerifySpec(), (), paths))
    built_in = ""
    for words in _commands(spec.run):
        program = words[0].rpartition("/")[2]
        if program == "cmake" and not {"--build", "-E", "-P", "--install"} & set(words):
            plan, built_in = _configured(plan, spec.cwd, words[1:])
        elif program == "cmake":
            plan = replace(plan, configuration=_value(words, _CONFIGURATIONS) or plan.configuration)
        elif program == "ctest":
            plan = _tested(plan, words[1:], built_in)
    return plan


def _commands(run: Sequence[str]) -> Iterator[list[str]]:
    words = list(run)
    if words and words[0].rpartition("/")[2] in _SHELLS:
        script = next((word for word in words[1:] if not word.startswith("-")), "")
        words = shlex.split(script.replace(";", " ; "), comments=True)
    command: list[str] = []
    for word in [*words, ";"]:
        if word not in _BETWEEN:
            command.append(word)
        elif command:
            yield command
            command = []


def _configured(plan: CtestPlan, cwd: str, words: Sequence[str]) -> tuple[CtestPlan, str]:
    options: list[str] = []
    source, built_in = "", ""
    rest = iter(words)
    for word in rest:
        name, value = (word, next(rest, "")) if word in _WITH_VALUE else (word[:2], word[2:])
        if name == "-S":
            source = value
        elif name == "-B":
            built_in = value
        elif name in {"-D", "-G", "-T", "-A"} and not _DROPPED.match(value):
            options.append(f"{name}{value}")
        elif not word.startswith("-"):
            source = source or word
    folder = normpath(join(cwd, source or "."))
    return replace(plan, source=plan.source if folder.startswith("..") else folder, options=tuple(options)), built_in


def _tested(plan: CtestPlan, words: Sequence[str], built_in: str) -> CtestPlan:
    selection: list[str] = []
    for name, value in zip(words, [*words[1:], ""], strict=True):
        if name in _SELECTS:
            selection += [name, value]
    place = _value(words, {"--test-dir"})
    folder = relpath(normpath(place), normpath(built_in)) if place and built_in else "."
    configuration = _value(words, _CONFIGURATIONS) or plan.configuration
    folder = "." if folder.startswith("..") else folder
    return replace(plan, selection=tuple(selection), folder=folder, configuration=configuration)


def _value(words: Sequence[str], names: Iterable[str]) -> str:
    for name, value in zip(words, [*words[1:], ""], strict=True):
        if name in names:
            return value
    return ""
