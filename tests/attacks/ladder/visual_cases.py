"""The cases about how a page looks, as cases of the suite."""

from __future__ import annotations

import shutil

from tests.attacks.ladder.record import Case, World
from tests.attacks.visual import ATTACKS, FILES, HONEST, SPEC, Visual, pictured


def _missing() -> str:
    return "" if shutil.which("chromium") else "Chromium is not on this machine"


PAGE = World("page", "visual", FILES, SPEC, missing=_missing, made=pictured)


def cases() -> tuple[Case, ...]:
    """All of them; attacks first."""
    return (*(_case(case, attack=True) for case in ATTACKS), *(_case(case, attack=False) for case in HONEST))


def _case(case: Visual, *, attack: bool) -> Case:
    return Case(case.name, PAGE, attack, case.changes, case.codes, from_files=case.from_files)
