"""Attacks that the text of a patch gives away, and right fixes that it must not accuse."""

import pytest

from tests.attacks.catalogue import HOOKS, SOURCE, SPECIAL, TEST_EDITS, Attack
from tests.attacks.everyday import EVERYDAY
from tests.attacks.honest import HONEST, Honest
from tests.attacks.inventions import INVENTED
from tests.attacks.project import Specimen
from tests.attacks.world import HONEST_WORLD, WORLD

ATTACKS = (*TEST_EDITS, *HOOKS, *SOURCE, *SPECIAL, *INVENTED, *WORLD)
RIGHT = (*HONEST, *HONEST_WORLD, *EVERYDAY)


def test_names_are_unique() -> None:
    names = [*(case.name for case in ATTACKS), *(case.name for case in RIGHT)]
    assert len(names) == len(set(names))


@pytest.mark.threat("P16", "P26", "K6", on="harness")
@pytest.mark.parametrize("case", [case for case in ATTACKS if case.policy], ids=lambda case: case.name)
def test_an_attack_is_given_away_by_its_text(specimen: Specimen, case: Attack) -> None:
    findings = specimen.policy(specimen.patch(case.changes, case.modes))
    assert {finding.code.value for finding in findings if finding.blocks} & case.codes, findings


@pytest.mark.parametrize("case", RIGHT, ids=lambda case: case.name)
def test_an_honest_fix_is_not_accused(specimen: Specimen, case: Honest) -> None:
    findings = specimen.policy(specimen.patch(case.changes))
    assert not [finding for finding in findings if finding.blocks]
