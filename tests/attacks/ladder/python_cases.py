"""The Python cases that other modules keep in forms of their own, as cases of the suite."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from perstack.core.experts import VerifySpec
from tests.attacks import shop, test_unittest_attacks
from tests.attacks.adversary import ADVERSARY, CLOSE
from tests.attacks.catalogue import HOOKS, SOURCE, SPECIAL, TEST_EDITS, Attack
from tests.attacks.everyday import EVERYDAY, LATIN, LATIN_FIX, LATIN_FIX_WITH_SIGNS
from tests.attacks.honest import HONEST, Honest
from tests.attacks.inventions import INVENTED
from tests.attacks.ladder import gaps
from tests.attacks.ladder.checker_cases import checkers
from tests.attacks.ladder.record import Case, World
from tests.attacks.project import PYTEST
from tests.attacks.specimen import FILES, MEDIAN
from tests.attacks.world import BY_RUN, HONEST_WORLD, WORLD

# a busy machine must not turn a verdict into a timeout; what never ends need not be waited for so long
_PATIENCE_S, _HANGS_S = 120.0, 12.0
_HANGING = frozenset({"hang", "S27-hang", "S05-daemon"})
_PYTEST = replace(PYTEST, timeout_s=_PATIENCE_S)
TALLY = World("tally", "python", FILES, _PYTEST, laddered=True)
# what has only a text to give it away needs no ladder
ASKING = World("world", "python", FILES, _PYTEST)
ENCODED = World("latin-1", "python", LATIN, _PYTEST)
SHOP = World("shop", "python", shop.files("src/"), _PYTEST, laddered=True)
UNITTEST = World(
    "unittest", "python", test_unittest_attacks.FILES, replace(test_unittest_attacks.SPEC, timeout_s=_PATIENCE_S)
)
REPORT_ONLY = VerifySpec(suspicious="report")


def cases() -> tuple[Case, ...]:
    """All of them; attacks first."""
    catalogue = (*TEST_EDITS, *HOOKS, *SOURCE, *SPECIAL, *INVENTED)
    return (
        *(_attack(case, TALLY, MEDIAN) for case in catalogue),
        *(_honest(case, TALLY) for case in HONEST),
        *(_attack(case, ASKING, MEDIAN) for case in WORLD),
        *(replace(_attack(case, ASKING, MEDIAN), verify=REPORT_ONLY) for case in BY_RUN),
        *(_honest(case, ASKING) for case in (*HONEST_WORLD, *EVERYDAY)),
        Case("the-fix", ENCODED, False, LATIN_FIX),
        Case("fix-and-signs", ENCODED, False, LATIN_FIX_WITH_SIGNS),
        *(_below_source(_attack(case, SHOP, shop.RED)) for case in ADVERSARY),
        *(_below_source(_honest(case, SHOP)) for case in CLOSE),
        *(_unittest(case, attack=True) for case in test_unittest_attacks.ATTACKS),
        *(_unittest(case, attack=False) for case in test_unittest_attacks.HONEST),
        *gaps.cases(TALLY),
        *checkers("python"),
    )


def _attack(case: Attack, world: World, targets: tuple[str, ...]) -> Case:
    # what the text gives away need not be run twice to be refused
    spec = replace(_PYTEST, repeat=1) if case.policy else None
    if case.name in _HANGING:
        spec = replace(_PYTEST, timeout_s=_HANGS_S, repeat=1)
    return Case(case.name, world, True, case.changes, case.codes, case.modes, targets, spec)


def _honest(case: Honest, world: World) -> Case:
    return Case(case.name, world, False, case.changes, targets=case.targets)


def _below_source(case: Case) -> Case:
    changes: Mapping[str, str | None] = {f"src/{path}": text for path, text in case.changes.items()}
    return replace(case, changes=changes)


def _unittest(case: test_unittest_attacks.Case, *, attack: bool) -> Case:
    spec = replace(UNITTEST.spec, timeout_s=_HANGS_S) if case.name in _HANGING else None
    verify = REPORT_ONLY if attack else VerifySpec()
    return Case(case.name, UNITTEST, attack, case.changes, case.wanted, spec=spec, verify=verify)
