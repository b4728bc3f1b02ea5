"""node:test through the protocol: each attack is stopped by what runs, the policy being told to report only."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from perstack.core.experts import VerifySpec
from perstack.core.verdict import Verdict
from tests.attacks.javascript.node_test_attacks import ATTACKS
from tests.signals.node.projects import FIXED, NODE_TEST, NODE_TEST_SPEC, make
from tests.signals.project import codes

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
REPORT = VerifySpec(suspicious="report")
SPEC = replace(NODE_TEST_SPEC, timeout_s=8)


@pytest.mark.parametrize("name", ATTACKS)
async def test_product_code_cannot_make_a_red_run_green(name: str, tmp_path: Path) -> None:
    text, wanted = ATTACKS[name]
    report = await make(tmp_path, NODE_TEST).verify({"src/stats.js": text}, SPEC, verify=REPORT)
    assert report.verdict is not Verdict.PASS
    assert codes(report) & wanted, report.reasons


async def test_the_fix_passes_in_two_orders_and_circumstances(tmp_path: Path) -> None:
    report = await make(tmp_path, NODE_TEST).verify({"src/stats.js": FIXED}, replace(SPEC, repeat=2))
    assert report.verdict is Verdict.PASS, report.reasons
    delta = report.signals[0].tests
    assert delta is not None
    assert "test/stats.test.js::median::is between the middle ones of an even number" in delta.fail_to_pass


async def test_the_fix_with_an_own_test_file_passes(tmp_path: Path) -> None:
    own = "require('node:test')('own', () => {});\n"
    report = await make(tmp_path, NODE_TEST).verify({"src/stats.js": FIXED, "test/own.test.js": own}, SPEC)
    assert report.verdict is Verdict.PASS, report.reasons
