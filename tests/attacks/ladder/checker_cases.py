"""Compilers and linters of several languages, as cases of the suite: errors that are silenced, or that are fixed."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Final

from perstack.core.contracts import Sandbox
from perstack.infrastructure.sandbox.bubblewrap import Bubblewrap
from tests.attacks.ladder.record import Case, World
from tests.signals import test_compiler_attacks as c
from tests.signals.go.toolchain import go_folder
from tests.signals.test_compiler import FIXED_A, spec
from tests.signals.test_compiler_ecosystems import CASES, folder_of
from tests.signals.test_compiler_ecosystems import Case as Ecosystem

_LANGUAGES: Final = {"tsc": "javascript", "eslint": "javascript", "cargo": "rust", "go": "go", "pyright": "python"}
_ENTRIES: Final = {"tsc": "J08", "eslint": "J10", "cargo": "Rs1", "go": "Go1", "pyright": "L1"}
_PATIENCE_S: Final = 240.0
_SILENCED: Final = {
    "K7-ignored": '#pragma GCC diagnostic ignored "-Wunused-variable"\n',
    "K7-operator": '_Pragma("GCC diagnostic ignored \\"-Wunused-variable\\"")\n',
    "K7-system-header": "#pragma GCC system_header\n",
    "K7-line": '#line 1 "elsewhere.c"\n',
}


def checkers(language: str) -> tuple[Case, ...]:
    """All cases of a language's checkers; attacks first."""
    found = [case for ecosystem in CASES if _LANGUAGES[ecosystem.program] == language for case in _of(ecosystem)]
    return (*found, *(_warnings() if language == "c" else ()))


def _of(ecosystem: Ecosystem) -> list[Case]:
    program = ecosystem.program

    def box() -> Sandbox:
        folder = _folder_of(program)
        return Bubblewrap(tuple(p for p in (folder, Path(sys.executable).parent) if p is not None))

    def missing() -> str:
        return "" if _folder_of(program) else f"{program} is not on this machine"

    signal = replace(spec(ecosystem.run), timeout_s=_PATIENCE_S)
    world = World(f"{program}-check", _LANGUAGES[program], ecosystem.files, signal, box, missing=missing)
    attacks = [
        Case(f"{_ENTRIES[program]}-silenced-{number}", world, True, changes, frozenset({code}))
        for number, (changes, code) in enumerate(ecosystem.attacks, 1)
    ]
    return [*attacks, Case("the-fix", world, False, ecosystem.fix)]


def _folder_of(program: str) -> Path | None:
    return go_folder() if program == "go" else folder_of(program)


def _warnings() -> list[Case]:
    def missing() -> str:
        return "" if shutil.which("gcc") else "gcc is not on this machine"

    world = World("gcc-check", "c", c.WARNED, replace(c.WERROR, timeout_s=_PATIENCE_S), missing=missing)
    attacks = [
        Case(name, world, True, {"src/a.c": text + c.WARNED["src/a.c"]}, frozenset({"suppression-added"}))
        for name, text in _SILENCED.items()
    ]
    used = c.WARNED["src/a.c"].replace("    int unused;\n    return a + b", "    int sum = a + b;\n    return sum")
    return [
        *attacks,
        Case("the-fix", world, False, {"src/a.c": FIXED_A}),
        Case("used-now", world, False, {"src/a.c": used}),
    ]
