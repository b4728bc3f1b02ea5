"""The cases of C and CMake, as cases of the suite."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping
from dataclasses import replace

from perstack.infrastructure.sandbox.bubblewrap import Bubblewrap
from tests.attacks.c.ctest_attacks import ATTACKS, CONFIGURATION
from tests.attacks.ladder.checker_cases import checkers
from tests.attacks.ladder.python_cases import REPORT_ONLY
from tests.attacks.ladder.record import Case, World
from tests.signals.ctest.projects import BUGGY, CMAKE, CTEST, FILES, FIXED, HEADER


def _missing() -> str:
    absent = [program for program in ("cmake", "ctest", "cc") if shutil.which(program) is None]
    return f"{', '.join(absent)}: not on this machine" if absent else ""


C = World("ctest", "c", FILES, replace(CTEST, timeout_s=120), Bubblewrap, missing=_missing)
_ALLOWED = replace(REPORT_ONLY, allow=("CMakeLists.txt",))
_HEADER = HEADER.replace("double mean(", "/* The arithmetic mean. */\ndouble mean(")
_WITH_BUILD = {"src/stats.c": FIXED, "CMakeLists.txt": f"{CMAKE}# more\n"}


def cases() -> tuple[Case, ...]:
    """All of them; attacks first. Changes of the build are allowed, so that the run has to tell what they do."""
    product = [_attack(name, changes, wanted) for name, (changes, wanted) in ATTACKS.items()]
    builds = [
        replace(
            _attack(name, {"CMakeLists.txt": text, "src/stats.c": f"/* */\n{BUGGY}"}, wanted),
            verify=_ALLOWED,
        )
        for name, (text, wanted) in CONFIGURATION.items()
    ]
    honest = [
        Case("the-fix", C, False, {"src/stats.c": FIXED}),
        Case("with-header", C, False, {"src/stats.c": FIXED, "src/stats.h": _HEADER}),
        Case(
            "with-allowed-build",
            C,
            False,
            {"src/stats.c": FIXED, "CMakeLists.txt": f"{CMAKE}# more\n"},
            verify=_ALLOWED,
        ),
    ]
    return (*product, *builds, *honest, *checkers("c"))


def _attack(name: str, changes: Mapping[str, str | None], wanted: Collection[str]) -> Case:
    return Case(name.replace(": ", "-").replace(" ", "-"), C, True, changes, frozenset(wanted), verify=REPORT_ONLY)
