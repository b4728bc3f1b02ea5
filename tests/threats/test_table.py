"""No attack without a test, no mark without an attack, and the page says what is marked and recorded."""

from __future__ import annotations

import json

from tests.threats.catalogue import THREATS
from tests.threats.marks import ROOT, marked
from tests.threats.table import PAGE, RESULTS, table


def test_every_attack_has_a_test_and_every_mark_an_attack() -> None:
    tests = marked()
    assert set(tests) == set(THREATS)


def test_recorded_tests_exist() -> None:
    for test in json.loads(RESULTS.read_text("utf-8"))["tests"]:
        place, _, name = test.partition("::")
        assert f"def {name}(" in (ROOT / place).read_text("utf-8"), f"{test} is gone: take it out of {RESULTS.name}"


def test_the_page_is_fresh() -> None:
    assert table() in PAGE.read_text("utf-8"), "run `python -m tests.threats`"
