"""Attacks from product code on JavaScript suites, with the policy told to report only: what runs has to stop them.

One verifier for all attacks of a framework, so that the base is measured once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from perstack.core.experts import VerifySpec
from perstack.core.signals import SignalSpec
from perstack.core.verdict import Verdict
from tests.attacks.javascript import jest_attacks, node_test_attacks, vitest_attacks
from tests.signals.node import projects
from tests.signals.project import codes

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
Attacks = Mapping[str, tuple[str, set[str]]]


async def accepted_or_misnamed(
    folder: Path, files: Mapping[str, str], spec: SignalSpec, attacks: Attacks, *, file: str
) -> dict[str, object]:
    """The attacks that were not stopped with a fitting reason."""
    project = projects.make(folder, files)
    verifier, wrong = project.verifier(), dict[str, object]()
    for name, (text, wanted) in attacks.items():
        request = await project.request(project.patch({file: text}), spec)
        report = await verifier.verify(replace(request, verify=VerifySpec(suspicious="report")))
        if report.verdict is Verdict.PASS or not codes(report) & wanted:
            wrong[name] = (report.verdict, codes(report))
    return wrong


async def test_no_attack_on_a_node_test_suite_is_accepted(tmp_path: Path) -> None:
    attacks = {name: found for name, found in node_test_attacks.ATTACKS.items() if name != "waits forever"}
    assert not await accepted_or_misnamed(
        tmp_path, projects.NODE_TEST, projects.NODE_TEST_SPEC, attacks, file="src/stats.js"
    )


async def test_a_suite_that_never_ends_is_stopped(tmp_path: Path) -> None:
    attacks = {"waits forever": node_test_attacks.ATTACKS["waits forever"]}
    spec = replace(projects.NODE_TEST_SPEC, timeout_s=15)
    assert not await accepted_or_misnamed(tmp_path, projects.NODE_TEST, spec, attacks, file="src/stats.js")


@projects.needs_modules
async def test_no_attack_on_a_jest_suite_is_accepted(tmp_path: Path) -> None:
    assert not await accepted_or_misnamed(
        tmp_path, projects.JEST, projects.JEST_SPEC, jest_attacks.ATTACKS, file="src/stats.js"
    )


@projects.needs_modules
async def test_no_attack_on_a_vitest_suite_is_accepted(tmp_path: Path) -> None:
    assert not await accepted_or_misnamed(
        tmp_path, projects.VITEST, projects.VITEST_SPEC, vitest_attacks.ATTACKS, file="src/stats.ts"
    )
