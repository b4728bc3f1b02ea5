"""Do assertions still stop a program? Asked of every test file that uses `assert`, in the program it is built into.

A header of the product can switch assertions off, and a function of it can take the place of the one that stops the
program. So each such test file of the run's own copy gets one assertion more, which fails when it is asked to.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random

from perstack.core.contracts import Session
from perstack.core.signals import TestCase, TestStatus
from perstack.infrastructure import foreign

_SUFFIXES = frozenset({".c", ".cc", ".cpp", ".cxx", ".c++"})
_USES = re.compile(r"^\s*#\s*include\s*<(?:assert\.h|cassert)>", re.MULTILINE)
_CALLS = re.compile(r"\bassert\s*\(")
_TEXT = """
#include <stdlib.h>
__attribute__((constructor)) static void {token}(void) {{
    if (getenv("{token}")) assert(!"{secret}");
}}
"""
_FILES, _LARGEST = 20, 1_000_000
_LARGEST_PROGRAM = 1 << 30
_ABORTED = 134
_ENDS_S = 10.0


@dataclass(frozen=True, slots=True)
class Planted:
    """One more assertion in the test file `path`: it fails with `secret` where the variable `token` is set."""

    path: str
    token: str
    secret: str

    @property
    def identity(self) -> str:
        """As what the answer is compared with the base's."""
        return f"assert() in {self.path}"


def plant_assertions(
    workspace: Path, paths: Collection[str], is_test: Callable[[str], bool], random: Random
) -> tuple[Planted, ...]:
    """Add the assertions to the test files of a copy of the tree."""
    found: list[Planted] = []
    for path in sorted(paths):
        file = workspace / path
        if file.suffix not in _SUFFIXES or not is_test(path) or not file.is_file() or file.is_symlink():
            continue
        text = foreign.read_text(file, errors="surrogateescape") if file.stat().st_size < _LARGEST else ""
        if _USES.search(text) and _CALLS.search(text) and len(found) < _FILES:
            planted = Planted(path, _word(random), _word(random))
            file.write_text(text + _TEXT.format(token=planted.token, secret=planted.secret), "utf-8", "surrogateescape")
            found.append(planted)
    return tuple(found)


def programs_with(
    build: Path, inside: str, executables: Iterable[str], planted: Iterable[Planted]
) -> Mapping[Planted, list[str]]:
    """Which programs of the build each planted assertion got into."""
    found: dict[Planted, list[str]] = {}
    for name in sorted(executables):
        data = foreign.read(build / name.removeprefix(f"{inside}/"), _LARGEST_PROGRAM, below=build)
        for one in planted:
            if one.token.encode() in data and not name.endswith(".so"):
                found.setdefault(one, []).append(name)
    return found


async def check_assertions(session: Session, programs: Mapping[Planted, list[str]]) -> tuple[TestCase, ...]:
    """One case a file: passed where every program with it is stopped by it, else skipped (as with NDEBUG)."""
    cases: list[TestCase] = []
    for planted, names in programs.items():
        alive = True
        for name in names:
            result = await session.run([name], env={planted.token: "1"}, timeout_s=_ENDS_S)
            alive = alive and result.exit_code == _ABORTED and planted.secret in result.text()
        status = TestStatus.PASSED if alive else TestStatus.SKIPPED
        message = "" if alive else "a failing assertion does not stop the program"
        cases.append(TestCase(planted.identity, status, message=message, path=planted.path))
    return tuple(cases)


def _word(random: Random) -> str:
    return "".join(random.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(16))
